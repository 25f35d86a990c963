//! What is refused, and by which words.

use super::*;
use crate::model::Class;

fn refused(text: &QueryText, catalog: &Catalog) -> String {
    match try_plan(text, catalog) {
        Err(error) => {
            assert_eq!(error.class(), Class::Config, "{error}");
            error.to_string()
        }
        Ok(plan) => panic!("{}\n{}", text.sql, plan.explain()),
    }
}

/// Queries with words of their refusal.
const REFUSED: &[(&str, &str)] = &[
    ("SELEC o.id FROM x WHERE a IN (?)", "query.sql cannot be read as MySQL"),
    ("UPDATE shop.orders SET id = 1 WHERE id IN (?)", "is no SELECT"),
    ("SELECT id FROM shop.orders WHERE id IN (?); SELECT 1", "2 statements"),
    ("SELECT id FROM shop.orders", "no placeholder was found; mark the main ids once"),
    (
        "SELECT id FROM orders WHERE id IN (?)",
        "table orders: it has no schema; write schema.table, or set source.database",
    ),
    ("SELECT id FROM shop.nope WHERE id IN (?)", "table shop.nope: the server has no such table"),
    ("SELECT id, nope FROM shop.orders WHERE id IN (?)", "column `nope` is in no table"),
    (
        "SELECT o.id, name FROM shop.orders o JOIN shop.users u JOIN shop.regions r WHERE o.id IN (?)",
        "column name stands in more than one table",
    ),
    ("SELECT id FROM shop.orders WHERE id IN (?) OR id = 1", "not joined by AND"),
    ("SELECT id FROM shop.orders WHERE id NOT IN (?)", "not joined by AND"),
    ("SELECT id FROM shop.orders WHERE NOT (id IN (?))", "not joined by AND"),
    ("SELECT id FROM shop.orders WHERE id + 1 IN (?)", "before IN is no column"),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON u.id = o.user_id AND o.id IN (?)",
        "in the WHERE of the main query",
    ),
    (
        "SELECT o.id, (SELECT 1 FROM shop.users u WHERE u.id IN (?)) FROM shop.orders o",
        "in the WHERE of the main query",
    ),
    (
        "SELECT o.id FROM shop.users u LEFT JOIN shop.orders o ON u.id = o.user_id WHERE o.id IN (?)",
        "inner side of an outer join",
    ),
    (
        "SELECT o.id FROM shop.orders o RIGHT JOIN shop.users u ON u.id = o.user_id WHERE o.id IN (?)",
        "inner side of an outer join",
    ),
    (
        "SELECT d.id FROM (SELECT id FROM shop.orders) d WHERE d.id IN (?)",
        "before IN is no column of a table",
    ),
    (
        "SELECT user_id AS id FROM shop.orders WHERE id IN (?)",
        "the result column id is not id, the column that the placeholder filters",
    ),
    ("SELECT id + 0 AS id FROM shop.orders WHERE id IN (?)", "is not id, the column"),
    ("SELECT status FROM shop.orders WHERE id IN (?)", "0 result columns have the name id"),
    (
        "SELECT o.id, u.id FROM shop.orders o JOIN shop.users u ON u.id = o.user_id WHERE o.id IN (?)",
        "2 result columns have the name id",
    ),
    (
        "SELECT id FROM shop.orders WHERE (id, user_id) IN (?)",
        "it names 1 columns, the placeholder filters id, user_id",
    ),
    (
        "SELECT o.*, u.name, u.email FROM shop.orders o JOIN shop.users u ON u.id = o.user_id, shop.regions n WHERE o.id IN (?)",
        "no path from shop.regions",
    ),
    (
        "SELECT o.*, note FROM shop.orders o WHERE o.id IN (?)",
        "two result columns of the name note is not supported; give one of them an alias",
    ),
    ("SELECT id FROM shop.orders WHERE id IN (?) LIMIT 5", "LIMIT in the main query"),
    ("SELECT id, COUNT(*) FROM shop.orders WHERE id IN (?)", "an aggregate without GROUP BY"),
    ("SELECT id FROM shop.orders WHERE id IN (?) HAVING MAX(total) > 1", "an aggregate without GROUP BY"),
    ("SELECT id FROM shop.orders WHERE id IN (?) GROUP BY status", "GROUP BY does not contain the key"),
    ("SELECT id FROM shop.orders WHERE id IN (?) GROUP BY id WITH ROLLUP", "is not supported; aggregate"),
    (
        "SELECT id, ROW_NUMBER() OVER (ORDER BY total) FROM shop.orders WHERE id IN (?)",
        "a window is not partitioned by the key",
    ),
    (
        "SELECT id, RANK() OVER w FROM shop.orders WHERE id IN (?) WINDOW w AS (PARTITION BY status)",
        "a window is not partitioned by the key",
    ),
    (
        "SELECT id, (SELECT SUM(o.total)) FROM shop.orders o WHERE id IN (?)",
        "an aggregate over columns of an outer query block",
    ),
    ("SELECT id, @n FROM shop.orders WHERE id IN (?)", "the user or system variable in `@n`"),
    ("SELECT id, @n := 1 FROM shop.orders WHERE id IN (?)", "variable"),
    (
        "SELECT id, NOW() FROM shop.orders WHERE id IN (?)",
        "calls `NOW()`, whose result changes without any change of a row; take it out, or set query.volatile: Allow",
    ),
    ("SELECT id, CURRENT_TIMESTAMP FROM shop.orders WHERE id IN (?)", "calls `CURRENT_TIMESTAMP`"),
    ("SELECT id, utc_date FROM shop.orders WHERE id IN (?)", "calls `utc_date`"),
    ("SELECT id FROM shop.orders WHERE id IN (?) AND created_at > CURDATE()", "calls `CURDATE()`"),
    ("SELECT id, UUID() FROM shop.orders WHERE id IN (?) ", "calls `UUID()`"),
    (
        "SELECT id, price_of(id) FROM shop.orders WHERE id IN (?)",
        "no built-in function of MySQL: a stored function",
    ),
    ("SELECT id, shop.concat(id) FROM shop.orders WHERE id IN (?)", "stored function"),
    ("SELECT id, UNIX_TIMESTAMP() FROM shop.orders WHERE id IN (?)", "calls `UNIX_TIMESTAMP()`"),
    ("SELECT id, MATCH (note) AGAINST ('x') FROM shop.orders WHERE id IN (?)", "full-text relevance"),
    (
        "SELECT id FROM shop.orders NATURAL JOIN shop.users WHERE id IN (?)",
        "(which joins by other columns with every new one) is not supported; name the columns by USING",
    ),
    ("SELECT id FROM shop.orders WHERE id IN (?) FOR UPDATE", "a locking read"),
    (
        "SELECT id FROM shop.orders WHERE id IN (?) UNION SELECT id FROM shop.users WHERE id IN (?)",
        "UNION as the main query is not supported; write UNION ALL",
    ),
    (
        "SELECT id FROM shop.orders WHERE id IN (?) UNION ALL SELECT id FROM shop.users",
        "no placeholder was found",
    ),
    (
        "SELECT id, name FROM shop.users WHERE id IN (?) UNION ALL SELECT name, id FROM shop.users WHERE id IN (?)",
        "the key in different places",
    ),
    (
        "SELECT id FROM shop.users WHERE id IN (?) UNION ALL SELECT id FROM shop.makers WHERE id IN (?) ORDER BY id",
        "ORDER BY of a UNION ALL",
    ),
    ("WITH RECURSIVE r AS (SELECT 1) SELECT id FROM shop.orders WHERE id IN (?)", "WITH RECURSIVE"),
    ("SELECT id, a || b FROM shop.orders WHERE id IN (?)", "write OR or CONCAT()"),
    ("SELECT id FROM shop.orders WHERE id IN (?) && total > 0", "write AND instead of &&"),
    (
        "SELECT o.id FROM shop.orders o JOIN shop.users u ON u.id = o.user_id AND BINARY u.name OR 1 WHERE o.id IN (?)",
        "the operator BINARY",
    ),
    (
        "SELECT o.id FROM shop.regions r JOIN shop.users u RIGHT JOIN shop.orders o ON u.id = o.user_id WHERE o.id IN (?)",
        "RIGHT JOIN after a JOIN without ON",
    ),
    (
        "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND o.id IN (SELECT x.id FROM mysql.x)",
        "table mysql.x: its changes are not in the binlog",
    ),
    ("SELECT DISTINCT code AS id FROM t.dup WHERE code IN (?)", "the key's text column code is not unique"),
    ("SELECT id FROM shop.orders WHERE id IN (?) XOR total > 0", "instead of XOR"),
    ("SELECT id FROM shop.orders PARTITION (p0) WHERE id IN (?)", "take PARTITION (...) out"),
    (
        "SELECT id FROM shop.orders_{{shard}} WHERE id IN (?)",
        "the variable {{shard}} is not supported; declare it in mapping.sharding (there: none)",
    ),
    ("SELECT id FROM shop.orders WHERE id IN (?) INTO @x", ""),
    ("SELECT SQL_CALC_FOUND_ROWS id FROM shop.orders WHERE id IN (?)", "SQL_CALC_FOUND_ROWS"),
    ("SELECT /*+ SET_VAR(sql_mode='') */ id FROM shop.orders WHERE id IN (?)", "SET_VAR"),
    ("SELECT id FROM t.stamp WHERE id IN (?)", "column id cannot be a key: a TIMESTAMP's text depends"),
    ("SELECT id FROM t.real WHERE id IN (?)", "column id cannot be a key: float is not exact"),
    ("SELECT id FROM t.gbk WHERE id IN (?)", "its character set (gbk_chinese_ci) is not read"),
];

