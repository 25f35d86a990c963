//! Outer joins and output columns: equalities that must not be followed.

use super::*;

/// Queries that have no path for the table.
const NO_PATH: &[(&str, &str)] = &[
    // The preserved side of an outer join keeps its rows whatever ON says.
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u LEFT JOIN shop.tags t ON t.order_id = o.id AND u.id = o.user_id WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u LEFT JOIN shop.order_items i ON i.order_id = o.id AND i.product_id = u.id WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON u.id <=> o.user_id WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON u.id = o.user_id + 0 WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON NOT (u.id = o.user_id) WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON u.id = o.user_id OR u.name = 'x' WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON (u.id = o.user_id) IS TRUE WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON u.name = o.ref COLLATE utf8mb4_bin WHERE o.id IN (?)",
        "shop.users",
    ),
    ("SELECT o.id, u.id = o.user_id FROM shop.orders o, shop.users u WHERE o.id IN (?)", "shop.users"),
    (
        "SELECT o.id, (SELECT MAX(i.qty) FROM shop.order_items i) FROM shop.orders o WHERE o.id IN (?)",
        "shop.order_items",
    ),
    // NULL among the values turns every FALSE into NULL.
    (
        "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND o.id NOT IN (SELECT t.order_id FROM shop.tags t)",
        "shop.tags",
    ),
    (
        "SELECT o.id, o.user_id IN (SELECT u.id FROM shop.users u) FROM shop.orders o WHERE o.id IN (?)",
        "shop.users",
    ),
    (
        "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND o.id <> ALL (SELECT i.order_id FROM shop.order_items i)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o LEFT JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?) AND i.product_id NOT IN (SELECT p.id FROM shop.products p)",
        "shop.products",
    ),
    // A filter on the output could not be pushed into the block.
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT order_id FROM shop.order_items LIMIT 5) d ON d.order_id = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT MAX(order_id) AS m FROM shop.order_items) d ON d.m = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT ANY_VALUE(order_id) AS m FROM shop.order_items GROUP BY sku) d ON d.m = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT order_id FROM shop.order_items GROUP BY sku) d ON d.order_id = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT order_id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM shop.order_items) d ON d.order_id = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT order_id, ROW_NUMBER() OVER w AS n FROM shop.order_items WINDOW w AS (PARTITION BY sku)) d ON d.order_id = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT order_id FROM shop.order_items UNION ALL SELECT order_id + 1 FROM shop.tags) d ON d.order_id = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    (
        "SELECT o.id FROM shop.orders o JOIN (SELECT order_id + 0 AS x FROM shop.order_items) d ON d.x = o.id WHERE o.id IN (?)",
        "shop.order_items",
    ),
    // The condition of a subquery does not filter the block around it.
    (
        "SELECT o.id, (SELECT 1 FROM shop.tags t WHERE t.order_id = o.id AND u.id = o.user_id) FROM shop.orders o, shop.users u WHERE o.id IN (?)",
        "shop.users",
    ),
    // Types that compare by conversion.
    ("SELECT o.id FROM shop.orders o JOIN shop.users u ON u.name = o.id WHERE o.id IN (?)", "shop.users"),
];

#[test]
fn equalities_that_prove_nothing() {
    for (sql, table) in NO_PATH {
        let error = match try_plan(&query(sql), &catalog(&[])) {
            Err(error) => error.to_string(),
            Ok(plan) => panic!("{sql}\n{}", plan.explain()),
        };
        assert!(error.starts_with(&format!("no path from {table} ")), "{sql}: {error}");
        assert!(error.contains("`column`") && error.contains("`all: true`"), "{error}");
    }
}

#[test]
fn where_makes_an_outer_join_inner() {
    let plan = plan(
        "SELECT o.id FROM shop.orders o LEFT JOIN shop.users u ON u.region_id > 5 WHERE o.id IN (?) AND u.id = o.user_id",
    );
    assert_eq!(rules(&plan, "shop.users"), ["lookup id: o.id FROM shop.orders AS o WHERE o.user_id IN (?)"]);
}

#[test]
fn nested_or_is_no_choice() {
    let sql = "SELECT o.id FROM shop.orders o JOIN shop.users u ON u.name = 'x' OR (u.email = 'y' AND (u.id = o.user_id OR u.id = o.id)) WHERE o.id IN (?)";
    assert!(try_plan(&query(sql), &catalog(&[])).is_err());
}

#[test]
fn equal_aliases_in_two_blocks() {
    let plan = plan(
        "SELECT o.id, (SELECT GROUP_CONCAT(m.name) FROM shop.products o JOIN shop.makers m ON m.id = o.maker_id
           WHERE o.id = i.product_id) FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?)",
    );
    assert_eq!(
        rules(&plan, "shop.makers"),
        ["lookup id: o_2.id FROM shop.products AS o JOIN shop.order_items AS i ON o.id = i.product_id \
          JOIN shop.orders AS o_2 ON i.order_id = o_2.id WHERE o.maker_id IN (?)"]
    );
}
