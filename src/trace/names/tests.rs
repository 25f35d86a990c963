use super::*;

fn names(dump: &str) -> Names {
    let mut names = Names::default();
    assert_eq!(names.add_dump(dump, None), Vec::<String>::new());
    names
}

fn columns(names: &Names, schema: &str, table: &str) -> String {
    match names.get(&TableName::new(schema, table)) {
        Ok(Some((shape, _))) => {
            let each = shape.columns.iter().map(|c| {
                let generated = if c.generated { "*" } else { "" };
                format!("{}{generated}", c.column.name)
            });
            each.collect::<Vec<_>>().join(" ")
        }
        Ok(None) => "unknown".into(),
        Err(why) => format!("lost: {why}"),
    }
}

const DUMP: &str = r"
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `orders` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `na``me` varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT 'a,b (c)',
  `double` int GENERATED ALWAYS AS ((`id` * 2)) STORED,
  `v` int /*!80023 INVISIBLE */,
  `g` point NOT NULL /*!80003 SRID 4326 */,
  `e` enum('a','b''c') NOT NULL,
  `at` timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`e`,`na``me`(10)),
  KEY `k` ((cast(`v` as unsigned array))),
  CONSTRAINT `fk` FOREIGN KEY (`v`) REFERENCES `p` (`id`) ON DELETE CASCADE
) /*!50100 TABLESPACE `innodb_system` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci /*!80016 DEFAULT ENCRYPTION='N' */
/*!50100 PARTITION BY RANGE (`id`) (PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB) */;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `tr` AFTER INSERT ON `orders` FOR EACH ROW BEGIN
INSERT INTO log VALUES (1); END */;;
DELIMITER ;
";

#[test]
fn a_dump_is_read_with_its_version_comments() {
    let names = names(DUMP);
    assert_eq!(columns(&names, "any", "orders"), "id na`me double* v g e at");
    let (shape, nameless) = names.get(&TableName::new("shop", "orders")).unwrap().unwrap();
    assert!(nameless && shape.triggers);
    assert_eq!(shape.primary, ["id"]);
    assert_eq!(shape.unique, [("u".to_owned(), vec!["e".to_owned(), "na`me".to_owned()])]);
    assert_eq!(shape.charset.as_deref(), Some("utf8mb4_0900_ai_ci"));
    let at = |name: &str| &shape.columns[shape.find(name).unwrap()];
    assert!(at("id").column.unsigned && !at("id").nullable && at("v").nullable);
    assert!(at("at").auto_update && !at("id").auto_update);
    assert_eq!(at("na`me").charset.as_deref(), Some("latin1_swedish_ci"));
    assert_eq!(at("g").sql_type.codes, [255]);
}

#[test]
fn use_names_the_database() {
    let names = names("CREATE DATABASE `a`; USE `a`; CREATE TABLE t (x INT); USE b; CREATE TABLE t (y INT)");
    assert_eq!(columns(&names, "a", "t"), "x");
    assert_eq!(columns(&names, "b", "t"), "y");
    assert_eq!(columns(&names, "c", "t"), "unknown");
}

fn read(statements: &[&str]) -> Vec<Ddl> {
    statements.iter().map(|sql| Ddl::read(sql, "d").unwrap()).collect()
}

#[test]
fn ddl_of_the_stream_moves_the_schema() {
    let mut names = names("USE d; CREATE TABLE t (a INT PRIMARY KEY, b INT, c INT)");
    for (sql, expected) in [
        ("ALTER TABLE t ADD COLUMN x INT NOT NULL AFTER a, DROP b", "a x c"),
        ("ALTER TABLE t ADD (y INT, z INT AS (a + 1) VIRTUAL), ADD KEY k (c)", "a x c y z*"),
        ("ALTER TABLE t CHANGE c cc BIGINT FIRST, RENAME COLUMN y TO yy", "cc a x yy z*"),
        ("ALTER TABLE d.t MODIFY COLUMN x TEXT AFTER z, DROP PRIMARY KEY, ADD UNIQUE u (cc)", "cc a yy z* x"),
        ("ALTER TABLE t ENGINE = InnoDB, DEFAULT CHARSET = latin1 COLLATE latin1_bin", "cc a yy z* x"),
    ] {
        names.apply(&Ddl::read(sql, "d").unwrap()).unwrap();
        assert_eq!(columns(&names, "d", "t"), expected, "{sql}");
    }
    let (shape, _) = names.get(&TableName::new("d", "t")).unwrap().unwrap();
    assert!(shape.primary.is_empty() && shape.unique == [("u".to_owned(), vec!["cc".to_owned()])]);
    assert_eq!(shape.charset.as_deref(), Some("latin1_bin"));
    for ddl in read(&["RENAME TABLE t TO e.t2, e.t2 TO t3", "CREATE TABLE like_it LIKE t3", "DROP TABLE t3"])
    {
        names.apply(&ddl).unwrap();
    }
    assert_eq!(columns(&names, "d", "like_it"), "cc a yy z* x");
    assert_eq!(columns(&names, "d", "t3"), "lost: it was dropped");
}

