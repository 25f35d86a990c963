//! Foreign keys that act on other tables, logged by the server or not.

use super::rig::{Plan, Rig, statements};
use e2e::{Kind, MysqlOptions, MysqlServer};

const SETUP: &[&str] = &[
    "CREATE TABLE {db}.slots (id INT PRIMARY KEY)",
    "CREATE TABLE {db}.orders (id INT PRIMARY KEY, note VARCHAR(10),
       FOREIGN KEY (id) REFERENCES {db}.slots (id) ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE {db}.items (id INT PRIMARY KEY, order_id INT, qty INT, KEY (order_id),
       FOREIGN KEY (order_id) REFERENCES {db}.orders (id) ON DELETE SET NULL ON UPDATE CASCADE)",
    "INSERT INTO {db}.slots VALUES (1), (2), (3), (4)",
    "INSERT INTO {db}.orders VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",
    "INSERT INTO {db}.items VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30), (4, 3, 40)",
];

async fn follow(mut plan: Plan) {
    plan.setup.extend(statements(SETUP));
    let select = |key: &str, filter: &str| {
        format!(
            "SELECT {key}o.id, o.note, (SELECT SUM(i.qty) FROM {{db}}.items i WHERE i.order_id = o.id) AS qty
               FROM {{db}}.orders o WHERE {filter}"
        )
    };
    plan.sql = select("", "o.id IN (:ids)");
    plan.check = select("CAST(o.id AS CHAR), ", "TRUE");
    plan.kinds = vec![Kind::Number, Kind::Text, Kind::Number];
    let rig = Rig::start(plan).await;
    for change in [
        "DELETE FROM {db}.slots WHERE id = 1",
        "UPDATE {db}.slots SET id = 20 WHERE id = 2",
        "DELETE FROM {db}.orders WHERE id = 3",
        "UPDATE {db}.items SET qty = 5 WHERE id = 3",
    ] {
        rig.run(&[change]).await;
        rig.equal(change).await;
    }
    rig.no_gap().await;
}

#[tokio::test]
async fn the_server_logs_what_foreign_keys_do() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    follow(Plan::on(&server, "logged")).await;
}

#[tokio::test]
async fn the_engine_does_it_unseen() {
    let options = MysqlOptions::default().flag("--innodb-native-foreign-keys=ON");
    let server = MysqlServer::start(options).await;
    follow(Plan::on(&server, "unseen")).await;
}

#[cfg(feature = "long")]
#[tokio::test]
async fn on_mariadb_the_engine_does_it_unseen() {
    let server = e2e::mariadb::MariaDb::start(&[]).await;
    follow(Plan::at(server.opts().into(), server.port(), "unseen")).await;
}
