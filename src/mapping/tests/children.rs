//! Arrays within documents.

use super::*;

fn with_child(sql: &str) -> QueryText {
    let child = ChildText {
        field: "items".into(),
        sql: sql.into(),
        key: vec!["order_id".into()],
        ..ChildText::default()
    };
    QueryText { children: vec![child], ..query("SELECT id, status FROM shop.orders WHERE id IN (:ids)") }
}

const ITEMS: &str = "SELECT i.order_id, i.sku, p.title FROM shop.order_items i \
    JOIN shop.products p ON p.id = i.product_id WHERE i.order_id IN (:ids) ORDER BY i.id";

#[test]
fn children_are_mapped_like_any_table() {
    let plan = try_plan(&with_child(ITEMS), &catalog(&[])).unwrap();
    assert_eq!(rules(&plan, "shop.orders"), ["direct id"]);
    assert_eq!(rules(&plan, "shop.order_items"), ["direct order_id"]);
    assert_eq!(
        rules(&plan, "shop.products"),
        ["lookup id: i.order_id FROM shop.order_items AS i WHERE i.product_id IN (?)"]
    );
    let watched = plan.table(&TableName::new("shop", "order_items")).unwrap().watched().unwrap();
    assert_eq!(watched, ["id", "order_id", "product_id", "sku"]);
    let child = &plan.children()[0];
    assert_eq!((child.field(), child.key_output(), child.shown()), ("items", &[0][..], &[1, 2][..]));
    assert!(child.read_sql(2).contains("WHERE i.order_id IN (?, ?) ORDER BY i.id"), "{}", child.read_sql(2));
}

#[test]
fn order_and_fields() {
    let mut text = with_child("SELECT * FROM shop.order_items WHERE order_id IN (?) -- all of them");
    text.children[0].order_by = Some("id DESC".into());
    text.children[0].fields = vec!["qty".into(), "SKU".into()];
    let plan = try_plan(&text, &catalog(&[])).unwrap();
    let child = &plan.children()[0];
    assert_eq!(child.shown(), [3, 2]);
    let sql = child.read_sql(1).replace('`', "");
    assert!(sql.starts_with("SELECT shop.order_items.id, shop.order_items.order_id,"), "{sql}");
    assert!(sql.ends_with("IN (?) -- all of them\nORDER BY id DESC"), "{sql}");
}

#[test]
fn an_entry_is_said_once_and_for_the_select_that_reads_the_table() {
    let lookup = LookupRule {
        sql: "SELECT i.order_id FROM shop.order_items i WHERE i.product_id IN (:keys)".into(),
        key: "id".into(),
        page_size: Some(500),
        order_key: Some("order_id".into()),
        max_pages: Some(4),
    };
    let table = TableName::new("shop", "products");
    let rule = TableRule { table, action: TableAction::Lookup(lookup), columns: vec![] };
    let plan = try_plan(&QueryText { rules: vec![rule], ..with_child(ITEMS) }, &catalog(&[])).unwrap();
    assert_eq!(rules(&plan, "shop.products").len(), 1);
    let watched = plan.table(&TableName::new("shop", "products")).unwrap().watched().unwrap();
    assert_eq!(watched, ["id", "title"], "not every column");
    assert_eq!((plan.lookups()[0].page_size, plan.lookups()[0].max_pages), (Some(500), 4));
}

#[test]
fn children_that_cannot_be() {
    let catalog = catalog(&["t.main: *code text", "t.kid: *n int, code latin1, v int"]);
    for (sql, want) in [
        (
            "SELECT order_id FROM shop.order_items WHERE order_id IN (?) LIMIT 5",
            "LIMIT counts rows of several ids",
        ),
        ("SELECT order_id FROM shop.order_items", "no placeholder was found"),
        ("SELECT sku FROM shop.order_items WHERE order_id IN (?)", "its key order_id: 0 result columns"),
        (
            "SELECT i.order_id, COUNT(*) FROM shop.order_items i WHERE i.order_id IN (?)",
            "its sql is not separable by key: an aggregate without GROUP BY",
        ),
        (
            "SELECT i.order_id FROM shop.order_items i, shop.regions r WHERE i.order_id IN (?)",
            "no path from shop.regions",
        ),
    ] {
        let error = try_plan(&with_child(sql), &catalog).unwrap_err().to_string();
        assert!(error.starts_with("query.children items: ") && error.contains(want), "{sql}: {error}");
    }
    let mut text = with_child("SELECT code, v FROM t.kid WHERE code IN (?)");
    text.sql = "SELECT code FROM t.main WHERE code IN (?)".into();
    (text.key, text.children[0].key) = (vec!["code".into()], vec!["code".into()]);
    let error = try_plan(&text, &catalog).unwrap_err().to_string();
    assert!(error.contains("its key code is varchar(64) latin1_swedish_ci, the document's is"), "{error}");
    let mut text = with_child(ITEMS);
    text.children[0].field = "status".into();
    let error = try_plan(&text, &catalog).unwrap_err().to_string();
    assert!(error.contains("the member status, which is a result column"), "{error}");
}
