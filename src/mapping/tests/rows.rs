//! What row changes touch.

use std::borrow::Cow;

use super::*;
use crate::model::{Class, KeyPart};

fn text(text: &'static str) -> Value<'static> {
    Value::Bytes(Cow::Borrowed(text.as_bytes()))
}

fn item(id: i64, order: i64, sku: &'static str, spare: &'static str) -> Vec<Value<'static>> {
    vec![Value::Int(id), Value::Int(order), text(sku), Value::Int(1), Value::Int(9), text(spare)]
}

fn touched(table: &str, before: Option<&[Value<'_>]>, after: Option<&[Value<'_>]>) -> Touched {
    touch(&plan(SHOP), &catalog(&[]), table, before, after).unwrap()
}

#[test]
fn both_images_count() {
    let (a, b) = (item(1, 10, "x", ""), item(1, 11, "x", ""));
    assert_eq!(touched("shop.order_items", Some(&a), Some(&b)).keys, ints(&[10, 11]));
    assert_eq!(touched("shop.order_items", Some(&a), None).keys, ints(&[10]));
    assert_eq!(touched("shop.order_items", None, Some(&b)).keys, ints(&[11]));
    let same = touched("shop.order_items", Some(&a), Some(&item(1, 10, "y", "")));
    assert_eq!((same.keys, same.pruned), (ints(&[10]), 0));
}

#[test]
fn unread_columns_are_pruned() {
    let out = touched("shop.order_items", Some(&item(1, 10, "x", "a")), Some(&item(1, 10, "x", "b")));
    assert_eq!((out.keys.len(), out.pruned), (0, 1));
    // another key, another place in the list
    let out = touched("shop.order_items", Some(&item(1, 10, "x", "a")), Some(&item(2, 10, "x", "a")));
    assert_eq!((out.keys.len(), out.pruned), (1, 0));
}

#[test]
fn lookups_carry_both_values() {
    let user = |id, name| vec![Value::Int(id), text(name), Value::Null, Value::Int(3)];
    let out = touched("shop.users", Some(&user(5, "a")), Some(&user(6, "a")));
    assert_eq!(out.lookups, [(0, Key::int(5)), (0, Key::int(6))]);
    let email = vec![Value::Int(5), text("a"), text("e"), Value::Int(4)];
    assert_eq!(touched("shop.users", Some(&user(5, "a")), Some(&email)).pruned, 1);
}

#[test]
fn null_is_no_key() {
    let sql =
        "SELECT o.id, t.tag FROM shop.orders o LEFT JOIN shop.tags t ON t.order_id = o.id WHERE o.id IN (?)";
    let out = touch(
        &plan(sql),
        &catalog(&[]),
        "shop.tags",
        Some(&[Value::Null, text("x")]),
        Some(&[Value::Int(4), text("x")]),
    )
    .unwrap();
    assert_eq!((out.keys, out.pruned), (ints(&[4]), 0));
}

#[test]
fn thin_images() {
    let (catalog, plan) = (catalog(&[]), plan(SHOP));
    let absent = || Value::Absent;
    // MINIMAL: the before image holds the primary key, the after image what changed.
    let before = vec![Value::Int(1), absent(), absent(), absent(), absent(), absent()];
    let spare = vec![absent(), absent(), absent(), absent(), absent(), text("new")];
    let out = touch(&plan, &catalog, "shop.order_items", Some(&before), Some(&spare)).unwrap();
    assert_eq!((out.keys.len(), out.pruned), (0, 1));
    let sku = vec![absent(), absent(), text("new"), absent(), absent(), absent()];
    let error = touch(&plan, &catalog, "shop.order_items", Some(&before), Some(&sku)).unwrap_err();
    assert_eq!(error.class(), Class::Gap);
    assert!(
        error.to_string().contains("the before image of a row of shop.order_items lacks column order_id"),
        "{error}"
    );
    // NOBLOB and the like: the join column is there, the after image omits what did not change.
    let before = item(1, 10, "x", "");
    let out = touch(&plan, &catalog, "shop.order_items", Some(&before), Some(&sku)).unwrap();
    assert_eq!(out.keys, ints(&[10]));
    // The main table's own key is its primary key: MINIMAL serves.
    let order = |id, status| vec![id, absent(), status, absent(), absent(), absent(), absent()];
    let out = touch(
        &plan,
        &catalog,
        "shop.orders",
        Some(&order(Value::Int(7), absent())),
        Some(&order(absent(), text("done"))),
    )
    .unwrap();
    assert_eq!(out.keys, ints(&[7]));
}

