//! The SQL of reads, lookups and walks, and its parameters.

use super::*;
use crate::model::KeyPart;

#[test]
fn the_read() {
    let plan = plan(SHOP);
    assert!(plan.read_sql(3).ends_with("WHERE o.id IN (?, ?, ?)"), "{}", plan.read_sql(3));
    let text = QueryText {
        database: Some("shop".into()),
        ..query(
            "WITH d AS (SELECT order_id FROM tags) SELECT orders.id, '%H:%i' FROM orders JOIN d ON d.order_id = orders.id WHERE orders.id IN(:auto_ids) AND orders.total > 0 ORDER BY 1;",
        )
    };
    let plan = try_plan(&text, &catalog(&[])).unwrap();
    assert_eq!(
        plan.read_sql(1),
        "WITH d AS (SELECT order_id FROM `shop`.tags) SELECT orders.id, '%H:%i' FROM `shop`.orders JOIN d ON d.order_id = orders.id WHERE orders.id IN(?) AND orders.total > 0 ORDER BY 1"
    );
}

#[test]
fn lookups() {
    let plan = plan(SHOP);
    let lookup = &plan.lookups()[0];
    assert_eq!(
        lookup.sql(2, true, 500),
        "SELECT DISTINCT `o`.`id` FROM `shop`.`orders` AS `o` WHERE `o`.`user_id` IN (?, ?) AND `o`.`id` > ? ORDER BY `o`.`id` LIMIT 500"
    );
    let params = lookup.params(&ints(&[1, 2]), Some(&Key::int(9)));
    assert_eq!(params, [KeyPart::Int(1), KeyPart::Int(2), KeyPart::Int(9)]);
}

#[test]
fn walks() {
    let plan = plan(SHOP);
    let sql =
        |selection: &WalkSelection, cursor| plan.walk_sql(selection, cursor, 7).unwrap().replace('`', "");
    assert_eq!(sql(&WalkSelection::All, false), "SELECT o.id FROM shop.orders AS o ORDER BY o.id LIMIT 7");
    let range = WalkSelection::Range { min: Some(Key::int(1)), max: Some(Key::int(5)) };
    assert_eq!(
        sql(&range, true),
        "SELECT o.id FROM shop.orders AS o WHERE o.id >= ? AND o.id < ? AND o.id > ? ORDER BY o.id LIMIT 7"
    );
    assert_eq!(
        plan.walk_params(&range, Some(&Key::int(3))),
        [KeyPart::Int(1), KeyPart::Int(5), KeyPart::Int(3)]
    );
    let own = WalkSelection::Where("o.status = 'a' OR o.total > 5".into());
    assert_eq!(
        sql(&own, true),
        "SELECT o.id FROM shop.orders AS o WHERE (o.status = 'a' OR o.total > 5) AND o.id > ? ORDER BY o.id LIMIT 7"
    );
    let joined = WalkSelection::Where("u.name LIKE 'a:b%'".into());
    assert_eq!(
        sql(&joined, false),
        "SELECT DISTINCT o.id FROM shop.orders o JOIN shop.users u ON u.id = o.user_id\n WHERE ( TRUE \n) AND (u.name LIKE 'a:b%') ORDER BY o.id LIMIT 7"
    );
}

#[test]
fn where_keeps_the_rest_of_the_query() {
    let sql = "WITH d AS (SELECT order_id FROM shop.tags) SELECT o.id, EXTRACT(YEAR FROM o.created_at) FROM shop.orders o, d -- WHERE
        WHERE d.order_id = o.id AND `o`.`id` IN (:ids) AND o.total > 0 GROUP BY o.id, o.created_at ORDER BY 1";
    let plan = plan(sql);
    let walked = plan.walk_sql(&WalkSelection::Where("d.order_id > 3".into()), true, 7).unwrap();
    assert_eq!(
        walked,
        "WITH d AS (SELECT order_id FROM shop.tags) SELECT DISTINCT `o`.`id` FROM shop.orders o, d -- WHERE\n WHERE \
         (d.order_id = o.id AND TRUE AND o.total > 0\n) AND (d.order_id > 3) AND `o`.`id` > ? ORDER BY `o`.`id` LIMIT 7"
    );
}

