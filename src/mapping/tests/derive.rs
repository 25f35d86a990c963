//! Which rule each table gets.

use super::*;

/// A query with, for some of its tables, the rules that it must give.
type Case<'a> = (&'a str, &'a [(&'a str, &'a [&'a str])]);

fn check(cases: &[Case<'_>]) {
    for (sql, tables) in cases {
        let plan = plan(sql);
        for (table, want) in *tables {
            assert_eq!(rules(&plan, table), *want, "{table} in {sql}");
        }
    }
}

#[test]
fn the_example_of_the_issue() {
    let plan = plan(SHOP);
    assert_eq!(plan.main(), &TableName::new("shop", "orders"));
    assert_eq!(rules(&plan, "shop.orders"), ["direct id"]);
    assert_eq!(rules(&plan, "shop.order_items"), ["direct order_id"]);
    assert_eq!(rules(&plan, "shop.users"), ["lookup id: o.id FROM shop.orders AS o WHERE o.user_id IN (?)"]);
    assert!(plan.table(&TableName::new("other", "orders")).is_none());
    assert_eq!(plan.key_output(), [0]);
    assert_eq!(plan.lookups().len(), 1);
    assert_eq!(plan.lookups()[0].path, "u.id = o.user_id");
    let watched = plan.table(&TableName::new("shop", "order_items")).unwrap().watched().unwrap();
    assert_eq!(watched, ["id", "order_id", "qty", "sku"]);
}

#[test]
fn joins_of_every_kind() {
    let users = "lookup id: o.id FROM shop.orders AS o WHERE o.user_id IN (?)";
    check(&[
        (
            "SELECT o.id, u.name FROM shop.orders o LEFT JOIN shop.users u ON u.id = o.user_id WHERE o.id IN (?)",
            &[("shop.users", &[users])],
        ),
        (
            "SELECT o.id FROM shop.users u RIGHT JOIN shop.orders o ON u.id = o.user_id WHERE o.id IN (?)",
            &[("shop.users", &[users])],
        ),
        (
            "SELECT o.id FROM shop.orders o, shop.users u WHERE u.id = o.user_id AND o.id IN (?)",
            &[("shop.users", &[users])],
        ),
        (
            "SELECT o.id FROM shop.orders o CROSS JOIN shop.users u WHERE (u.id = o.user_id) AND o.id IN (?)",
            &[("shop.users", &[users])],
        ),
        (
            "SELECT o.id FROM shop.orders o STRAIGHT_JOIN shop.users u ON u.id = o.user_id WHERE o.id IN (?)",
            &[("shop.users", &[users])],
        ),
        (
            "SELECT o.id, t.tag FROM shop.orders o LEFT JOIN shop.tags t ON t.order_id = o.id WHERE o.id IN (?)",
            &[("shop.tags", &["direct order_id"])],
        ),
        (
            "SELECT order_id AS id, tag FROM shop.order_items JOIN shop.tags USING (order_id) WHERE order_id IN (?)",
            &[("shop.tags", &["direct order_id"]), ("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o LEFT JOIN (shop.order_items i JOIN shop.products p ON p.id = i.product_id) ON i.order_id = o.id WHERE o.id IN (?)",
            &[(
                "shop.products",
                &[
                    "lookup id: o.id FROM shop.order_items AS i JOIN shop.orders AS o ON i.order_id = o.id WHERE i.product_id IN (?)",
                ],
            )],
        ),
    ]);
}

#[test]
fn many_hops() {
    check(&[(
        "SELECT o.id, r.name FROM shop.orders o JOIN shop.users u ON u.id = o.user_id
           JOIN shop.regions r ON r.id = u.region_id WHERE o.id IN (?)",
        &[("shop.regions", &["lookup id: o.id FROM shop.users AS u JOIN shop.orders AS o ON u.id = o.user_id WHERE u.region_id IN (?)"])],
    ), (
        "SELECT o.id, (SELECT GROUP_CONCAT(m.name) FROM shop.order_items i JOIN shop.products p ON p.id = i.product_id
            LEFT JOIN shop.makers m ON m.id = p.maker_id WHERE i.order_id = o.id) FROM shop.orders o WHERE o.id IN (?)",
        &[("shop.makers", &["lookup id: o.id FROM shop.products AS p JOIN shop.order_items AS i ON p.id = i.product_id JOIN shop.orders AS o ON i.order_id = o.id WHERE p.maker_id IN (?)"]),
          ("shop.order_items", &["direct order_id"])],
    )]);
}

#[test]
fn transitive_equality_is_direct() {
    check(&[(
        "SELECT o.id FROM shop.orders o LEFT JOIN shop.order_items i ON i.order_id = o.id
           LEFT JOIN shop.tags t ON t.order_id = i.order_id WHERE o.id IN (?)",
        &[("shop.tags", &["direct order_id"])],
    )]);
}

#[test]
fn self_joins_have_a_rule_for_each_alias() {
    let plan = plan(
        "SELECT o.id, p.status FROM shop.orders o LEFT JOIN shop.orders p ON p.id = o.user_id WHERE o.id IN (?)",
    );
    assert_eq!(
        rules(&plan, "shop.orders"),
        ["direct id", "lookup id: o.id FROM shop.orders AS o WHERE o.user_id IN (?)"]
    );
}

#[test]
fn subqueries() {
    check(&[
        (
            "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND EXISTS (SELECT * FROM shop.order_items i WHERE i.order_id = o.id AND i.qty > 1)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND NOT EXISTS (SELECT 1 FROM shop.order_items i WHERE i.order_id = o.id)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND o.id IN (SELECT t.order_id FROM shop.tags t)",
            &[("shop.tags", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND (o.status = 'x' OR o.id IN (SELECT t.order_id FROM shop.tags t))",
            &[("shop.tags", &["direct order_id"])],
        ),
        // Neither side can be NULL: a value, but still decided by equal rows.
        (
            "SELECT o.id, o.id IN (SELECT i.order_id FROM shop.order_items i) FROM shop.orders o WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o WHERE o.id IN (?) AND o.id NOT IN (SELECT i.order_id FROM shop.order_items i)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id, (SELECT (SELECT m.name FROM shop.makers m WHERE m.id = p.maker_id) FROM shop.products p WHERE p.id = o.user_id) FROM shop.orders o WHERE o.id IN (?)",
            &[(
                "shop.makers",
                &[
                    "lookup id: o.id FROM shop.products AS p JOIN shop.orders AS o ON p.id = o.user_id WHERE p.maker_id IN (?)",
                ],
            )],
        ),
        // The last order of the same user: LIMIT within a correlated block is harmless.
        (
            "SELECT o.id, (SELECT i.sku FROM shop.order_items i WHERE i.order_id = o.id ORDER BY i.id DESC LIMIT 1) FROM shop.orders o WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"])],
        ),
    ]);
}

#[test]
fn derived_tables_ctes_and_unions() {
    check(&[
        (
            "SELECT o.id, d.n FROM shop.orders o LEFT JOIN (SELECT order_id, COUNT(*) AS n FROM shop.order_items GROUP BY order_id) d ON d.order_id = o.id WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "WITH d AS (SELECT i.order_id AS x, i.sku FROM shop.order_items i), e (y) AS (SELECT x FROM d) SELECT o.id FROM shop.orders o JOIN e ON e.y = o.id WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o JOIN (SELECT order_id FROM shop.order_items UNION ALL SELECT order_id FROM shop.tags) d ON d.order_id = o.id WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"]), ("shop.tags", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o JOIN (SELECT order_id, ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY id) AS n FROM shop.order_items) d ON d.order_id = o.id AND d.n = 1 WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o, LATERAL (SELECT i.sku FROM shop.order_items i WHERE i.order_id = o.id LIMIT 3) d WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        (
            "SELECT o.id FROM shop.orders o JOIN (SELECT * FROM shop.order_items) d ON d.order_id = o.id WHERE o.id IN (?)",
            &[("shop.order_items", &["direct order_id"])],
        ),
        // An edge into a derived table: users through the orders that it selects from.
        (
            "SELECT o.id FROM shop.orders o JOIN (SELECT i.order_id, i.product_id FROM shop.order_items i) d ON d.order_id = o.id JOIN shop.products p ON p.id = d.product_id WHERE o.id IN (?)",
            &[(
                "shop.products",
                &[
                    "lookup id: o.id FROM shop.order_items AS i JOIN shop.orders AS o ON i.order_id = o.id WHERE i.product_id IN (?)",
                ],
            )],
        ),
    ]);
}

#[test]
fn an_or_is_a_union_of_lookups() {
    let sql = "SELECT o.id FROM shop.orders o LEFT JOIN shop.users u ON u.id = o.user_id OR u.region_id = o.id WHERE o.id IN (?)";
    assert_eq!(
        rules(&plan(sql), "shop.users"),
        ["lookup id: o.id FROM shop.orders AS o WHERE o.user_id IN (?)", "direct region_id"]
    );
    let sql = "SELECT o.id FROM shop.orders o JOIN shop.users u ON o.user_id IN (u.id, u.region_id) WHERE o.id IN (?)";
    assert_eq!(
        rules(&plan(sql), "shop.users"),
        [
            "lookup id: o.id FROM shop.orders AS o WHERE o.user_id IN (?)",
            "lookup region_id: o.id FROM shop.orders AS o WHERE o.user_id IN (?)",
        ]
    );
}

#[test]
fn text_of_differing_collations_goes_through_sql() {
    let catalog = catalog(&[
        "t.main: *id text, code bin, l latin1, g general",
        "t.bin: code bin, v int",
        "t.ci: code text, v int",
        "t.latin: code latin1, v int",
        "t.general: code general, v int",
    ]);
    let rule = |sql: &str, table: &str| {
        try_plan(&query(sql), &catalog).map(|plan| rules(&plan, table).join("; ")).map_err(|e| e.to_string())
    };
    let of = |table: &str, column: &str| {
        rule(
            &format!(
                "SELECT m.id, x.v FROM t.main m JOIN t.{table} x ON x.code = m.{column} WHERE m.id IN (?)"
            ),
            &format!("t.{table}"),
        )
    };
    // Equal, but perhaps not spelled alike: the document is named by the main table's spelling.
    assert_eq!(of("ci", "id").as_deref(), Ok("lookup code: m.id FROM t.main AS m WHERE m.id IN (?)"));
    assert_eq!(of("bin", "code").as_deref(), Ok("lookup code: m.id FROM t.main AS m WHERE m.code IN (?)"));
    // _bin against _ai_ci compares as _bin: never direct.
    assert_eq!(
        of("bin", "id").as_deref(),
        Ok("lookup code: m.id FROM t.main AS m WHERE m.id COLLATE utf8mb4_bin IN (?)")
    );
    assert_eq!(of("ci", "code").as_deref(), Ok("lookup code: m.id FROM t.main AS m WHERE m.code IN (?)"));
    assert_eq!(of("latin", "id").as_deref(), Ok("lookup code: m.id FROM t.main AS m WHERE m.id IN (?)"));
    assert_eq!(
        of("ci", "l").as_deref(),
        Ok(
            "lookup code: m.id FROM t.main AS m WHERE CONVERT(m.l USING utf8mb4) COLLATE utf8mb4_0900_ai_ci IN (?)"
        )
    );
    let error = of("general", "id").unwrap_err();
    assert!(error.contains("x.code = m.id does not serve (varchar(64) utf8mb4_general_ci and varchar(64) utf8mb4_0900_ai_ci compare by conversion)"), "{error}");
}

#[test]
fn groups_of_another_collation_prove_nothing() {
    let catalog =
        catalog(&["t.main: *id bin, ci text", "t.kid: *k int, code text", "t.kin: *k int, code bin"]);
    let of = |inner: &str, column: &str| {
        let sql =
            format!("SELECT m.id FROM t.main m JOIN ({inner}) d ON d.code = m.{column} WHERE m.id IN (?)");
        try_plan(&query(&sql), &catalog)
            .map(|plan| rules(&plan, "t.kid").join("; "))
            .map_err(|e| e.to_string())
    };
    // 'a' and 'A' are one group, which shows only one of them.
    for merged in [
        "SELECT code FROM t.kid GROUP BY code",
        "SELECT DISTINCT code FROM t.kid",
        "SELECT code, COUNT(*) OVER (PARTITION BY code) FROM t.kid",
        "SELECT code FROM t.kid UNION SELECT code FROM t.kid",
    ] {
        let error = of(merged, "id").unwrap_err();
        assert!(error.contains("compares groups of another collation"), "{merged}: {error}");
        assert_eq!(of(merged, "ci").as_deref(), Ok("lookup code: m.id FROM t.main AS m WHERE m.ci IN (?)"));
    }
    assert!(of("SELECT code FROM t.kid", "id").is_ok());
    assert!(of("SELECT code FROM t.kid UNION ALL SELECT code FROM t.kid", "id").is_ok());
    assert!(of("SELECT code FROM t.kid UNION ALL SELECT code FROM t.kin", "ci").is_err());
}

#[test]
fn generated_columns_count_as_their_bases() {
    let catalog = catalog(&["t.main: *id int", "t.kid: *k int, a int, b int, main_id int=a+b"]);
    let plan = try_plan(
        &query("SELECT m.id, k.main_id FROM t.main m JOIN t.kid k ON k.main_id = m.id WHERE m.id IN (?)"),
        &catalog,
    )
    .unwrap();
    let watched = plan.table(&TableName::new("t", "kid")).unwrap().watched().unwrap();
    assert_eq!(watched, ["a", "b", "k", "main_id"]);
}

/// What puts rows in another order makes another list of them, and another first among equals.
#[test]
fn columns_that_give_the_order_matter_where_order_shows() {
    let mut catalog = catalog(&[]);
    let items = catalog.tables.get_mut(&TableName::new("shop", "order_items")).unwrap();
    for index in [["order_id", "spare"], ["product_id", "order_id"]] {
        items.indexes.push(index.map(str::to_owned).to_vec());
    }
    let watched = |selected: &str| {
        let sql = format!(
            "SELECT o.id, (SELECT {selected} FROM shop.order_items i WHERE i.order_id = o.id) AS items
               FROM shop.orders o WHERE o.id IN (?)"
        );
        let plan = try_plan(&query(&sql), &catalog).unwrap();
        let of = |table: &str| {
            let watched = plan.table(&TableName::new("shop", table)).unwrap().watched().unwrap();
            watched.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        (of("orders"), of("order_items"))
    };
    assert_eq!(watched("MIN(i.sku)").1, ["id", "order_id", "sku"]);
    assert_eq!(watched("SUM(i.qty)").1, ["id", "order_id", "qty"]);
    // an index that leads to the rows, and not the one that begins with what nobody reads
    let (orders, items) = watched("JSON_ARRAYAGG(i.sku)");
    assert_eq!(items, ["id", "order_id", "sku", "spare"]);
    assert_eq!(orders, ["id"]);
    assert_eq!(watched("GROUP_CONCAT(i.sku ORDER BY i.qty)").1, ["id", "order_id", "qty", "sku", "spare"]);
    // one that has all that is read may be gone through in its own order
    assert_eq!(watched("JSON_ARRAYAGG(i.order_id)").1, ["id", "order_id", "product_id", "spare"]);
}

#[test]
fn names_of_every_kind() {
    let mut catalog =
        catalog(&["my-db.Odd `name: *id int, `k` int, select int", "my-db.kid: *id int, Main_ID int"]);
    catalog.tables.retain(|name, _| name.schema == "my-db");
    let sql = "SELECT `Odd ``name`.id, `Odd ``name`.`select` FROM `Odd ``name` JOIN `my-db`.kid ON MAIN_id = `Odd ``name`.ID WHERE `Odd ``name`.`id` IN (:ids)";
    let text = QueryText { database: Some("my-db".into()), ..query(sql) };
    let plan = try_plan(&text, &catalog).unwrap();
    assert_eq!(rules(&plan, "my-db.kid"), ["direct Main_ID"]);
    assert_eq!(
        plan.read_sql(2),
        "SELECT `Odd ``name`.id, `Odd ``name`.`select` FROM `my-db`.`Odd ``name` JOIN `my-db`.kid ON MAIN_id = `Odd ``name`.ID WHERE `Odd ``name`.`id` IN (?, ?)"
    );
    catalog.lower_case_table_names = 1;
    catalog.tables = catalog
        .tables
        .into_iter()
        .map(|(n, t)| (TableName::new(n.schema.to_lowercase(), n.table.to_lowercase()), t))
        .collect();
    let plan = try_plan(&text, &catalog).unwrap();
    assert!(plan.table(&TableName::new("MY-db", "KID")).is_some());
}

#[test]
fn composite_keys() {
    let catalog = catalog(&[
        "t.main: *a int, *b text, n int",
        "t.kid: *k int, b text, a int",
        "t.half: *k int, a int",
        "t.other: *n int",
    ]);
    let sql = "SELECT m.b, m.a FROM t.main m LEFT JOIN t.kid k ON (k.a, k.b) = (m.a, m.b) LEFT JOIN t.half h ON h.a = m.a JOIN t.other o ON o.n = m.n WHERE (m.a, m.b) IN (:ids)";
    let text = QueryText { key: vec!["a".into(), "b".into()], ..query(sql) };
    let plan = try_plan(&text, &catalog).unwrap();
    assert_eq!(plan.key_output(), [1, 0]);
    assert_eq!(
        rules(&plan, "t.kid"),
        ["lookup b,a: m.a, m.b FROM t.main AS m WHERE (m.b, m.a) IN ((?, ?))"],
        "b has several spellings"
    );
    assert_eq!(rules(&plan, "t.half"), ["lookup a: m.a, m.b FROM t.main AS m WHERE m.a IN (?)"]);
    assert!(plan.read_sql(2).ends_with("WHERE (m.a, m.b) IN ((?, ?), (?, ?))"), "{}", plan.read_sql(2));
}
