//! `routing` and `idTemplate`: one document for each row, where its routing leads to, and no older one elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::rig::{PATIENCE, Plan, Rig, statements};
use e2e::{Kind, TaskFile, shared};
use serde_json::json;

/// Each document's `_id` with its routing, also of one that several shards have.
async fn places(rig: &Rig) -> Vec<(String, Option<String>)> {
    let _ = rig.search.get(&format!("/{}/_refresh", rig.index)).await.ok();
    let body = json!({"size": 10_000, "_source": false, "sort": ["_doc"]});
    let found = rig.search.post(&format!("/{}/_search", rig.index), &body).await.ok().json();
    let hits = found["hits"]["hits"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let mut places: Vec<_> = hits.map(|hit| (text(&hit["_id"]).unwrap(), text(&hit["_routing"]))).collect();
    places.sort();
    places
}

/// What the places are where each row's routing is a column's value.
async fn expected(rig: &Rig, sql: &str) -> Vec<(String, Option<String>)> {
    use mysql_async::prelude::Queryable;
    let rows: Vec<(String, String)> = rig.conn().await.query(sql.replace("{db}", &rig.db)).await.unwrap();
    let places: BTreeMap<String, Option<String>> =
        rows.into_iter().map(|(id, routing)| (id, Some(routing))).collect();
    places.into_iter().collect()
}

/// Invariant 1: a document whose routing changes leaves nothing behind in its old shard.
#[tokio::test]
async fn a_changed_routing_moves_the_document() {
    let mut plan = Plan::on(shared::mysql().await, "routed");
    plan.shards = 5;
    plan.setup = statements(&[
        "CREATE TABLE {db}.tenants (id INT PRIMARY KEY, region VARCHAR(20))",
        "CREATE TABLE {db}.orders (id INT PRIMARY KEY, tenant_id INT, total INT, KEY (tenant_id))",
        "INSERT INTO {db}.tenants VALUES (1, 'eu'), (2, 'us'), (3, 'asia, \"far\"'), (4, 'af'), (5, 'Köln')",
        "INSERT INTO {db}.orders WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 400)
           SELECT n, 1 + n % 5, n FROM r",
    ]);
    let select = |key: &str, filter: &str| {
        format!(
            "SELECT {key}o.id, o.total, t.region FROM {{db}}.orders o JOIN {{db}}.tenants t ON t.id = o.tenant_id
              WHERE {filter}"
        )
    };
    plan.sql = select("", "o.id IN (:ids)");
    plan.check = select("CAST(o.id AS CHAR), ", "TRUE");
    plan.kinds = vec![Kind::Number, Kind::Number, Kind::Text];
    plan.edit = |file, _| file.set("sink.elasticsearch.routing", "region");
    let rig = Rig::start(plan).await;
    let wanted =
        "SELECT CAST(o.id AS CHAR), t.region FROM {db}.orders o JOIN {db}.tenants t ON t.id = o.tenant_id";
    assert_eq!(places(&rig).await, expected(&rig, wanted).await);
    for change in [
        "UPDATE {db}.orders SET tenant_id = 1 + (tenant_id + 1) % 5",
        "UPDATE {db}.tenants SET region = CONCAT(region, ' 2')",
        "DELETE FROM {db}.orders WHERE id % 3 = 0",
        "UPDATE {db}.tenants SET region = 'one' WHERE id < 4",
        "UPDATE {db}.orders SET id = id + 1000 WHERE id % 5 = 1",
        "UPDATE {db}.orders SET total = total + 1",
    ] {
        rig.run(&[change]).await;
        rig.equal(change).await;
        // a search may find the new document before the old one is gone
        let moved = async || match (places(&rig).await, expected(&rig, wanted).await) {
            (found, wanted) if found == wanted => Ok(()),
            (found, wanted) => Err(format!("{found:?}, not {wanted:?}")),
        };
        rig.operator.wait_until(change, PATIENCE, moved).await;
    }
    rig.no_gap().await;
}

#[tokio::test]
async fn a_row_without_routing_is_a_dead_letter_until_it_has_one() {
    let mut plan = Plan::on(shared::mysql().await, "unrouted");
    plan.shards = 2;
    plan.setup = statements(&[
        "CREATE TABLE {db}.orders (id INT PRIMARY KEY, region VARCHAR(20))",
        "INSERT INTO {db}.orders VALUES (1, 'eu'), (2, NULL), (3, '')",
    ]);
    plan.sql = "SELECT o.id, o.region FROM {db}.orders o WHERE o.id IN (:ids)".into();
    plan.check = "SELECT CAST(id AS CHAR), id, region FROM {db}.orders".into();
    plan.kinds = vec![Kind::Number, Kind::Text];
    plan.edit = |file, _| file.set("sink.elasticsearch.routing", "region");
    let rig = Rig::launch(plan).await;
    let two = async || {
        let letters = rig.operator.metrics().await?.sum("binlog_operator_dead_letters", &[]);
        if letters == Some(2.0) { Ok(()) } else { Err(format!("{letters:?} dead letters")) }
    };
    rig.operator.wait_until("two dead letters", PATIENCE, two).await;
    rig.run(&["UPDATE {db}.orders SET region = 'us' WHERE id > 1"]).await;
    rig.equal("a routing for all").await;
}

/// Orders, so many, of seven tenants; the tenant is a column of the key.
async fn by_tenant(name: &'static str, orders: u32) -> Plan {
    let mut plan = Plan::on(shared::mysql().await, name);
    plan.shards = 3;
    plan.setup = statements(&[
        "CREATE TABLE {db}.orders (tenant VARCHAR(10), id INT, total INT, PRIMARY KEY (tenant, id))",
        &format!(
            "INSERT INTO {{db}}.orders
               WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {orders})
             SELECT CONCAT('t', n % 7), n, n FROM r"
        ),
    ]);
    plan.sql = "SELECT o.tenant, o.id, o.total FROM {db}.orders o WHERE (o.tenant, o.id) IN (:ids)".into();
    plan.kinds = vec![Kind::Text, Kind::Number, Kind::Number];
    plan
}

