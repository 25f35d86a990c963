//! Names of schemas and tables.

use super::rig::{Plan, Rig, run, statements};
use e2e::shared::{self, name};
use e2e::shop::grant_sync;
use e2e::{Kind, MysqlOptions, MysqlServer, Shop, Size};

fn pair(mysql: &MysqlServer, prefix: &'static str, main: &str, child: &str) -> Plan {
    let columns = format!(
        "m.note, (SELECT JSON_ARRAYAGG(c.qty) FROM {{db}}.{child} c WHERE c.main_id = m.id) AS qtys
         FROM {{db}}.{main} m"
    );
    Plan {
        sql: format!("SELECT m.id, {columns} WHERE m.id IN (:ids)"),
        check: format!("SELECT CAST(m.id AS CHAR), m.id, {columns}"),
        kinds: vec![Kind::Number, Kind::Text, Kind::Json],
        ..Plan::on(mysql, prefix)
    }
}

fn tables(main: &str, child: &str) -> Vec<String> {
    vec![
        format!("CREATE TABLE {{db}}.{main} (id BIGINT PRIMARY KEY, note VARCHAR(50))"),
        format!(
            "CREATE TABLE {{db}}.{child} (id BIGINT AUTO_INCREMENT PRIMARY KEY, main_id BIGINT, qty INT, KEY (main_id))"
        ),
        format!("INSERT INTO {{db}}.{main} VALUES (1, 'one'), (2, 'two'), (3, 'three')"),
        format!("INSERT INTO {{db}}.{child} (main_id, qty) VALUES (1, 10), (1, 11), (2, 20)"),
    ]
}

#[tokio::test]
async fn tables_that_differ_by_case_only() {
    let mysql = shared::mysql().await;
    let mut plan = pair(mysql, "MixedCase", "Orders", "OrderItems");
    plan.setup = tables("Orders", "OrderItems");
    plan.setup.extend(tables("orders", "orderitems"));
    let rig = Rig::start(plan).await;
    rig.run(&[
        "DELETE FROM {db}.orders WHERE id = 1",
        "UPDATE {db}.Orders SET note = 'uno' WHERE id = 1",
        "INSERT INTO {db}.OrderItems (main_id, qty) VALUES (3, 30)",
        "INSERT INTO {db}.orderitems (main_id, qty) VALUES (2, 99)",
        "DELETE FROM {db}.Orders WHERE id = 2",
        "INSERT INTO {db}.orders VALUES (5, 'ghost')",
        "TRUNCATE TABLE {db}.orders",
    ])
    .await;
    assert_eq!(rig.equal("changes of both").await, 2);
    // the TRUNCATE is the last statement, and changes no document that could be waited for
    assert_eq!(rig.metric_now("gaps_total").await, 0);
}

/// `lower_case_table_names=1`: any spelling means the same table.
#[tokio::test]
async fn a_server_that_folds_table_names() {
    let flag = "--lower-case-table-names=1".to_owned();
    let options = MysqlOptions { flags: vec![flag.clone()], init_flags: vec![flag], ..Default::default() };
    let mysql = MysqlServer::start(options).await;
    let mut plan = pair(&mysql, "folded", "ORDERS", "OrderItems");
    plan.setup = tables("Orders", "orderITEMS");
    let rig = Rig::start(plan).await;
    rig.run(&[
        "UPDATE {db}.orders SET note = 'uno' WHERE id = 1",
        "INSERT INTO {db}.ORDERITEMS (main_id, qty) VALUES (3, 30)",
        "ALTER TABLE {db}.OrderItems ADD COLUMN extra BIGINT NOT NULL DEFAULT 2 FIRST",
        "UPDATE {db}.OrderItems SET qty = 31 WHERE main_id = 1",
        "DELETE FROM {db}.Orders WHERE id = 2",
    ])
    .await;
    assert_eq!(rig.equal("changes in any spelling").await, 2);
    rig.no_gap().await;
}

