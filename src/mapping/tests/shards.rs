//! Names with variables, logical names.

use super::*;

fn books() -> QueryText {
    let variable = ShardVariable {
        name: "shard".into(),
        strategy: ShardStrategy::Modulo,
        shards: 3,
        width: 2,
        format: "{}".into(),
    };
    let rewrite = RewriteRule { pattern: "^(book|book_ext)_[0-9]{2}$".into(), table: "$1".into() };
    let rule =
        |table: &str, action| TableRule { table: TableName::new("lib", table), action, columns: vec![] };
    QueryText {
        table: Some(TableName::new("lib", "book")),
        sharding: vec![variable],
        rewrites: vec![rewrite],
        rules: vec![
            rule("book_ext", TableAction::Column(vec!["book_id".into()])),
            rule("audit", TableAction::Ignore),
        ],
        ..query(
            "SELECT b.id, b.title, e.meta, a.name FROM lib.book_{{SHARD}} b
               LEFT JOIN lib.book_ext_{{ shard }} e ON e.book_id = b.id
               LEFT JOIN lib.author a ON a.id = b.author_id WHERE b.id IN (:auto_ids)",
        )
    }
}

fn lib() -> Catalog {
    let specs: Vec<String> = (0..3)
        .flat_map(|n| {
            [
                format!("lib.book_{n:02}: *id int, title text, author_id int"),
                format!("lib.book_ext_{n:02}: *id int, book_id int, meta text"),
            ]
        })
        .chain(["lib.author: *id int, name text".to_owned()])
        .collect();
    catalog(&specs.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn every_physical_table_is_asked_for() {
    let names: Vec<String> = parse(&books()).unwrap().tables().iter().map(ToString::to_string).collect();
    assert!(names.contains(&"lib.book_02".to_owned()) && names.contains(&"lib.book_ext_00".to_owned()));
    assert!(!names.iter().any(|name| name == "lib.audit"));
}

#[test]
fn reads_walks_and_lookups_of_one_shard() {
    let plan = try_plan(&books(), &lib()).unwrap();
    assert_eq!(plan.main(), &TableName::new("lib", "book"));
    let groups = plan.by_shard(&ints(&[3, 4, 6, 1]));
    assert_eq!(
        groups.iter().map(|(_, keys)| keys.clone()).collect::<Vec<_>>(),
        [ints(&[3, 6]), ints(&[4, 1])]
    );
    let sql = plan.render(&plan.read_sql(2), &groups[1].0);
    assert!(sql.contains("FROM lib.book_01 b") && sql.contains("JOIN lib.book_ext_01 e"), "{sql}");
    let walk = plan.walk_sql(&WalkSelection::All, true, 7).unwrap();
    let shards = plan.shards_of(&walk);
    assert_eq!(shards.len(), 3);
    assert_eq!(plan.shard_of(&walk, &Key::int(5)), shards[2]);
    assert_eq!(
        plan.render(&walk, &shards[2]).replace('`', ""),
        "SELECT b.id FROM lib.book_02 AS b WHERE b.id > ? ORDER BY b.id LIMIT 7"
    );
    let lookup = plan.lookups()[0].sql(1, false, 9);
    assert_eq!(plan.shards_of(&lookup).len(), 3);
    assert!(plan.render(&lookup, &shards[1]).contains("FROM `lib`.`book_01` AS `b`"), "{lookup}");
    assert_eq!(plan.main_tables().len(), 3);
}

#[test]
fn physical_tables_follow_the_rule_of_their_logical_name() {
    let (plan, catalog) = (try_plan(&books(), &lib()).unwrap(), lib());
    for table in ["lib.book_00", "lib.book_02"] {
        assert_eq!(rules(&plan, table), ["direct id"], "{table}");
    }
    assert_eq!(rules(&plan, "lib.book_ext_01"), ["direct book_id"]);
    let row = [Value::Int(1), Value::Int(77), Value::Bytes(b"x".as_slice().into())];
    let out = touch(&plan, &catalog, "lib.book_ext_02", None, Some(&row)).unwrap();
    assert_eq!(out.keys, ints(&[77]));
    let text = plan.explain();
    assert!(text.contains("main table lib.book, key id"), "{text}");
    assert!(text.contains("lib.book_ext\n  direct (mapping.tables): book_id is the key"), "{text}");
    assert!(text.contains("FROM `lib`.`book_{{shard}}` AS `b`"), "{text}");
    assert!(text.contains("lib.audit\n  ignored"), "{text}");
}

#[test]
fn without_a_rewrite_names_keep_their_variables() {
    let text = QueryText { rewrites: vec![], rules: vec![], ..books() };
    let plan = try_plan(&text, &lib()).unwrap();
    assert_eq!(plan.main(), &TableName::new("lib", "book"));
    assert_eq!(rules(&plan, "lib.book_ext_01"), ["direct book_id"]);
    assert!(plan.explain().contains("lib.book_ext_{{shard}}\n"), "{}", plan.explain());
    let wrong = QueryText { table: Some(TableName::new("lib", "novel")), ..books() };
    let error = try_plan(&wrong, &lib()).unwrap_err().to_string();
    assert!(error.contains("query.table says lib.novel"), "{error}");
}

#[test]
fn tables_that_are_not_alike() {
    let mut catalog = lib();
    let odd = TableName::new("lib", "book_01");
    let (_, table) = table("lib.book_01: *id int, title latin1, author_id int");
    catalog.tables.insert(odd.clone(), table);
    let error = try_plan(&books(), &catalog).unwrap_err().to_string();
    assert!(error.contains("lib.book stands for several tables, but lib.book_01.title is"), "{error}");
    catalog.tables.remove(&odd);
    let error = try_plan(&books(), &catalog).unwrap_err().to_string();
    assert!(error.contains("lib.book_01 is not there"), "{error}");
}

#[test]
fn logical_names_of_tables_that_the_query_does_not_read() {
    let mut text = query("SELECT id FROM shop.orders WHERE id IN (?)");
    text.rewrites = vec![RewriteRule { pattern: r"^shop\.notes_\d+$".into(), table: "shop.notes".into() }];
    let action = TableAction::Column(vec!["order_id".into()]);
    text.rules = vec![TableRule { table: TableName::new("shop", "notes"), action, columns: vec![] }];
    let parsed = parse(&text).unwrap();
    assert_eq!(parsed.rewritten_schemas().into_iter().collect::<Vec<_>>(), ["shop"]);
    let small = catalog(&[]);
    let known = [TableName::new("shop", "notes_1"), TableName::new("shop", "orders")];
    assert_eq!(parsed.more_tables(&small, &known).unwrap(), [TableName::new("shop", "notes_1")]);
    let whole = catalog(&["shop.notes_1: *id int, order_id int"]);
    assert!(parsed.more_tables(&whole, &known).unwrap().is_empty());
    let plan = parsed.compile(&whole).unwrap();
    assert_eq!(rules(&plan, "shop.notes_1"), ["direct order_id"]);
    assert_eq!(rules(&plan, "shop.notes_7"), ["direct order_id"], "one that came later");
}

#[test]
fn ddl_of_a_shard() {
    let (plan, catalog) = (try_plan(&books(), &lib()).unwrap(), lib());
    let mut history = SchemaHistory::default();
    for table in ["lib.book_00", "lib.book_01", "lib.book_ext_00"] {
        let (schema, name) = table.split_once('.').unwrap();
        history.insert(TableName::new(schema, name), event_columns(&catalog, table));
    }
    let mut effect = |sql: &str| history.apply(sql, "lib", &plan);
    assert!(matches!(effect("TRUNCATE book_01"), DdlEffect::Gap { .. }));
    assert!(matches!(effect("DROP DATABASE lib"), DdlEffect::Gap { .. }));
    let added = effect("ALTER TABLE book_01 ADD COLUMN spare INT FIRST");
    assert!(matches!(added, DdlEffect::SchemaChanged { .. }), "{added:?}");
    assert_eq!(history.columns(&TableName::new("lib", "book_01")).unwrap()[0].name, "spare");
    assert_eq!(history.columns(&TableName::new("lib", "book_00")).unwrap()[0].name, "id");
}
