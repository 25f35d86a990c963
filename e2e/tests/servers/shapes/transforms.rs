//! Transforms through the full build and through the stream; bad values; rows that are skipped.

use super::rig::{PATIENCE, Plan, Rig, statements};
use e2e::stage::{wait_condition, wait_said};
use e2e::{Kind, MysqlServer, Size, Stage, TaskFile, shared, wait_until};
use serde_json::{Value, json};

fn plan(mysql: &MysqlServer, name: &'static str, edit: fn(TaskFile, &str) -> TaskFile) -> Plan {
    Plan {
        setup: statements(&[
            "CREATE TABLE {db}.book (id BIGINT PRIMARY KEY, title VARCHAR(100), tags TEXT, meta TEXT, \
             published DATE, la DECIMAL(9,6), lo DECIMAL(9,6), state VARCHAR(20) NOT NULL DEFAULT 'on')",
            "INSERT INTO {db}.book VALUES (1, 'Rust', ' a; b;;c ', '{\"isbn\": \"X\", \"pages\": 1.50}', \
             '2026-02-28', 52.52, 13.405, 'on'), (2, NULL, NULL, NULL, NULL, NULL, NULL, 'on'), \
             (3, 'Gone', '', '{}', NULL, NULL, NULL, 'off')",
        ]),
        sql: "SELECT b.id, b.title AS `book.title`, b.tags, b.meta, b.published, b.la, b.lo, b.state \
              FROM {db}.book b WHERE b.id IN (:ids)"
            .to_owned(),
        check: "SELECT CAST(id AS CHAR), id FROM {db}.book".to_owned(),
        kinds: vec![Kind::Number],
        edit,
        ..Plan::on(mysql, name)
    }
}

fn all(file: TaskFile, _: &str) -> TaskFile {
    file.set(
        "transforms",
        json!([
            {"skipWhen": {"field": "state", "values": ["off"]}},
            {"remove": ["state"]},
            {"splitFields": {"field": "tags", "sep": ";", "trim": true}},
            {"jsonDecodeFields": ["meta"]},
            {"rename": {"from": "meta.isbn", "to": "ISBN"}},
            {"lowercase": ["book.title", "meta.ISBN"]},
            {"dateFormat": {"field": "published", "to": "%d.%m.%Y"}},
            {"geoPoint": {"field": "place", "lat": "la", "lon": "lo"}},
            {"constant": {"field": "kind", "value": "book"}},
            {"nest": {}},
        ]),
    )
}

fn lenient(file: TaskFile, _: &str) -> TaskFile {
    file.set(
        "transforms",
        json!([
            {"jsonDecodeFields": ["tags", "title"], "onBad": "Default", "default": {"bad": true}},
            {"remove": ["title", "meta", "published", "la", "lo", "state"]},
        ]),
    )
}