#[tokio::test]
async fn the_same_tables_in_another_schema_are_ignored() {
    let mysql = shared::mysql().await;
    let shop = Shop::create(mysql.opts(), &name("own"), Size::SMALL).await;
    let other = Shop::create(mysql.opts(), &name("foreign"), Size::SMALL).await;
    let rig = Rig::shop(mysql, &shop).await;
    let before = [rig.metric_now("reads_total").await, rig.metric("rows_total").await];
    other
        .run(&[
            "UPDATE {db}.orders SET total = 1",
            "DELETE FROM {db}.orders WHERE id < 100",
            "DELETE FROM {db}.order_items",
            "UPDATE {db}.users SET name = 'foreign'",
            "TRUNCATE TABLE {db}.order_items",
            "ALTER TABLE {db}.orders ADD COLUMN extra BIGINT FIRST",
            "DROP TABLE {db}.users",
        ])
        .await;
    // where the session's schema is ours, a qualified name still is the other's
    let mut conn = rig.conn().await;
    rig.on(&mut conn, "USE {db}").await;
    rig.on(&mut conn, &format!("DELETE FROM {}.orders", other.database)).await;
    rig.run(&["UPDATE {db}.orders SET total = 4 WHERE id = 1"]).await;
    assert_eq!(rig.equal("changes elsewhere").await, 200);
    let after = [rig.metric_now("reads_total").await, rig.metric("rows_total").await];
    assert!(after[0] - before[0] <= 2, "{before:?} {after:?}: reads for rows of another schema");
    assert!(after[1] - before[1] <= 1, "{before:?} {after:?}: rows of another schema were read");
    assert_eq!(rig.metric("documents_deleted_total").await, 0);
    rig.no_gap().await;
}

/// Odd names in backticks, unqualified names in `source.database`, a second schema with a dash in it.
#[tokio::test]
async fn odd_names_in_backticks() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "odd");
    run(&plan.opts, &["CREATE DATABASE IF NOT EXISTS `odd-second.db`"], "").await;
    grant_sync(&plan.opts, "odd-second.db").await;
    plan.setup = statements(&[
        "CREATE TABLE {db}.`order list` (`the id` BIGINT PRIMARY KEY, `we``ird` VARCHAR(20), `select` BIGINT)",
        "DROP TABLE IF EXISTS `odd-second.db`.`ключи`",
        "CREATE TABLE `odd-second.db`.`ключи` (`имя` BIGINT PRIMARY KEY, `a.b` VARCHAR(20))",
        "INSERT INTO {db}.`order list` VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', NULL)",
        "INSERT INTO `odd-second.db`.`ключи` VALUES (10, 'ten'), (20, 'twenty')",
    ]);
    let columns = "o.`we``ird` AS `odd ``one`, k.`a.b` AS `значение` \
                   FROM {db}.`order list` AS `o` LEFT JOIN `odd-second.db`.`ключи` k ON k.`имя` = o.`select`";
    let task = columns.replace("{db}.", "");
    plan.sql = format!("SELECT o.`the id` AS id, {task} WHERE `o`.`the id` IN (:ids)");
    plan.check = format!("SELECT CAST(o.`the id` AS CHAR), o.`the id` AS id, {columns}");
    plan.kinds = vec![Kind::Number, Kind::Text, Kind::Text];
    plan.edit = |file, db| file.set("source.database", db);
    let rig = Rig::start(plan).await;
    rig.run(&[
        "UPDATE {db}.`order list` SET `we``ird` = 'changed' WHERE `the id` = 2",
        "UPDATE `odd-second.db`.`ключи` SET `a.b` = 'zehn' WHERE `имя` = 10",
        "UPDATE {db}.`order list` SET `select` = 20 WHERE `the id` = 3",
        "DELETE FROM `odd-second.db`.`ключи` WHERE `имя` = 20",
        "INSERT INTO {db}.`order list` VALUES (4, 'd', 10)",
        "ALTER TABLE {db}.`order list` ADD COLUMN `new one` INT FIRST, COMMENT 'x'",
        "DELETE FROM {db}.`order list` WHERE `the id` = 1",
    ])
    .await;
    assert_eq!(rig.equal("changes").await, 3);
    rig.no_gap().await;
}