#[test]
fn an_absent_generated_column_is_no_unchanged_one() {
    let catalog = catalog(&["t.main: *id int", "t.kid: *k int, a int, main_id int=a"]);
    let plan = try_plan(
        &query("SELECT m.id, k.k FROM t.main m JOIN t.kid k ON k.main_id = m.id WHERE m.id IN (?)"),
        &catalog,
    )
    .unwrap();
    let before = [Value::Int(1), Value::Int(10), Value::Int(10)];
    let error =
        touch(&plan, &catalog, "t.kid", Some(&before), Some(&[Value::Absent, Value::Int(11), Value::Absent]))
            .unwrap_err();
    assert!(error.to_string().contains("the after image of a row of t.kid lacks column main_id"), "{error}");
}

#[test]
fn keys_of_every_type() {
    for (kind, value, want) in [
        ("ubig", Value::UInt(u64::MAX), KeyPart::UInt(u64::MAX)),
        ("ubig", Value::UInt(3_000_000_000), KeyPart::Int(3_000_000_000)),
        ("text", text("ÄBC"), KeyPart::Text("ÄBC".into())),
        ("latin1", Value::Bytes(b"\xc4"[..].into()), KeyPart::Text("Ä".into())),
        ("b16", Value::Bytes(b"\x01"[..].into()), KeyPart::Binary([&[1u8][..], &[0; 15]].concat().into())),
        ("dec", Value::Decimal("1.50".into()), KeyPart::Text("1.50".into())),
    ] {
        let catalog =
            catalog(&[&format!("t.main: *id {kind}"), &format!("t.kid: *k int, main_id {kind}, v int")]);
        let sql = "SELECT m.id, k.v FROM t.main m JOIN t.kid k ON k.main_id = m.id WHERE m.id IN (?)";
        let plan = try_plan(&query(sql), &catalog).unwrap();
        let out =
            touch(&plan, &catalog, "t.kid", None, Some(&[Value::Int(1), value, Value::Int(1)])).unwrap();
        // text of these collations has several spellings: the main table's own is looked up
        let found = if matches!(want, KeyPart::Text(_)) && kind != "dec" {
            out.lookups.into_iter().map(|(_, key)| key).collect()
        } else {
            out.keys
        };
        assert_eq!(found, [Key::new([want])], "{kind}");
    }
}

#[test]
fn events_of_another_shape() {
    let plan = plan(SHOP);
    let items = plan.table(&TableName::new("shop", "order_items")).unwrap();
    let mut columns = event_columns(&catalog(&[]), "shop.order_items");
    columns.insert(0, Column { name: "new".into(), ..columns[0].clone() });
    // A column before the key moves the positions, not the meaning.
    assert_eq!(items.bind(&columns).unwrap().wanted(), [1, 2, 3, 4]);
    columns.retain(|c| c.name != "sku");
    let error = items.bind(&columns).unwrap_err();
    assert_eq!(error.class(), Class::Gap);
    assert!(
        error.to_string().starts_with("event of shop.order_items has no column sku: it has (new, id,"),
        "{error}"
    );
    for column in &mut columns {
        column.name.clear();
    }
    assert!(items.bind(&columns).unwrap_err().to_string().contains("carry no names"));
    let mut columns = event_columns(&catalog(&[]), "shop.order_items");
    columns[1].kind = ColumnKind::Text;
    assert!(
        items
            .bind(&columns)
            .unwrap_err()
            .to_string()
            .contains("there it is Text, the query was compiled for Int")
    );
}

#[test]
fn row_keys() {
    let plan = plan(SHOP);
    let bound = plan
        .table(&TableName::new("shop", "order_items"))
        .unwrap()
        .bind(&event_columns(&catalog(&[]), "shop.order_items"))
        .unwrap();
    assert_eq!(bound.row_key_columns(), ["id"]);
    assert_eq!(bound.wanted(), [0, 1, 2, 3]);
    assert_eq!(bound.row_key(&[Value::Int(8), Value::Int(1), Value::Absent, Value::Null]), Some(Key::int(8)));
    assert_eq!(bound.row_key(&[Value::Absent, Value::Int(1), Value::Absent, Value::Null]), None);
}