async fn document(rig: &Rig, id: &str, wanted: Option<Value>) {
    let what = format!("document {id}: {wanted:?}");
    rig.operator
        .wait_until(&what, PATIENCE, async || {
            let doc = rig.search.doc(&rig.index, id).await;
            let found: Option<Value> = doc.map(|doc| serde_json::from_str(&doc.source).unwrap());
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
}

#[tokio::test]
async fn every_transform_through_build_and_stream() {
    let mysql = shared::mysql().await;
    let plan = plan(mysql, "transforms", all);
    let rig = Rig::launch(plan).await;
    let book = |title: Value, tags: Value, meta: Value, published: Value, place: Value| {
        json!({"book": {"title": title}, "tags": tags, "meta": meta, "published": published, "place": place,
            "kind": "book"})
    };
    let with_id = |id: u32, mut book: Value| {
        book["id"] = json!(id);
        Some(book)
    };
    let exact: Value = serde_json::from_str(r#"{"ISBN": "x", "pages": 1.50}"#).unwrap();
    let place: Value = serde_json::from_str(r#"{"lat": 52.520000, "lon": 13.405000}"#).unwrap();
    let one = book(json!("rust"), json!(["a", "b", "c"]), exact.clone(), json!("28.02.2026"), place.clone());
    document(&rig, "1", with_id(1, one)).await;
    let none = || Value::Null;
    document(&rig, "2", with_id(2, book(none(), none(), none(), none(), none()))).await;
    document(&rig, "3", None).await;

    rig.run(&[
        "UPDATE {db}.book SET state = 'on', title = 'BACK' WHERE id = 3",
        "UPDATE {db}.book SET state = 'off' WHERE id = 2",
    ])
    .await;
    document(&rig, "2", None).await;
    document(&rig, "3", with_id(3, book(json!("back"), json!([]), json!({}), none(), none()))).await;

    // a bad value is one dead letter, healed by a good one
    rig.run(&["UPDATE {db}.book SET meta = '{broken' WHERE id = 1"]).await;
    let status = wait_condition(&rig.operator, "DeadLetters", "True").await;
    assert!(status.ready, "{}", status.text);
    let line = wait_until("the letter in the log", PATIENCE, async || {
        let log = rig.operator.log();
        log.lines().find(|line| line.contains("dead letter")).map(str::to_owned).ok_or(log)
    })
    .await;
    assert!(line.contains("spec.transforms[3].jsonDecodeFields") && line.contains("\\\"meta\\\""), "{line}");
    rig.run(&["UPDATE {db}.book SET meta = '[7]' WHERE id = 1"]).await;
    let one = book(json!("rust"), json!(["a", "b", "c"]), json!([7]), json!("28.02.2026"), place);
    document(&rig, "1", with_id(1, one)).await;
    wait_condition(&rig.operator, "DeadLetters", "False").await;
    rig.no_gap().await;
}

#[tokio::test]
async fn bad_values_become_the_default_where_it_is_asked_for() {
    let mysql = shared::mysql().await;
    let mut plan = plan(mysql, "lenient", lenient);
    plan.sql = plan.sql.replace("`book.title`", "title");
    let rig = Rig::launch(plan).await;
    document(&rig, "1", Some(json!({"id": 1, "tags": {"bad": true}}))).await;
    document(&rig, "2", Some(json!({"id": 2, "tags": null}))).await;
    rig.run(&["UPDATE {db}.book SET tags = '[1]' WHERE id = 1"]).await;
    document(&rig, "1", Some(json!({"id": 1, "tags": [1]}))).await;
    assert_eq!(rig.metric_now("dead_letters_total").await, 0);
}

/// Paths lead into the objects of children; rows of several shards are skipped and come back.
#[tokio::test]
async fn transforms_of_children_and_of_sharded_rows() {
    let mysql = shared::mysql().await;
    let mut plan = plan(mysql, "library", of_children);
    plan.setup = statements(&[
        "CREATE TABLE {db}.book_0 (id BIGINT PRIMARY KEY, title VARCHAR(40), state VARCHAR(9))",
        "CREATE TABLE {db}.book_1 LIKE {db}.book_0",
        "CREATE TABLE {db}.loans (id INT PRIMARY KEY, book_id BIGINT, tags TEXT, meta TEXT, KEY (book_id))",
        "INSERT INTO {db}.book_0 VALUES (2, 'TWO', 'on'), (4, 'FOUR', 'off')",
        "INSERT INTO {db}.book_1 VALUES (1, 'ONE', 'on')",
        "INSERT INTO {db}.loans VALUES (1, 2, 'a;b', '{\"n\": 1.50}'), (2, 2, NULL, '[]'), (3, 4, 'x', NULL)",
    ]);
    plan.sql = "SELECT b.id, b.title, b.state FROM {db}.book_{{shard}} b WHERE b.id IN (:ids)".to_owned();
    let rig = Rig::launch(plan).await;
    let lent: Value = serde_json::from_str(
        r#"[{"labels": ["a", "b"], "meta": {"n": 1.50}}, {"labels": null, "meta": []}]"#,
    )
    .unwrap();
    document(&rig, "1", Some(json!({"id": 1, "title": "one", "loans": []}))).await;
    document(&rig, "2", Some(json!({"id": 2, "title": "two", "loans": lent}))).await;
    document(&rig, "4", None).await;

    rig.run(&[
        "UPDATE {db}.book_0 SET state = IF(id = 2, 'off', 'on')",
        "UPDATE {db}.loans SET book_id = 1 WHERE id = 1",
    ])
    .await;
    let one = json!([{"labels": ["a", "b"], "meta": lent[0]["meta"]}]);
    document(&rig, "1", Some(json!({"id": 1, "title": "one", "loans": one}))).await;
    document(&rig, "2", None).await;
    let four = json!([{"labels": ["x"], "meta": null}]);
    document(&rig, "4", Some(json!({"id": 4, "title": "four", "loans": four}))).await;

    // a bad value in one child is its document's dead letter
    rig.run(&["UPDATE {db}.loans SET meta = '{broken' WHERE id = 3"]).await;
    wait_condition(&rig.operator, "DeadLetters", "True").await;
    rig.run(&["DELETE FROM {db}.loans WHERE id = 3"]).await;
    document(&rig, "4", Some(json!({"id": 4, "title": "four", "loans": []}))).await;
    wait_condition(&rig.operator, "DeadLetters", "False").await;
    rig.no_gap().await;
}

fn of_children(file: TaskFile, db: &str) -> TaskFile {
    let loans =
        format!("SELECT l.book_id, l.tags, l.meta FROM {db}.loans l WHERE l.book_id IN (:ids) ORDER BY l.id");
    file.set("query.table", format!("{db}.book"))
        .set("query.children", json!([{"field": "loans", "key": "book_id", "sql": loans}]))
        .set(
            "mapping.sharding",
            json!({"variable": "shard", "strategy": "mod", "shards": 2, "suffixWidth": 1}),
        )
        .set(
            "transforms",
            json!([
                {"skipWhen": {"field": "state", "values": ["off"]}},
                {"remove": ["state"]},
                {"splitFields": {"field": "loans.tags", "sep": ";"}},
                {"rename": {"from": "loans.tags", "to": "labels"}},
                {"jsonDecodeFields": ["loans.meta"]},
                {"lowercase": ["title"]},
            ]),
        )
}

/// The first row is the document, whatever becomes of it: the second one is none instead.
#[tokio::test]
async fn a_bad_first_row_is_a_dead_letter() {
    let mut plan = plan(shared::mysql().await, "badfirst", |file, _| {
        file.set("query.rows", "First").set("transforms", json!([{"jsonDecodeFields": ["what"]}]))
    });
    plan.setup = statements(&[
        "CREATE TABLE {db}.orders (id INT PRIMARY KEY)",
        "CREATE TABLE {db}.events (id INT PRIMARY KEY, order_id INT, what VARCHAR(20), KEY (order_id))",
        "INSERT INTO {db}.orders VALUES (1), (2)",
        "INSERT INTO {db}.events VALUES (1, 1, '{broken'), (2, 1, '7'), (3, 2, '8'), (4, 2, '{broken')",
    ]);
    plan.sql = "SELECT o.id, e.what FROM {db}.orders o JOIN {db}.events e ON e.order_id = o.id
                 WHERE o.id IN (:ids) ORDER BY e.id"
        .to_owned();
    let rig = Rig::launch(plan).await;
    document(&rig, "2", Some(json!({"id": 2, "what": 8}))).await;
    wait_condition(&rig.operator, "DeadLetters", "True").await;
    document(&rig, "1", None).await;
    rig.run(&["UPDATE {db}.events SET what = '[1]' WHERE id = 1"]).await;
    document(&rig, "1", Some(json!({"id": 1, "what": [1]}))).await;
    wait_condition(&rig.operator, "DeadLetters", "False").await;
}

/// Another transform is another document: everything is built anew.
#[tokio::test]
async fn an_edit_builds_anew_and_a_wrong_name_is_refused() {
    let (mysql, elastic) = shared::both().await;
    let mut stage = Stage::new(mysql, elastic, "edited", Size::SMALL).await;
    let mut operator = stage.start();
    stage.equal(&operator).await;
    operator.terminate(PATIENCE).await;
    stage.set("transforms", json!([{"remove": ["customer"]}]));
    let mut operator = stage.start();
    stage.settle(&operator).await;
    let docs = stage.search.docs(&stage.index).await.unwrap();
    assert!(docs.len() == 200 && docs.values().all(|doc| !doc.source.contains("customer")), "{docs:?}");
    operator.terminate(PATIENCE).await;

    stage.set("transforms", json!([{"remove": ["custommer"]}]));
    let operator = stage.start();
    let status = wait_said(&operator, "Preflight", "False Refused").await;
    let words = status.condition("Preflight");
    assert!(
        words.contains("spec.transforms[0].remove: \"custommer\" is no field here; write one of id, "),
        "{words}"
    );
}
