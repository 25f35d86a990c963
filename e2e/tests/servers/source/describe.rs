//! What the server and its tables are like.

use binlog_operator::model::{Column, ColumnKind, TableName};
use binlog_operator::source::Flavor;
use e2e::{MysqlOptions, MysqlServer, shared};

use super::{source, source_of};

#[tokio::test]
async fn the_catalog_tells_columns_indexes_and_cascades() {
    let server = shared::mysql().await;
    let db = shared::name("catalog");
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!("CREATE TABLE {db}.grand (id INT PRIMARY KEY)"),
            format!(
                "CREATE TABLE {db}.parent (a INT, b INT, g INT, PRIMARY KEY (a, b), \
                 FOREIGN KEY (g) REFERENCES {db}.grand (id) ON UPDATE SET NULL)"
            ),
            format!(
                "CREATE TABLE {db}.child (id BIGINT UNSIGNED PRIMARY KEY, pb INT, pa INT, Name VARCHAR(20) \
                 CHARACTER SET latin1, code BINARY(16) NOT NULL, at TIMESTAMP(3) NULL, bits BIT(9), \
                 total INT AS (pa + pb), twice INT AS (total * 2), doc JSON, \
                 lower_name VARCHAR(20) AS (lower(Name)), e ENUM('x') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
                 KEY by_parent (pa, pb), KEY by_expression ((pa * 2), pb), UNIQUE by_code (code), \
                 KEY half (pb, (pa * 3)), FULLTEXT KEY words (Name), KEY unseen (at) INVISIBLE, \
                 CONSTRAINT down FOREIGN KEY (pa, pb) REFERENCES {db}.parent (a, b) ON DELETE CASCADE)"
            ),
            format!("CREATE VIEW {db}.seen AS SELECT id FROM {db}.child"),
            format!("CREATE USER {db} IDENTIFIED BY 'x'"),
            format!("GRANT SELECT ON {db}.* TO {db}"),
        ])
        .await;
    let name = |table: &str| TableName::new(db.as_str(), table);
    let source = source_of(server, &db, "x");
    let catalog = source.catalog(&[name("child"), name("seen"), name("gone")]).await.unwrap();
    let tables: Vec<&str> = catalog.tables.keys().map(|name| name.table.as_str()).collect();
    assert_eq!(tables, ["child", "grand", "parent", "seen"], "cascades reach child from both parents");
    assert!(catalog.cascades_logged && catalog.lower_case_table_names == 0);
    let child = &catalog.tables[&name("child")];
    let column = |at: usize| &child.columns[at];
    let plain =
        |name: &str, kind| Column { name: name.into(), kind, unsigned: false, collation: None, width: 0 };
    assert_eq!(column(0).column, Column { unsigned: true, ..plain("id", ColumnKind::Int) });
    assert_eq!(column(3).column, Column { collation: Some(8), ..plain("Name", ColumnKind::Text) });
    assert_eq!(column(4).column, Column { width: 16, ..plain("code", ColumnKind::FixedBinary) });
    assert_eq!(column(5).column, Column { width: 3, ..plain("at", ColumnKind::Timestamp) });
    assert_eq!(column(6).column, Column { width: 9, ..plain("bits", ColumnKind::Bit) });
    assert_eq!(column(9).column, plain("doc", ColumnKind::Json));
    assert_eq!(column(11).column, Column { collation: Some(46), ..plain("e", ColumnKind::Enum) });
    assert_eq!(column(3).collation_name.as_deref(), Some("latin1_swedish_ci"));
    assert_eq!((column(4).nullable, column(5).nullable), (false, true));
    assert_eq!((column(0).sql_type.as_str(), column(6).sql_type.as_str()), ("bigint unsigned", "bit(9)"));
    assert_eq!(column(7).generated_from, ["pa", "pb"]);
    assert_eq!(column(8).generated_from, ["pa", "pb"], "through the other generated column");
    assert_eq!(column(10).generated_from, ["Name"]);
    assert!(column(1).generated_from.is_empty());
    assert_eq!(child.columns.len(), 12, "hidden columns of functional indexes are not in row images");
    assert_eq!(child.primary_key, ["id"]);
    let indexes: Vec<String> = child.indexes.iter().map(|index| index.join(" ")).collect();
    assert_eq!(indexes, ["id", "code", "pa pb", "pb"]);
    let key = &child.foreign_keys[0];
    assert_eq!((key.columns.join(" "), key.parent_columns.join(" ")), ("pa pb".into(), "a b".into()));
    assert_eq!((&key.parent, key.acts_on_delete, key.acts_on_update), (&name("parent"), true, false));
    assert!(catalog.tables[&name("parent")].foreign_keys[0].acts_on_update);
    assert_eq!(catalog.tables[&name("parent")].primary_key, ["a", "b"]);
    assert!(catalog.tables[&name("seen")].is_view && !child.is_view && child.engine == "InnoDB");
}

#[tokio::test]
async fn names_are_folded_where_the_server_folds_them() {
    let options = MysqlOptions {
        init_flags: vec!["--lower-case-table-names=1".into()],
        ..MysqlOptions::default().flag("--sql-generate-invisible-primary-key=ON")
    };
    let server = MysqlServer::start(options).await;
    server.run(&["CREATE DATABASE Shop", "CREATE TABLE Shop.Orders (v INT)"]).await;
    let catalog = source(&server).catalog(&[TableName::new("SHOP", "Orders")]).await.unwrap();
    assert_eq!(catalog.lower_case_table_names, 1);
    let table = &catalog.tables[&TableName::new("shop", "orders")];
    let names: Vec<&str> = table.columns.iter().map(|column| column.column.name.as_str()).collect();
    assert_eq!(names, ["my_row_id", "v"], "generated invisible primary keys are in row images");
}

#[tokio::test]
async fn the_server_describes_itself() {
    let server = shared::mysql().await;
    let info = source(server).server().await.unwrap();
    assert_eq!(info.flavor, Flavor::MySql);
    assert!(info.gtid && info.log_bin && info.binlog_order_commits && info.log_replica_updates, "{info:?}");
    assert_eq!((info.binlog_format.as_str(), info.row_image.as_str()), ("ROW", "FULL"));
    assert_eq!((info.server_id, info.row_metadata.as_str()), (1, "MINIMAL"));
    assert_eq!(info.server_uuid.len(), 36);
    assert_eq!((info.is_replica, info.binlog_expire_seconds), (Some(false), Some(30 * 86_400)));
}