/// The tables at the beginning of these statements.
fn beginning(dump: &str, ddl: &[Ddl], from_end: bool) -> Names {
    let known = names(dump);
    known.at_beginning(ddl.iter(), from_end).unwrap_or(known)
}

#[test]
fn a_schema_from_after_the_ddl_is_taken_back() {
    let ddl = read(&[
        "ALTER TABLE t ADD x INT AFTER a",
        "ALTER TABLE t RENAME COLUMN b TO bb",
        "ALTER TABLE s DROP q",
    ]);
    let dump = "CREATE TABLE t (a INT, x INT, bb INT); CREATE TABLE s (p INT)";
    let start = beginning(dump, &ddl, false);
    assert_eq!(columns(&start, "d", "t"), "a b");
    assert!(columns(&start, "d", "s").starts_with("lost: the known schema is from after"));
    // From before: nothing is taken back.
    let dump = "CREATE TABLE t (a INT, b INT); CREATE TABLE s (p INT, q INT)";
    assert!(names(dump).at_beginning(ddl.iter(), false).is_none());
    // A server's schema is from the end even where the DDL would fit.
    let drop = read(&["ALTER TABLE t MODIFY a BIGINT FIRST"]);
    let start = beginning("CREATE TABLE t (a INT, b INT)", &drop, true);
    assert!(columns(&start, "d", "t").starts_with("lost"));
}

/// A file of DDL may be from after statements that fit it all the same.
#[test]
fn what_may_be_from_after_is_not_taken_for_before() {
    for (dump, sql) in [
        ("CREATE TABLE t (id INT, b INT, a INT)", "ALTER TABLE t MODIFY b INT AFTER id"),
        ("CREATE TABLE t (id INT, a INT)", "ALTER TABLE t DROP COLUMN a, ADD COLUMN a INT"),
    ] {
        let ddl = read(&[sql]);
        let mut start = beginning(dump, &ddl, false);
        assert!(columns(&start, "d", "t").starts_with("lost"), "{sql}");
        start.apply(&ddl[0]).unwrap();
        assert!(columns(&start, "d", "t").starts_with("id"), "known again from it on: {sql}");
    }
    let unsure = |dump: &str, sql: &str| {
        let start = beginning(dump, &read(&[sql]), false);
        let (shape, _) = start.get(&TableName::new("d", "t")).unwrap().unwrap();
        shape.columns.iter().map(|column| column.unsure).collect::<Vec<_>>()
    };
    let dump = "CREATE TABLE t (id INT, a INT UNSIGNED)";
    assert_eq!(unsure(dump, "ALTER TABLE t MODIFY a INT UNSIGNED"), [false, true]);
    assert_eq!(unsure(dump, "ALTER TABLE t MODIFY a INT"), [false, false], "it is from before");
    assert_eq!(unsure(dump, "ALTER TABLE t ENGINE = InnoDB, ADD KEY (a)"), [false, false]);
    // the columns that come later prove that it is from before
    let ddl = read(&["ALTER TABLE t ADD COLUMN b INT", "ALTER TABLE t MODIFY a VARCHAR(20) COMMENT 'x'"]);
    let mut start = beginning("CREATE TABLE t (id INT, a VARCHAR(20))", &ddl, false);
    assert_eq!(columns(&start, "d", "t"), "id a");
    start.apply(&ddl[0]).unwrap();
    assert_eq!(columns(&start, "d", "t"), "id a b");
}
