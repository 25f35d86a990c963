//! Entries of `mapping.tables`, and foreign keys that leave no trace.

use super::*;

fn with_rules(sql: &str, entries: &[(&str, TableAction)]) -> QueryText {
    let rules = entries.iter().map(|(table, action)| {
        let (schema, name) = table.split_once('.').unwrap_or(("", table));
        TableRule { table: TableName::new(schema, name), action: action.clone(), columns: vec![] }
    });
    QueryText { rules: rules.collect(), ..query(sql) }
}

const NO_PATH: &str =
    "SELECT o.id, (SELECT MAX(p.title) FROM shop.products p) FROM shop.orders o WHERE o.id IN (?)";

#[test]
fn each_action() {
    let catalog = catalog(&[]);
    let plan_of = |entry: (&str, TableAction)| try_plan(&with_rules(NO_PATH, &[entry]), &catalog);
    let plan = plan_of(("shop.products", TableAction::Ignore)).unwrap();
    assert!(plan.table(&TableName::new("shop", "products")).is_none());
    assert!(plan.explain().contains("shop.products\n  ignored"));
    let plan = plan_of(("shop.products", TableAction::Column(vec!["maker_id".into()]))).unwrap();
    assert_eq!(rules(&plan, "shop.products"), ["direct maker_id"]);
    let plan = plan_of(("shop.products", TableAction::All)).unwrap();
    let row = |title: &'static [u8], maker| [Value::Int(1), Value::Bytes(title.into()), Value::Int(maker)];
    let out = touch(&plan, &catalog, "shop.products", Some(&row(b"a", 1)), Some(&row(b"b", 1))).unwrap();
    assert!(out.rebuild && out.pruned == 0);
    let out = touch(&plan, &catalog, "shop.products", Some(&row(b"a", 1)), Some(&row(b"a", 2))).unwrap();
    assert!(!out.rebuild && out.pruned == 1);
    let lookup = LookupRule {
        sql: "SELECT i.order_id FROM shop.order_items i WHERE i.product_id IN (:keys) -- all".into(),
        key: "id".into(),
        ..LookupRule::default()
    };
    let plan = plan_of(("shop.products", TableAction::Lookup(lookup))).unwrap();
    assert_eq!(
        plan.lookups()[0].sql(2, true, 5),
        "SELECT DISTINCT `l`.`order_id` FROM (SELECT i.order_id FROM shop.order_items i WHERE i.product_id IN (?, ?)\n) AS `l` \
         WHERE `l`.`order_id` IS NOT NULL AND `l`.`order_id` > ? ORDER BY `l`.`order_id` LIMIT 5"
    );
    assert_eq!(rules(&plan, "shop.products").len(), 1);
}

#[test]
fn a_lookup_in_the_default_schema() {
    let sql = "SELECT order_id FROM order_items WHERE product_id IN (:keys)".to_owned();
    let rule = TableAction::Lookup(LookupRule { sql, key: "id".into(), ..LookupRule::default() });
    let text = QueryText { database: Some("shop".into()), ..with_rules(NO_PATH, &[("products", rule)]) };
    let plan = try_plan(&text, &catalog(&[])).unwrap();
    let sql = plan.lookups()[0].sql(1, false, 5);
    assert!(
        sql.contains("(SELECT order_id FROM `shop`.order_items WHERE product_id IN (?)\n) AS `l`"),
        "{sql}"
    );
}

#[test]
fn the_columns_that_matter() {
    let rule = |action, columns: &[&str]| TableRule {
        table: TableName::new("shop", "order_items"),
        action,
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
    };
    let plan_of = |rule| try_plan(&QueryText { rules: vec![rule], ..query(SHOP) }, &catalog(&[]));
    let items = TableName::new("shop", "order_items");
    let plan = plan_of(rule(TableAction::Derived, &["qty"])).unwrap();
    assert_eq!(rules(&plan, "shop.order_items"), ["direct order_id"]);
    assert_eq!(plan.table(&items).unwrap().watched().unwrap(), ["order_id", "qty"]);
    let plan = plan_of(rule(TableAction::All, &["qty"])).unwrap();
    assert_eq!(plan.table(&items).unwrap().watched().unwrap(), ["qty"]);
    let error = plan_of(rule(TableAction::Derived, &["nope"])).unwrap_err().to_string();
    assert!(error.contains("the table has no column nope"), "{error}");
}