/// Both columns are the key, and the tenant is the routing.
fn by_both(file: TaskFile) -> TaskFile {
    let file = file.set("query.keys", json!(["tenant", "id"])).set("query.key", json!(null));
    file.set("sink.elasticsearch.routing", "tenant")
}

const KEY: &str = r"CONCAT('shop/', REPLACE(REPLACE(tenant, '\\', '\\\\'), '-', '\\-'), '-', id)";

/// What a task without routing left, in several shards, and two documents that are nobody's.
fn left_behind(index: &str) -> String {
    let mut lines = String::new();
    for n in 1..=60 {
        for routing in ["x", "y", "z"] {
            let id = format!("shop/t{}-{n}", n % 7);
            let head = json!({"index": {"_index": index, "_id": id, "routing": routing}});
            writeln!(lines, "{head}\n{{\"old\":true}}").unwrap();
        }
    }
    for id in ["t1-1", "shop/t1-1000"] {
        writeln!(lines, "{}\n{{}}", json!({"index": {"_index": index, "_id": id}})).unwrap();
    }
    lines
}

/// A column of the key never changes: nothing is deleted elsewhere, but for what stood there before.
#[tokio::test]
async fn documents_of_another_routing_go_with_the_build() {
    let mut plan = by_tenant("tenants", 60).await;
    plan.check = format!("SELECT {KEY}, tenant, id, total FROM {{db}}.orders");
    plan.edit = |file, _| by_both(file).set("sink.elasticsearch.idTemplate", "shop/{tenant}-{id}");
    plan.documents = left_behind;
    let rig = Rig::start(plan).await;
    let wanted = format!("SELECT {KEY}, tenant FROM {{db}}.orders");
    assert_eq!(places(&rig).await, expected(&rig, &wanted).await);
    for change in [
        "DELETE FROM {db}.orders WHERE id % 4 = 0",
        // what separates the columns is escaped within them
        r"UPDATE {db}.orders SET tenant = 't-\\9' WHERE id % 4 = 1",
        "UPDATE {db}.orders SET total = -1",
    ] {
        rig.run(&[change]).await;
        rig.equal(change).await;
        assert_eq!(places(&rig).await, expected(&rig, &wanted).await, "after {change}");
    }
    rig.no_gap().await;
}

