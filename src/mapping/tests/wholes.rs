//! Queries of several SELECTs, of views, of `*`, and of ids that are read alone.

use super::*;

#[test]
fn union_all_of_main_tables() {
    let catalog = catalog(&["shop.old_orders: *id int, status text, user_id int"]);
    let sql = "WITH d AS (SELECT order_id FROM shop.tags) \
        SELECT o.id, o.status, u.name FROM shop.orders o JOIN shop.users u ON u.id = o.user_id WHERE o.id IN (:ids) \
        UNION ALL SELECT a.id, a.status, '' FROM shop.old_orders a JOIN d ON d.order_id = a.id WHERE a.id IN (:ids)";
    let plan = try_plan(&query(sql), &catalog).unwrap();
    assert_eq!(rules(&plan, "shop.orders"), ["direct id"]);
    assert_eq!(rules(&plan, "shop.old_orders"), ["direct id"]);
    assert_eq!(rules(&plan, "shop.tags"), ["direct order_id"]);
    assert_eq!(rules(&plan, "shop.users").len(), 1);
    let read = plan.read_sql(2);
    assert_eq!(read.matches("WITH d").count(), 1, "{read}");
    assert_eq!(read.matches("IN (?, ?)").count(), 2, "{read}");
    assert_eq!(plan.read_params(&ints(&[1, 2])).len(), 4);
    let walk = plan.walk_sql(&WalkSelection::All, true, 5).unwrap().replace('`', "");
    assert_eq!(
        walk,
        "(SELECT o.id FROM shop.orders AS o WHERE o.id > ? ORDER BY o.id LIMIT 5) UNION \
         (SELECT a.id FROM shop.old_orders AS a WHERE a.id > ? ORDER BY a.id LIMIT 5) ORDER BY 1 LIMIT 5"
    );
    assert_eq!(plan.walk_params(&WalkSelection::All, Some(&Key::int(3))).len(), 2);
    assert_eq!(
        plan.present_sql(1).replace('`', ""),
        "SELECT o.id FROM shop.orders AS o WHERE o.id IN (?) UNION ALL SELECT a.id FROM shop.old_orders AS a WHERE a.id IN (?)"
    );
}

#[test]
fn stars_are_written_out() {
    let plan =
        plan("SELECT o.*, u.name FROM shop.orders o JOIN shop.users u ON u.id = o.user_id WHERE o.id IN (?)");
    let read = plan.read_sql(1);
    assert!(read.starts_with("SELECT o.`id`, o.`user_id`, o.`status`"), "{read}");
    assert!(read.contains("o.`ref`, u.name FROM"), "{read}");
    assert_eq!(plan.table(&TableName::new("shop", "orders")).unwrap().watched(), None);
    let text = QueryText {
        database: Some("shop".into()),
        ..query("SELECT * FROM tags JOIN orders ON orders.id = order_id WHERE id IN (?)")
    };
    let plan = try_plan(&text, &catalog(&[])).unwrap();
    let read = plan.read_sql(1);
    assert!(
        read.starts_with("SELECT `shop`.`tags`.`order_id`, `shop`.`tags`.`tag`, `shop`.`orders`.`id`"),
        "{read}"
    );
    assert!(read.contains("FROM `shop`.tags JOIN `shop`.orders"), "{read}");
}

#[test]
fn a_new_column_of_a_star_is_a_gap() {
    let plan = plan("SELECT o.* FROM shop.orders o WHERE o.id IN (?)");
    let mut history = SchemaHistory::default();
    history.insert(TableName::new("shop", "orders"), event_columns(&catalog(&[]), "shop.orders"));
    let effect = history.apply("ALTER TABLE shop.orders ADD COLUMN extra INT", "shop", &plan);
    assert!(matches!(effect, DdlEffect::Gap { .. }), "{effect:?}");
}

#[test]
fn views_are_what_they_stand_for() {
    let mut catalog = catalog(&[]);
    let (name, mut view) = table("shop.sold: order_id int, title text");
    view.is_view = true;
    view.view_text = "select `i`.`order_id` AS `x`,`p`.`title` AS `y` from (`shop`.`order_items` `i` join `shop`.`products` `p` on((`p`.`id` = `i`.`product_id`)))".into();
    catalog.tables.insert(name, view);
    let sql = "SELECT o.id, s.title FROM shop.orders o LEFT JOIN shop.sold s ON s.order_id = o.id WHERE o.id IN (?)";
    let parsed = parse(&query(sql)).unwrap();
    assert!(parsed.tables().contains(&TableName::new("shop", "sold")));
    let mut small = catalog.clone();
    small.tables.remove(&TableName::new("shop", "products"));
    assert_eq!(parsed.more_tables(&small, &[]).unwrap(), [TableName::new("shop", "products")]);
    let plan = parsed.compile(&catalog).unwrap();
    assert_eq!(rules(&plan, "shop.order_items"), ["direct order_id"]);
    assert_eq!(
        rules(&plan, "shop.products"),
        [
            "lookup id: o.id FROM shop.order_items AS i JOIN shop.orders AS o ON i.order_id = o.id WHERE i.product_id IN (?)"
        ]
    );
    let mut history = SchemaHistory::default();
    for (sql, gap) in [
        (
            "CREATE OR REPLACE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `sold` AS select 1",
            true,
        ),
        ("ALTER VIEW sold AS SELECT 1", true),
        ("DROP VIEW IF EXISTS sold", true),
        ("CREATE VIEW other AS SELECT * FROM x", false),
        ("DROP VIEW other", false),
    ] {
        let effect = history.apply(sql, "shop", &plan);
        assert_eq!(matches!(effect, DdlEffect::Gap { .. }), gap, "{sql}: {effect:?}");
    }
}

#[test]
fn ids_that_are_read_alone() {
    for sql in [
        "SELECT o.id, i.sku FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?) ORDER BY i.id LIMIT 1",
        "SELECT o.id, COUNT(*) FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?)",
        "SELECT o.id, SUM(o.total) OVER (ORDER BY o.status) FROM shop.orders o WHERE o.id IN (?)",
    ] {
        let error = try_plan(&query(sql), &catalog(&[])).unwrap_err().to_string();
        assert!(error.contains("query.batch: One"), "{error}");
        let alone = QueryText { one_by_one: true, ..query(sql) };
        assert!(try_plan(&alone, &catalog(&[])).unwrap().one_by_one(), "{sql}");
    }
}
