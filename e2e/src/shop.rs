//! The workload's schema: users, orders and their items, filled fast and the same each time.

use crate::checker::{Checker, Kind};
use crate::driver::Driver;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use std::fmt::Write;

const ROWS_PER_INSERT: u64 = 2_000;

const KINDS: &[Kind] = &[Kind::Number, Kind::Text, Kind::Number, Kind::DateTime, Kind::Text, Kind::Json];

/// How many rows.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rows of `users`.
    pub users: u64,
    /// Rows of `orders`.
    pub orders: u64,
    /// Items of each order.
    pub items_per_order: u64,
}

impl Size {
    /// 5,000 users, 20,000 orders, 60,000 items.
    pub const FULL: Self = Self { users: 5_000, orders: 20_000, items_per_order: 3 };
    /// Enough for a quick test.
    pub const SMALL: Self = Self { users: 50, orders: 200, items_per_order: 3 };
}

/// A database with the three tables.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The database's name.
    pub database: String,
    /// What it was filled with.
    pub size: Size,
    opts: Opts,
}

impl Shop {
    /// Makes the database anew, fills it, and gives the `sync` user its grants on it.
    pub async fn create(opts: Opts, database: &str, size: Size) -> Self {
        let shop = Self { database: database.to_owned(), size, opts };
        let mut conn = shop.conn().await;
        for statement in shop.schema() {
            conn.query_drop(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        conn.query_drop("START TRANSACTION").await.unwrap();
        shop.fill(&mut conn, "users", size.users, user).await;
        shop.fill(&mut conn, "orders", size.orders, |id| order(id, size.users)).await;
        let items = size.orders * size.items_per_order;
        shop.fill(&mut conn, "order_items", items, |id| item(id, size.orders)).await;
        conn.query_drop("COMMIT").await.unwrap();
        conn.query_drop(format!("ANALYZE TABLE {0}.users, {0}.orders, {0}.order_items", shop.database))
            .await
            .unwrap();
        conn.disconnect().await.unwrap();
        grant_sync(&shop.opts, database).await;
        shop
    }

    /// The same on another server that has it.
    #[must_use]
    pub fn at(&self, opts: Opts) -> Self {
        Self { database: self.database.clone(), size: self.size, opts }
    }

    fn schema(&self) -> [String; 5] {
        let db = &self.database;
        [
            format!("DROP DATABASE IF EXISTS {db}"),
            format!("CREATE DATABASE {db} CHARACTER SET utf8mb4"),
            format!(
                "CREATE TABLE {db}.users (
                   id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
                   name VARCHAR(100) NOT NULL, email VARCHAR(200), joined DATE NOT NULL)"
            ),
            format!(
                "CREATE TABLE {db}.orders (
                   id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id BIGINT NOT NULL,
                   status ENUM('new','paid','shipped','cancelled') NOT NULL DEFAULT 'new',
                   total DECIMAL(12,2) NOT NULL, created_at DATETIME(3) NOT NULL, note VARCHAR(255),
                   KEY by_user (user_id))"
            ),
            format!(
                "CREATE TABLE {db}.order_items (
                   id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id BIGINT NOT NULL,
                   sku VARCHAR(32) NOT NULL, qty INT NOT NULL, KEY by_order (order_id))"
            ),
        ]
    }

    async fn fill(&self, conn: &mut Conn, table: &str, count: u64, row: impl Fn(u64) -> String) {
        let mut first = 1;
        while first <= count {
            let last = count.min(first + ROWS_PER_INSERT - 1);
            let mut sql = format!("INSERT INTO {}.{table} VALUES ", self.database);
            for id in first..=last {
                let _ = write!(sql, "{}{}", if id == first { "" } else { "," }, row(id));
            }
            conn.query_drop(sql).await.unwrap_or_else(|error| panic!("fill {table}: {error}"));
            first = last + 1;
        }
    }

    /// Root's connection options.
    pub fn opts(&self) -> &Opts {
        &self.opts
    }

    /// One connection of root.
    pub async fn conn(&self) -> Conn {
        Conn::new(self.opts.clone()).await.expect("connect to MySQL")
    }

    /// Runs statements on one connection; `{db}` in them stands for the database.
    pub async fn run<S: AsRef<str>>(&self, statements: &[S]) {
        let mut conn = self.conn().await;
        for statement in statements {
            let statement = statement.as_ref().replace("{db}", &self.database);
            conn.query_drop(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let _ = conn.disconnect().await;
    }

    /// The task's query.
    pub fn sql(&self) -> String {
        self.select("o.id, ", "o.id IN (:ids)")
    }

    /// The query with one more condition on `o`, and what compares an index with it.
    pub fn narrowed(&self, condition: &str) -> (String, Checker) {
        let sql = self.select("o.id, ", &format!("o.id IN (:ids) AND {condition}"));
        (sql, Checker::new(self.select("CAST(o.id AS CHAR), o.id, ", condition), KINDS))
    }

    fn select(&self, keys: &str, filter: &str) -> String {
        let db = &self.database;
        format!(
            "SELECT {keys}o.status, o.total, o.created_at, u.name AS customer,
       (SELECT JSON_ARRAYAGG(JSON_OBJECT('sku', i.sku, 'qty', i.qty))
          FROM {db}.order_items i WHERE i.order_id = o.id) AS items
  FROM {db}.orders o JOIN {db}.users u ON u.id = o.user_id
 WHERE {filter}"
        )
    }

    /// Compares an index with the query.
    pub fn checker(&self) -> Checker {
        Checker::new(self.select("CAST(o.id AS CHAR), o.id, ", "TRUE"), KINDS)
    }

    /// Random writes to all three tables, `per_second` of them, until the driver is stopped.
    pub fn drive(&self, seed: u64, per_second: u32) -> Driver {
        Driver::start(self, seed, per_second)
    }
}

/// Creates the user `sync` (password `sync-pw`) with what the operator needs: no more.
pub async fn grant_sync(opts: &Opts, database: &str) {
    let mut conn = Conn::new(opts.clone()).await.expect("connect to MySQL");
    for statement in [
        "CREATE USER IF NOT EXISTS sync@'%' IDENTIFIED BY 'sync-pw'".to_owned(),
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO sync@'%'".to_owned(),
        format!("GRANT SELECT ON `{database}`.* TO sync@'%'"),
    ] {
        conn.query_drop(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let _ = conn.disconnect().await;
}

fn user(id: u64) -> String {
    format!("({id},'User {id}','user{id}@example.com','2025-01-{:02}')", id % 28 + 1)
}

fn order(id: u64, users: u64) -> String {
    let status = ["new", "paid", "shipped", "cancelled"][(id % 4) as usize];
    let (day, hour, second, milli) = (id % 28 + 1, id % 24, id % 60, id % 1000);
    let (user, euros, cents) = (id % users + 1, id % 900, id % 100);
    format!(
        "({id},{user},'{status}',{euros}.{cents:02},'2026-03-{day:02} {hour:02}:30:{second:02}.{milli:03}',NULL)"
    )
}

fn item(id: u64, orders: u64) -> String {
    format!("({id},{},'sku-{:05}',{})", id % orders + 1, id % 997, id % 9 + 1)
}