/// What a task that wrote by Upsert left under other routings: its own fields, those of others, and both; also of
/// ids without a row.
fn upserted(index: &str) -> String {
    let mut lines = String::new();
    for n in 1..=50 {
        let (tenant, id) = (format!("t{}", n % 7), format!("t{}|{n}", n % 7));
        for (routing, document) in [
            ("x", json!({"tenant": tenant, "id": n, "total": -1})),
            ("y", json!({"tenant": tenant, "id": n, "total": -1, "theirs": n})),
            ("z", json!({"theirs": n})),
        ] {
            let head = json!({"index": {"_index": index, "_id": id, "routing": routing}});
            writeln!(lines, "{head}\n{document}").unwrap();
        }
    }
    lines
}

/// The documents in which others have a field. Fails while one of the rows is not where its routing leads to, or the
/// task's fields are anywhere else.
async fn only_in_place(rig: &Rig) -> Result<usize, String> {
    use mysql_async::prelude::Queryable;
    let sql = format!("SELECT CONCAT(tenant, '|', id), tenant, total FROM {}.orders", rig.db);
    let rows: Vec<(String, String, i64)> = rig.conn().await.query(sql).await.unwrap();
    let mut rows: BTreeMap<_, _> =
        rows.into_iter().map(|(id, tenant, total)| ((id, tenant), total)).collect();
    let _ = rig.search.get(&format!("/{}/_refresh", rig.index)).await.ok();
    let body = json!({"size": 10_000, "sort": ["_doc"]});
    let found = rig.search.post(&format!("/{}/_search", rig.index), &body).await.ok().json();
    let mut others = 0;
    for hit in found["hits"]["hits"].as_array().unwrap() {
        let text = |name: &str| hit[name].as_str().unwrap_or_default().to_owned();
        let (total, theirs) = (&hit["_source"]["total"], !hit["_source"]["theirs"].is_null());
        others += usize::from(theirs);
        match rows.remove(&(text("_id"), text("_routing"))) {
            Some(wanted) if *total == json!(wanted) => {}
            None if total.is_null() && theirs => {}
            wanted => return Err(format!("{wanted:?} wanted, found {hit}")),
        }
    }
    if rows.is_empty() { Ok(others) } else { Err(format!("not there: {rows:?}")) }
}

/// Invariant 1 where a task shares its documents: what it wrote under another routing goes, what others wrote stays.
#[tokio::test]
async fn upserts_of_another_routing_go_and_leave_what_is_of_others() {
    let mut plan = by_tenant("moved", 40).await;
    plan.check = "SELECT CONCAT(tenant, '|', id), tenant, id, total FROM {db}.orders".into();
    plan.edit = |file, _| by_both(file).set("sink.shared", true).set("sink.elasticsearch.write", "Upsert");
    plan.documents = upserted;
    let rig = Rig::launch(plan).await;
    for change in [
        "SELECT 'the build'",
        "UPDATE {db}.orders SET total = total + 100",
        "DELETE FROM {db}.orders WHERE id % 4 = 0",
        "INSERT INTO {db}.orders SELECT CONCAT('t', id % 7), id + 40, 7 FROM {db}.orders WHERE id <= 20",
    ] {
        rig.run(&[change]).await;
        let what = format!("all in place after {change}");
        let others = rig.operator.wait_until(&what, PATIENCE, async || only_in_place(&rig).await).await;
        assert_eq!(others, 100, "what others wrote stays, after {change}");
    }
    rig.no_gap().await;
}