#[test]
fn conditions_refused() {
    let plan = plan(SHOP);
    for (text, want) in [
        ("o.id > 5) OR (1 = 1", "after the condition"),
        ("o.id > 5; DROP TABLE x", "after the condition"),
        ("o.id IN (:ids)", "a placeholder"),
        ("o.id = 1 -- x", "a comment"),
        ("o.id IN (SELECT 1)", "not supported here"),
        ("o.id = @x", "not supported here"),
        ("", "where:"),
    ] {
        let error = plan.walk_sql(&WalkSelection::Where(text.into()), false, 1).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
    let range = WalkSelection::Range { min: Some(Key::new([KeyPart::Int(1), KeyPart::Int(2)])), max: None };
    assert!(plan.walk_sql(&range, false, 1).is_err());
}

#[test]
fn composite_cursors() {
    let catalog = catalog(&["t.main: *a int, *b dec, c int?, v int"]);
    let text = QueryText {
        key: vec!["a".into(), "b".into()],
        ..query("SELECT a, b FROM t.main WHERE (main.a, main.b) IN (?)")
    };
    let plan = try_plan(&text, &catalog).unwrap();
    let m = "CAST(? AS DECIMAL(10,2))";
    assert_eq!(plan.read_sql(1), format!("SELECT a, b FROM t.main WHERE (main.a, main.b) IN ((?, {m}))"));
    assert_eq!(
        plan.walk_sql(&WalkSelection::All, true, 7).unwrap().replace('`', ""),
        format!(
            "SELECT main.a, main.b FROM t.main AS main WHERE ((main.a > ?) OR (main.a = ? AND main.b > {m})) ORDER BY main.a, main.b LIMIT 7"
        )
    );
    let key = Key::new([KeyPart::Int(1), KeyPart::Text("2.00".into())]);
    let want = [KeyPart::Int(1), KeyPart::Int(1), KeyPart::Text("2.00".into())];
    assert_eq!(plan.walk_params(&WalkSelection::All, Some(&key)), want);
    let text = QueryText { key: vec!["c".into()], ..query("SELECT c FROM t.main WHERE c IN (?)") };
    let sql =
        try_plan(&text, &catalog).unwrap().walk_sql(&WalkSelection::All, true, 7).unwrap().replace('`', "");
    assert_eq!(
        sql,
        "SELECT DISTINCT main.c FROM t.main AS main WHERE main.c IS NOT NULL AND main.c > ? ORDER BY main.c LIMIT 7"
    );
}

#[test]
fn explained() {
    let text = plan(SHOP).explain();
    for want in [
        "main table shop.orders, key id (id, int)",
        "shop.order_items\n  direct (i): order_id is the key\n    matters: id, order_id, sku, qty",
        "shop.users\n  lookup (u): by id\n    path: u.id = o.user_id\n    sql: SELECT DISTINCT `o`.`id` FROM",
    ] {
        assert!(text.contains(want), "{want} in\n{text}");
    }
}

#[test]
fn the_hash_follows_the_meaning() {
    let catalog = catalog(&[]);
    let hash = |text: &QueryText| try_plan(text, &catalog).unwrap().query_hash();
    let base = query(SHOP);
    assert_eq!(hash(&base), hash(&QueryText { sql: format!("  {SHOP}\n"), ..base.clone() }));
    assert_ne!(hash(&base), hash(&QueryText { sql: format!("{SHOP} AND o.total > 0"), ..base.clone() }));
    let rule =
        TableRule { table: TableName::new("shop", "users"), action: TableAction::Ignore, columns: vec![] };
    assert_ne!(hash(&base), hash(&QueryText { rules: vec![rule], ..base }));
}