#[test]
fn a_table_outside_the_query() {
    let plan = try_plan(
        &with_rules(SHOP, &[("shop.tags", TableAction::Column(vec!["order_id".into()]))]),
        &catalog(&[]),
    )
    .unwrap();
    assert_eq!(rules(&plan, "shop.tags"), ["direct order_id"]);
    assert_eq!(plan.table(&TableName::new("shop", "tags")).unwrap().watched(), None);
}

#[test]
fn entries_that_cannot_be_right() {
    let rule = |sql: &str| LookupRule { sql: sql.into(), key: "id".into(), ..LookupRule::default() };
    let lookup = |sql: &str| TableAction::Lookup(rule(sql));
    let ordered = LookupRule { order_key: Some("x".into()), ..rule("SELECT a FROM shop.x WHERE y IN (?)") };
    for (entry, want) in [
        (("shop.products", TableAction::Column(vec!["nope".into()])), "the table has no column nope"),
        (
            ("shop.products", TableAction::Column(vec!["title".into()])),
            "column title is varchar(64), the main key is int",
        ),
        (("shop.products", TableAction::Column(vec![])), "names 0 columns"),
        (("shop.nope", TableAction::Column(vec!["id".into()])), "no such table"),
        (("products", TableAction::All), "no schema; write schema.table"),
        (("shop.products", lookup("SELECT 1 FROM shop.x WHERE y = 1")), "no placeholder was found"),
        (
            ("shop.products", lookup("SELECT a, b FROM shop.x WHERE y IN (?)")),
            "one named column per key column",
        ),
        (("shop.products", lookup("SELECT a FROM shop.x WHERE y IN (?) LIMIT 5")), "LIMIT"),
        (("shop.products", TableAction::Lookup(ordered)), "pages are cut by the main key, a"),
    ] {
        let error = try_plan(&with_rules(NO_PATH, &[entry]), &catalog(&[])).unwrap_err().to_string();
        assert!(error.contains(want), "{want}: {error}");
    }
}

#[test]
fn cascades_that_are_not_logged() {
    let mut catalog = catalog(&[]);
    catalog.cascades_logged = false;
    let items = TableName::new("shop", "order_items");
    let orders = TableName::new("shop", "orders");
    let batch = ("shop.batches".to_owned(), foreign_key(&["id"], "shop.batches", &["order_id"]));
    let keys = vec![
        foreign_key(&["order_id"], "shop.orders", &["id"]),
        foreign_key(&["product_id"], "shop.products", &["id"]),
    ];
    catalog.tables.get_mut(&items).unwrap().foreign_keys = keys;
    catalog.tables.get_mut(&orders).unwrap().foreign_keys = vec![batch.1];
    let (name, parent) = table("shop.batches: *order_id int, x int");
    catalog.tables.insert(name, parent);
    let plan = try_plan(&query(SHOP), &catalog).unwrap();
    // The parent's delete is the order's, and so the items'.
    assert_eq!(rules(&plan, "shop.batches"), ["direct order_id"]);
    let row = |id, x| [Value::Int(id), Value::Int(x)];
    let gone = touch(&plan, &catalog, "shop.batches", Some(&row(3, 0)), None).unwrap();
    assert_eq!(gone.keys, ints(&[3]));
    let added = touch(&plan, &catalog, "shop.batches", None, Some(&row(3, 0))).unwrap();
    assert_eq!((added.keys.len(), added.pruned), (0, 1));
    let moved = touch(&plan, &catalog, "shop.batches", Some(&row(3, 0)), Some(&row(4, 0))).unwrap();
    assert_eq!(moved.keys, ints(&[3, 4]));
    // Items that vanish with their product cannot be asked for their order.
    let stale: Vec<_> = plan.warnings().iter().filter(|w| w.contains("shop.products")).collect();
    assert_eq!(stale.len(), 1, "{:?}", plan.warnings());
    assert!(stale[0].contains("documents found by shop.order_items (order_id) can go stale"), "{}", stale[0]);
    catalog.cascades_logged = true;
    let plan = try_plan(&query(SHOP), &catalog).unwrap();
    assert!(rules(&plan, "shop.batches").is_empty());
}

#[test]
fn a_lookup_without_an_index_is_told() {
    let plan = plan(SHOP);
    assert!(
        plan.warnings().iter().any(|w| w.contains("CREATE INDEX ... ON shop.orders (user_id)")),
        "{:?}",
        plan.warnings()
    );
    let scanned = "each read of a document goes through all of shop.order_items: CREATE INDEX ... ON shop.order_items (order_id)";
    assert!(plan.warnings().iter().any(|w| w == scanned), "{:?}", plan.warnings());
    assert!(!plan.warnings().iter().any(|w| w.contains("all of shop.users")), "by its primary key");
}