#[test]
fn queries_refused_by_name() {
    let catalog = catalog(&[
        "mysql.x: *id int",
        "t.dup: *n int, code text",
        "t.stamp: *id timestamp",
        "t.real: *id float",
        "t.gbk: *id gbk",
    ]);
    for (sql, want) in REFUSED {
        let error = refused(&query(sql), &catalog);
        assert!(error.contains(want), "{sql}\n  want: {want}\n  got:  {error}");
    }
}

#[test]
fn a_view_that_is_not_shown() {
    let mut catalog = catalog(&[]);
    catalog.tables.get_mut(&TableName::new("shop", "users")).unwrap().is_view = true;
    assert!(
        refused(&query(SHOP), &catalog)
            .contains("shop.users: it is a view whose SELECT the server does not show; GRANT SHOW VIEW")
    );
}

#[test]
fn volatile_is_allowed_by_name() {
    let sql = "SELECT id, NOW(), CURRENT_DATE, price_of(total) FROM shop.orders WHERE id IN (?)";
    let text = QueryText { volatile_allowed: true, ..query(sql) };
    assert!(try_plan(&text, &catalog(&[])).is_ok());
}

#[test]
fn separable_groups_and_windows() {
    for sql in [
        "SELECT o.id, COUNT(*) FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?) GROUP BY o.id",
        "SELECT o.id, COUNT(*) FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?) GROUP BY 1, o.status",
        "SELECT o.id AS Nr, COUNT(*) c, o.id FROM shop.orders o LEFT JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?) GROUP BY o.status, nr HAVING c > 1 ORDER BY c",
        "SELECT o.id, SUM(i.qty) OVER (PARTITION BY o.id) FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.id IN (?)",
        "SELECT DISTINCT o.id FROM shop.orders o WHERE o.id IN (?)",
        "SELECT o.id, IF(o.total > 1, LEFT(o.status, 2), 'x'), CASE WHEN o.note IS NULL THEN 1 ELSE o.note LIKE 'a%' END,
                TIMESTAMPDIFF(DAY, o.created_at, '2020-01-01'), DATE_ADD(o.created_at, INTERVAL 1 DAY), CAST(o.total AS CHAR),
                CONVERT(o.note USING latin1), JSON_OBJECT('a', o.id)->>'$.a', TRIM(o.note), SUBSTRING(o.note, 1, 2), o.total BETWEEN 1 AND 2,
                COALESCE(o.note, _utf8mb4'x'), o.id DIV 2, -o.id, DATE '2020-01-01', GREATEST(1, o.id), o.note REGEXP 'a', X'4D'
           FROM shop.orders o WHERE o.id IN (?)",
    ] {
        if let Err(error) = try_plan(&query(sql), &catalog(&[])) {
            panic!("{sql}: {error}");
        }
    }
}

#[test]
fn a_key_that_is_not_unique_groups_by_the_primary_key() {
    let text = QueryText {
        key: vec!["user_id".into()],
        ..query(
            "SELECT o.user_id, COUNT(*) FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.user_id IN (?) GROUP BY o.id",
        )
    };
    let plan = try_plan(&text, &catalog(&[])).unwrap();
    assert_eq!(
        rules(&plan, "shop.order_items"),
        ["lookup order_id: o.user_id FROM shop.orders AS o WHERE o.id IN (?) AND o.user_id IS NOT NULL"]
    );
}

#[test]
fn nothing_panics_on_odd_input() {
    let catalog = catalog(&[]);
    for cut in (0..SHOP.len()).step_by(9) {
        let _ = try_plan(&query(SHOP.get(..cut).unwrap()), &catalog);
        let _ = try_plan(&query(&format!("{}(?)", SHOP.get(..cut).unwrap())), &catalog);
    }
    let deep =
        format!("SELECT id FROM shop.orders WHERE id IN (?) AND {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(try_plan(&query(&deep), &catalog).is_err());
}
