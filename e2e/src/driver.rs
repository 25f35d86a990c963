//! Random writes to the shop at a steady rate: reproducible by seed, indifferent to a server that goes away.

use crate::shop::Shop;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

const WRITERS: u32 = 4;
/// A statement without an answer in this time counts as lost with its connection (a frozen server).
const PATIENCE: Duration = Duration::from_secs(10);

/// What a driver has done so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Transactions that were committed (or rolled back on purpose).
    pub done: AtomicU64,
    /// Transactions that failed: lost connections, deadlocks, duplicate keys.
    pub failed: AtomicU64,
}

/// Running writers. Dropping it stops them.
#[derive(Debug)]
pub struct Driver {
    halt: watch::Sender<bool>,
    counts: Arc<Counts>,
    writers: Vec<JoinHandle<()>>,
}

impl Driver {
    pub(crate) fn start(shop: &Shop, seed: u64, per_second: u32) -> Self {
        let halt = watch::Sender::new(false);
        let counts = Arc::new(Counts::default());
        let writers = (0..WRITERS).map(|number| {
            let writer = Writer {
                opts: shop.opts().clone(),
                random: Random {
                    rng: StdRng::seed_from_u64(seed * u64::from(WRITERS) + u64::from(number)),
                    shop: shop.clone(),
                },
                counts: Arc::clone(&counts),
                pause: Duration::from_secs(1) * WRITERS / per_second.max(1),
            };
            tokio::spawn(writer.run(halt.subscribe()))
        });
        Self { writers: writers.collect(), halt, counts }
    }

    /// Number of transactions so far.
    pub fn done(&self) -> u64 {
        self.counts.done.load(Ordering::Relaxed)
    }

    /// Number of failed transactions so far.
    pub fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// Stops the writers between two transactions, so that nothing is committed later; the number of transactions.
    pub async fn stop(mut self) -> u64 {
        self.halt.send_replace(true);
        for writer in self.writers.drain(..) {
            writer.await.expect("a writer of the workload");
        }
        self.done()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.halt.send_replace(true);
    }
}

struct Writer {
    opts: Opts,
    random: Random,
    counts: Arc<Counts>,
    pause: Duration,
}

impl Writer {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut ticks = interval(self.pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut conn = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            let statements = self.random.transaction();
            let result = timeout(PATIENCE, transaction(&self.opts, &mut conn, &statements)).await;
            if matches!(result, Ok(Ok(()))) {
                self.counts.done.fetch_add(1, Ordering::Relaxed);
            } else {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                conn = None;
            }
        }
    }
}

async fn transaction(opts: &Opts, conn: &mut Option<Conn>, statements: &[String]) -> mysql_async::Result<()> {
    let conn = match conn.as_mut() {
        Some(conn) => conn,
        None => conn.insert(Conn::new(opts.clone()).await?),
    };
    for statement in statements {
        conn.query_drop(statement).await?;
    }
    Ok(())
}

struct Random {
    rng: StdRng,
    shop: Shop,
}

impl Random {
    /// The statements of one transaction, with BEGIN and COMMIT where there is more than one.
    fn transaction(&mut self) -> Vec<String> {
        let (user, order, other, item) =
            (self.user(), self.order(), self.order(), self.rng.random_range(1..=self.items()));
        let number = self.rng.random_range(1..10_000);
        match self.rng.random_range(0..100) {
            0..30 => self.one(&format!(
                "UPDATE {{db}}.orders SET total = {number}.{:02}, status = '{}' WHERE id = {order}",
                number % 100,
                ["new", "paid", "shipped", "cancelled"][number % 4]
            )),
            30..50 => self.one(&format!("UPDATE {{db}}.order_items SET qty = {number} WHERE id = {item}")),
            50..60 => self.new_order(user, number),
            60..70 => self.one(&format!(
                "INSERT INTO {{db}}.order_items (order_id, sku, qty) VALUES ({order}, 'new-{number}', {number})"
            )),
            70..78 => self.one(&format!("DELETE FROM {{db}}.order_items WHERE id = {item}")),
            78..84 => self.one(&format!("UPDATE {{db}}.order_items SET order_id = {other} WHERE id = {item}")),
            84..88 => self.all(&[
                format!("DELETE FROM {{db}}.order_items WHERE order_id = {order}"),
                format!("DELETE FROM {{db}}.orders WHERE id = {order}"),
            ]),
            88..92 => self.one(&format!("UPDATE {{db}}.users SET name = 'Renamed {number}' WHERE id = {user}")),
            92..95 => self.change_key(order),
            95..97 => self.one(&format!("UPDATE {{db}}.orders SET user_id = {user} WHERE id = {order}")),
            _ => self.rolled_back(order, item),
        }
    }

    fn new_order(&mut self, user: u64, number: usize) -> Vec<String> {
        let insert = format!(
            "INSERT INTO {{db}}.orders (user_id, total, created_at) VALUES ({user}, {number}.5, NOW(3))"
        );
        let items = format!(
            "INSERT INTO {{db}}.order_items (order_id, sku, qty)
             VALUES (LAST_INSERT_ID(), 'a-{number}', 1), (LAST_INSERT_ID(), 'b-{number}', 2)"
        );
        self.all(&[insert, items])
    }

    /// The items stay behind or come along.
    fn change_key(&mut self, order: u64) -> Vec<String> {
        let key = self.rng.random_range(1_000_000..9_000_000);
        let mut statements = vec![format!("UPDATE {{db}}.orders SET id = {key} WHERE id = {order}")];
        if self.rng.random() {
            statements
                .push(format!("UPDATE {{db}}.order_items SET order_id = {key} WHERE order_id = {order}"));
        }
        self.all(&statements)
    }

    fn rolled_back(&self, order: u64, item: u64) -> Vec<String> {
        let mut statements = self.all(&[
            format!("UPDATE {{db}}.orders SET status = 'cancelled', total = 0 WHERE id = {order}"),
            format!("DELETE FROM {{db}}.order_items WHERE id = {item}"),
        ]);
        statements.pop();
        statements.push("ROLLBACK".to_owned());
        statements
    }

    fn one(&self, statement: &str) -> Vec<String> {
        vec![statement.replace("{db}", &self.shop.database)]
    }

    fn all(&self, statements: &[String]) -> Vec<String> {
        let mut all = vec!["START TRANSACTION".to_owned()];
        all.extend(statements.iter().map(|statement| statement.replace("{db}", &self.shop.database)));
        all.push("COMMIT".to_owned());
        all
    }

    fn user(&mut self) -> u64 {
        self.rng.random_range(1..=self.shop.size.users)
    }

    fn order(&mut self) -> u64 {
        // Some beyond those that the shop began with: orders that the workload itself has made.
        self.rng.random_range(1..=self.shop.size.orders + self.shop.size.orders / 10)
    }

    fn items(&self) -> u64 {
        self.shop.size.orders * self.shop.size.items_per_order
    }
}
