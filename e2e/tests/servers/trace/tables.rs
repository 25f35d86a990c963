//! Tables of every shape, what they hold before, and a workload that changes them.

/// A table with its rows before the workload and the statements that change it.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    /// As it is called, without quotes.
    pub(crate) name: &'static str,
    /// `CREATE TABLE` and what belongs to it.
    pub(crate) create: &'static [&'static str],
    /// Statements that make state A.
    pub(crate) fill: &'static [&'static str],
    /// Statements that make state B of it.
    pub(crate) work: &'static [&'static str],
    /// Among the eight of the quick run.
    pub(crate) quick: bool,
    /// Its rows come from triggers, which fire again where SQL is applied.
    pub(crate) from_triggers: bool,
}

const fn table(
    name: &'static str,
    create: &'static [&'static str],
    fill: &'static [&'static str],
    work: &'static [&'static str],
) -> Table {
    Table { name, create, fill, work, quick: false, from_triggers: false }
}

const fn quick(table: Table) -> Table {
    Table { quick: true, ..table }
}

const fn from_triggers(table: Table) -> Table {
    Table { from_triggers: true, ..table }
}

/// All tables, in the order in which they are made.
pub(crate) const TABLES: &[Table] = &[
    quick(table(
        "ints",
        &["CREATE TABLE ints (id INT PRIMARY KEY AUTO_INCREMENT, a TINYINT, b TINYINT UNSIGNED, c SMALLINT,
           d SMALLINT UNSIGNED, e MEDIUMINT, f MEDIUMINT UNSIGNED, g INT, h INT UNSIGNED, i BIGINT,
           j BIGINT UNSIGNED, k BOOL, y YEAR, b1 BIT(1), b9 BIT(9), b64 BIT(64))"],
        &["INSERT INTO ints VALUES
           (1,-128,255,-32768,65535,-8388608,16777215,-2147483648,4294967295,-9223372036854775808,
            18446744073709551615,1,1901,1,257,18446744073709551615),
           (2,127,0,32767,0,8388607,0,2147483647,0,9223372036854775807,0,0,2155,0,0,0),
           (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
           (4,-1,1,-1,1,-1,1,-1,1,-1,1,1,0,1,1,1)"],
        &["UPDATE ints SET b = 7, b64 = 9223372036854775809 WHERE id = 1", "DELETE FROM ints WHERE id IN (2, 3)",
          "INSERT INTO ints (g, y) VALUES (5, 2001), (6, 0)", "UPDATE ints SET id = id + 100 ORDER BY id DESC",
          "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')",
          "INSERT INTO ints (id, g) VALUES (0, 77)"],
    )),
    table(
        "big_key",
        &["CREATE TABLE big_key (id BIGINT UNSIGNED PRIMARY KEY, v INT)"],
        &["INSERT INTO big_key VALUES (18446744073709551615, 1), (9223372036854775808, 2), (0 + 3, 3)"],
        &["UPDATE big_key SET v = v + 10", "DELETE FROM big_key WHERE id = 18446744073709551615",
          "INSERT INTO big_key VALUES (18446744073709551614, 9)"],
    ),
    table(
        "decimals",
        &["CREATE TABLE decimals (id INT PRIMARY KEY, a DECIMAL(65,30), b DECIMAL(10,0), c DECIMAL(18,9) UNSIGNED,
           d DECIMAL(2,2), e DECIMAL(5,2))"],
        &["INSERT INTO decimals VALUES
           (1,99999999999999999999999999999999999.999999999999999999999999999999,9999999999,999999999.999999999,0.99,999.99),
           (2,-99999999999999999999999999999999999.999999999999999999999999999999,-9999999999,0,-0.99,-999.99),
           (3,0,0,0,0,0),(4,NULL,NULL,NULL,NULL,NULL)"],
        &["UPDATE decimals SET a = a / 3, e = -0.01 WHERE id < 3", "DELETE FROM decimals WHERE id = 4",
          "INSERT INTO decimals VALUES (5,0.000000000000000000000000000001,1,0.000000001,-0.01,-0.01)"],
    ),
    quick(table(
        "floats",
        &["CREATE TABLE floats (id INT PRIMARY KEY, f FLOAT, d DOUBLE, fm FLOAT(7,2), fu FLOAT UNSIGNED)"],
        &["INSERT INTO floats VALUES (1,1.1,1e-300,1.10,0.1),(2,-1.17549e-38,-1.7976931348623157e308,-99999.99,3.4e38),
           (3,3.4028234e38,5e-324,0,0),(4,16777216,0.1,0.01,1),(5,NULL,NULL,NULL,NULL),(6,0,-0.0,0,0)"],
        &["UPDATE floats SET d = d * 2, f = f / 3 WHERE id IN (1, 4)", "UPDATE floats SET d = 0 WHERE id = 6",
          "UPDATE floats SET d = -0.0e0 WHERE id = 6", "DELETE FROM floats WHERE id IN (2, 3)",
          "INSERT INTO floats VALUES (7, 1e-45, 2.2250738585072014e-308, 123.45, 1e10)"],
    )),
    table(
        "float_no_key",
        &["CREATE TABLE float_no_key (f FLOAT, d DOUBLE, j JSON, b BLOB)"],
        &["INSERT INTO float_no_key VALUES (1.1, 1.1, '{\"a\": 1.0}', 'x'), (1.1, 1.1, '{\"a\": 1.0}', 'x'),
           (1.1, 1.1, '{\"a\": 1}', 'x'), (2.5, 0.3, NULL, NULL)"],
        &["DELETE FROM float_no_key WHERE JSON_TYPE(j->'$.a') = 'INTEGER'",
          "UPDATE float_no_key SET d = 7.7 WHERE f < 2 LIMIT 1", "INSERT INTO float_no_key VALUES (0.1, 0.2, '[]', '')",
          "DELETE FROM float_no_key WHERE j IS NULL"],
    ),
    quick(table(
        "times",
        &["CREATE TABLE times (id INT PRIMARY KEY, d DATE, t TIME, t1 TIME(1), t3 TIME(3), t6 TIME(6), dt DATETIME,
           dt1 DATETIME(1), dt6 DATETIME(6), ts TIMESTAMP NULL, ts3 TIMESTAMP(3) NULL, ts6 TIMESTAMP(6) NULL)"],
        &["SET SESSION sql_mode = ''",
          "INSERT INTO times VALUES
           (1,'0000-00-00','-838:59:59','-00:00:00.1','-12:34:56.789','-00:00:00.000001','0000-00-00 00:00:00',
            '9999-12-31 23:59:59.9','1000-01-01 00:00:00.000001','1970-01-01 00:00:01','2026-01-02 03:04:05.678',
            '2026-01-02 03:04:05.000009'),
           (2,'9999-12-31','838:59:59','0:0:0.9','1:1:1.001','838:59:58.999999','9999-12-31 23:59:59',NULL,NULL,0,0,0),
           (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)"],
        &["SET SESSION sql_mode = ''",
          "UPDATE times SET t3 = '-0:0:0.001', ts = '2038-01-19 03:14:07', d = '2026-00-00' WHERE id = 1",
          "DELETE FROM times WHERE id = 2", "INSERT INTO times (id, dt, ts6) VALUES (9, '2026-02-00', '2026-11-21 12:00:00.5')"],
    )),
    table(
        "auto_times",
        &["CREATE TABLE auto_times (id INT PRIMARY KEY, v INT, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE
           CURRENT_TIMESTAMP, dt DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))"],
        &["INSERT INTO auto_times VALUES (1, 1, '2020-01-01 00:00:00', '2020-01-01 00:00:00.5'), (2, 2, '2020-01-01', '2020-01-01')"],
        &["UPDATE auto_times SET v = 9, at = at, dt = dt WHERE id = 1", "UPDATE auto_times SET v = 8 WHERE id = 2",
          "INSERT INTO auto_times (id, v) VALUES (3, 3)"],
    ),
    quick(table(
        "charsets",
        &["CREATE TABLE charsets (id INT PRIMARY KEY, u8 VARCHAR(50) CHARACTER SET utf8mb4, u3 VARCHAR(50) CHARACTER SET
           utf8mb3, l1 VARCHAR(50) CHARACTER SET latin1, g VARCHAR(50) CHARACTER SET gbk, sj VARCHAR(50) CHARACTER SET
           sjis, u16 VARCHAR(50) CHARACTER SET utf16, u32 VARCHAR(50) CHARACTER SET utf32, uc VARCHAR(50) CHARACTER SET
           ucs2, u16l VARCHAR(50) CHARACTER SET utf16le, b5 VARCHAR(50) CHARACTER SET big5, k TEXT CHARACTER SET koi8r,
           l2 CHAR(20) CHARACTER SET latin2, e ENUM('ä','b') CHARACTER SET latin1, asc1 VARCHAR(9) CHARACTER SET ascii)"],
        &["INSERT INTO charsets VALUES (1,'añb😀','é','€é','你好','あ\\\\','añ😀','añ😀','añ','ñ😀','中文','привет','łódź','ä','a'),
           (2,'','','','','','','','','','','','','b',''),
           (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
           (4,'plain','plain','plain','plain','plain','plain','plain','plain','plain','plain','plain','plain','b','x')"],
        &["UPDATE charsets SET g = CONCAT(g, '中'), l1 = 'ÿ', sj = 'ソ表', u16 = 'x', u16l = 'y€' WHERE id < 3",
          "DELETE FROM charsets WHERE id = 1", "DELETE FROM charsets WHERE id = 4",
          "INSERT INTO charsets (id, b5, k, u32, l2) VALUES (5, '功蓋', 'ёж', '😀', 'žluť')"],
    )),
    table(
        "text_key",
        &["CREATE TABLE text_key (k VARCHAR(20) CHARACTER SET gbk PRIMARY KEY, v INT)"],
        &["INSERT INTO text_key VALUES ('你', 1), ('好', 2), ('abc', 3)"],
        &["UPDATE text_key SET v = v + 1", "UPDATE text_key SET k = 'ABC' WHERE k = 'abc'",
          "UPDATE text_key SET k = '中' WHERE k = '你'", "DELETE FROM text_key WHERE k = '好'"],
    ),
    quick(table(
        "texts",
        &["CREATE TABLE texts (id INT PRIMARY KEY, c CHAR(10), v VARCHAR(300), tt TINYTEXT, t TEXT, mt MEDIUMTEXT, lt LONGTEXT)"],
        &[r#"INSERT INTO texts VALUES (1,'abc','it''s','a\\b\n\0\'\t\r\b"\Z%_',REPEAT('x', 3000),REPEAT('ü',70000),'l'),
           (2,'','','','','',''), (3,'trail  ','  lead','-- comment','/* c */','; DELIMITER ;;','\r\n\r\n'),
           (4,NULL,NULL,NULL,NULL,NULL,NULL)"#],
        &[r"UPDATE texts SET v = CONCAT(v, '\\'), t = 'back\\slash\'quote' WHERE id <= 3", "DELETE FROM texts WHERE id = 2",
          r"INSERT INTO texts (id, v, lt) VALUES (5, 'a\0b', REPEAT('\\', 100000))"],
    )),
    table(
        "binaries",
        &["CREATE TABLE binaries (id BINARY(16) PRIMARY KEY, b BINARY(4), vb VARBINARY(300), tb TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB)"],
        &["INSERT INTO binaries VALUES (X'0102030405060708090a0b0c0d0e0f00', X'0011', X'00', X'ff00', X'27', X'5c', X''),
           (X'00', X'', X'', X'', X'', X'', REPEAT(X'ff', 100000)), (X'01', NULL, NULL, NULL, NULL, NULL, NULL)"],
        &["UPDATE binaries SET vb = X'0a0d271a5c00', b = X'00000001'", "DELETE FROM binaries WHERE id = X'01000000000000000000000000000000'",
          "INSERT INTO binaries (id, tb) VALUES (X'ff', X'fe')", "UPDATE binaries SET id = X'0a' WHERE id = X'ff000000000000000000000000000000'"],
    ),
    table(
        "sets",
        &["CREATE TABLE sets (id INT PRIMARY KEY, e ENUM('a','b','ü','it''s'), s SET('a','b','c'), s64 SET(
           'a1','a2','a3','a4','a5','a6','a7','a8','a9','a10','a11','a12','a13','a14','a15','a16','a17','a18','a19','a20',
           'a21','a22','a23','a24','a25','a26','a27','a28','a29','a30','a31','a32','a33','a34','a35','a36','a37','a38',
           'a39','a40','a41','a42','a43','a44','a45','a46','a47','a48','a49','a50','a51','a52','a53','a54','a55','a56',
           'a57','a58','a59','a60','a61','a62','a63','a64'))"],
        &["SET SESSION sql_mode = ''",
          "INSERT INTO sets VALUES (1,'a','a,c','a1,a64'),(2,NULL,NULL,NULL),(3,'','',''),(4,'ü','','a2,a33'),(5,'nope','a','a1')"],
        &["SET SESSION sql_mode = ''", "UPDATE sets SET e = 'it''s', s = 'b' WHERE id IN (1, 5)", "DELETE FROM sets WHERE id = 3",
          "INSERT INTO sets VALUES (6, 'other', 'c', 'a64')"],
    ),
    table(
        "enum_key",
        &["CREATE TABLE enum_key (e ENUM('x','y','z') NOT NULL, n INT UNSIGNED NOT NULL, v INT, PRIMARY KEY (e, n))"],
        &["INSERT INTO enum_key VALUES ('x', 4294967295, 1), ('y', 4294967295, 2), ('z', 0, 3)"],
        &["UPDATE enum_key SET v = v * 10", "UPDATE enum_key SET e = 'z' WHERE e = 'y'", "DELETE FROM enum_key WHERE n = 0"],
    ),
    quick(table(
        "documents",
        &["CREATE TABLE documents (id INT PRIMARY KEY, j JSON, k JSON, n INT)"],
        &[r#"INSERT INTO documents VALUES (1,'{"a":1,"b":[1,2,{"c":null}],"d":"x\\"y","e":1.5,"f":true}','[]',1),
            (2,NULL,'null',2),(3,'{}','"s"',3),
            (4,CAST(CAST('2026-01-02 03:04:05.000006' AS DATETIME(6)) AS JSON),CAST(CAST(12.340 AS DECIMAL(10,3)) AS JSON),4),
            (5,JSON_OBJECT('t',CAST('-12:00:01' AS TIME),'d',CAST('2026-01-02' AS DATE),'b',CAST(X'00ff' AS BINARY),
              'big',18446744073709551615,'neg',-9223372036854775808,'u',CAST(5 AS UNSIGNED)),
              JSON_ARRAY(1e100,1e15,123456789012345.0,0.00001,1e-20,65535,65536,-32769,2147483648,1.0,CAST(7 AS UNSIGNED)),5),
            (6,'{"it''s":"\\\\","é":"😀"}',JSON_ARRAY(1.50,'1.50',CAST(CAST('10:11:12.5' AS TIME(1)) AS JSON)),6),
            (7,'1.0','1',7),(8,CAST(CAST(3 AS UNSIGNED) AS JSON),'true',8),(9,'{"d":1.0,"i":1}','2147483648',9)"#],
        &["UPDATE documents SET j = JSON_SET(j, '$.a', 2, '$.b[2].c', 'z'), k = JSON_ARRAY_INSERT(k, '$[0]', 1) WHERE id = 1",
          "UPDATE documents SET k = JSON_REMOVE(k, '$[0]'), n = 7 WHERE id = 5",
          "UPDATE documents SET j = JSON_SET(j, '$.t', CAST('01:02:03' AS TIME), '$.x', 1.250) WHERE id = 5",
          r#"UPDATE documents SET j = JSON_REPLACE(j, '$.d', 'new "q"'), k = JSON_SET(k, '$[0]', JSON_OBJECT('x', 1)) WHERE id = 1"#,
          r#"UPDATE documents SET j = JSON_SET(j, '$."a b"', 1, '$.aa', 2.0, '$.b[9]', 'end'), n = 9 WHERE id = 1"#,
          "DELETE FROM documents WHERE id IN (4, 6)", "UPDATE documents SET n = n + 1 WHERE id < 9",
          "INSERT INTO documents VALUES (10, JSON_ARRAY(CAST('2020-02-02' AS DATE), NULL, 0.10), NULL, 0)"],
    )),
    table(
        "points",
        &["CREATE TABLE points (id INT PRIMARY KEY, g GEOMETRY, p POINT NOT NULL SRID 4326, l LINESTRING, SPATIAL INDEX (p))"],
        &["INSERT INTO points VALUES (1, ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), ST_GeomFromText('POINT(48 11)', 4326),
           ST_GeomFromText('LINESTRING(0 0, 1 1)')), (2, NULL, ST_GeomFromText('POINT(-1 2)', 4326), NULL)"],
        &["UPDATE points SET p = ST_GeomFromText('POINT(10 20)', 4326), g = ST_GeomFromText('POINT(1 1)') WHERE id = 1",
          "DELETE FROM points WHERE id = 2", "INSERT INTO points VALUES (3, NULL, ST_GeomFromText('POINT(3 3)', 4326), NULL)"],
    ),
    table(
        "vectors",
        &["CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3), w VECTOR(4))"],
        &["INSERT INTO vectors VALUES (1, STRING_TO_VECTOR('[1,2,3.5]'), NULL), (2, STRING_TO_VECTOR('[0,-0.1,1e20]'), STRING_TO_VECTOR('[1]'))"],
        &["UPDATE vectors SET v = STRING_TO_VECTOR('[9,9,9]') WHERE id = 1", "DELETE FROM vectors WHERE id = 2",
          "INSERT INTO vectors VALUES (3, NULL, STRING_TO_VECTOR('[1,2,3,4]'))"],
    ),
    table(
        "spatial_no_key",
        &["CREATE TABLE spatial_no_key (g GEOMETRY, v VECTOR(2))"],
        &["INSERT INTO spatial_no_key VALUES (ST_GeomFromText('POINT(1 2)'), STRING_TO_VECTOR('[1,2]')), (ST_GeomFromText('POINT(1 2)'), STRING_TO_VECTOR('[1,2]')), (NULL, NULL)"],
        &["DELETE FROM spatial_no_key WHERE g IS NOT NULL LIMIT 1", "UPDATE spatial_no_key SET v = STRING_TO_VECTOR('[5,5]') WHERE g IS NULL",
          "INSERT INTO spatial_no_key VALUES (ST_GeomFromText('POINT(3 4)'), NULL)"],
    ),
    quick(table(
        "generated_columns",
        &["CREATE TABLE generated_columns (id INT PRIMARY KEY, a JSON, v INT GENERATED ALWAYS AS (a->'$.x') VIRTUAL,
           st INT AS (a->'$.x' * 2) STORED NOT NULL, `inv` INT INVISIBLE DEFAULT 3, c INT AS (id + 1) VIRTUAL UNIQUE,
           KEY mv ((CAST(a->'$.l' AS UNSIGNED ARRAY))), KEY fi ((a->'$.x' + 1)))"],
        &["INSERT INTO generated_columns (id, a) VALUES (1, '{\"x\":5,\"l\":[1,2]}'), (2, '{\"x\":6}'), (3, '{\"x\":7}')"],
        &["UPDATE generated_columns SET a = '{\"x\":50}', inv = 9 WHERE id = 1", "DELETE FROM generated_columns WHERE id = 2",
          "INSERT INTO generated_columns (id, a, inv) VALUES (9, '{\"x\":1}', NULL)"],
    )),
    table(
        "generated_key",
        &["CREATE TABLE generated_key (a INT, b INT, k INT AS (a * 10 + b) STORED NOT NULL PRIMARY KEY)"],
        &["INSERT INTO generated_key (a, b) VALUES (1, 1), (1, 2), (2, 1)"],
        &["UPDATE generated_key SET a = 5 WHERE b = 2", "DELETE FROM generated_key WHERE k = 21", "INSERT INTO generated_key (a, b) VALUES (9, 9)"],
    ),
    quick(table(
        "no_key",
        &["CREATE TABLE no_key (a INT, b VARCHAR(20), c TIMESTAMP NULL, d DECIMAL(5,2), e ENUM('p','q'), f BIT(3))"],
        &["INSERT INTO no_key VALUES (1,'x',NULL,1.5,'p',5),(1,'x',NULL,1.5,'p',5),(1,'X',NULL,1.5,'p',5),(NULL,NULL,NULL,NULL,NULL,NULL),
           (NULL,NULL,NULL,NULL,NULL,NULL),(2,'y ','2020-01-01',0,'q',0),(2,'y','2020-01-01',0,'q',0)"],
        &["DELETE FROM no_key WHERE b = 'x' COLLATE utf8mb4_bin LIMIT 1", "UPDATE no_key SET a = 9 WHERE a IS NULL LIMIT 1",
          "UPDATE no_key SET b = 'Y' WHERE b = 'y'", "INSERT INTO no_key VALUES (1,'x',NULL,1.5,'p',5),(3,'z',NULL,NULL,NULL,NULL)"],
    )),
    table(
        "nullable_unique",
        &["CREATE TABLE nullable_unique (u INT UNIQUE, v INT)"],
        &["INSERT INTO nullable_unique VALUES (NULL, 1), (NULL, 2), (NULL, 1), (5, 5)"],
        &["UPDATE nullable_unique SET v = 10 WHERE v = 2", "DELETE FROM nullable_unique WHERE v = 1 LIMIT 1", "UPDATE nullable_unique SET u = 6 WHERE u = 5"],
    ),
    table(
        "unique_key",
        &["CREATE TABLE unique_key (a VARCHAR(10) NOT NULL, b INT NOT NULL, v TEXT, UNIQUE KEY (a, b))"],
        &["INSERT INTO unique_key VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('b', 1, NULL)"],
        &["UPDATE unique_key SET v = 'new' WHERE a = 'a'", "UPDATE unique_key SET b = b + 10 WHERE a = 'b'", "DELETE FROM unique_key WHERE b = 2"],
    ),
    table(
        "prefix_key",
        &["CREATE TABLE prefix_key (a VARCHAR(100), b INT, c BLOB, v INT, PRIMARY KEY (b, a(3), c(2)))"],
        &["INSERT INTO prefix_key VALUES ('abcdef', 1, 'xyz', 1), ('abd', 1, 'xyz', 2), ('abcdef', 2, '', 3)"],
        &["UPDATE prefix_key SET v = v + 1", "DELETE FROM prefix_key WHERE b = 2", "UPDATE prefix_key SET a = 'zzzzzz' WHERE a = 'abd'"],
    ),
    table(
        "composite",
        &["CREATE TABLE composite (a INT, b VARCHAR(10), c DATE, v INT, PRIMARY KEY (c, a, b))"],
        &["INSERT INTO composite VALUES (1,'x','2020-01-01',1),(1,'y','2020-01-01',2),(2,'x','2021-01-01',3)"],
        &["UPDATE composite SET v = 0 WHERE a = 1", "UPDATE composite SET a = 7, b = 'q' WHERE a = 2", "DELETE FROM composite WHERE b = 'y'"],
    ),
    table(
        "swap",
        &["CREATE TABLE swap (id INT PRIMARY KEY, v VARCHAR(10))"],
        &["INSERT INTO swap VALUES (1,'one'),(2,'two'),(3,'three')"],
        &["UPDATE swap SET id = -1 WHERE id = 1", "UPDATE swap SET id = 1 WHERE id = 2", "UPDATE swap SET id = 2 WHERE id = -1",
          "BEGIN", "DELETE FROM swap WHERE id = 3", "INSERT INTO swap VALUES (3,'again')", "UPDATE swap SET v = 'last' WHERE id = 3", "COMMIT"],
    ),
    table(
        "odd`name %s",
        &["CREATE TABLE `odd``name %s` (`Ké y` VARCHAR(10) PRIMARY KEY, `a b` INT, `select` INT, `x``y` INT, `;` INT, `'q'` INT, `--` INT)"],
        &["INSERT INTO `odd``name %s` VALUES ('ö', 1, 2, 3, 4, 5, 6), ('p', 1, 2, 3, 4, 5, 6)"],
        &["UPDATE `odd``name %s` SET `a b` = 9, `x``y` = 8, `;` = 7 WHERE `Ké y` = 'ö'", "DELETE FROM `odd``name %s` WHERE `Ké y` = 'p'",
          "INSERT INTO `odd``name %s` VALUES (';--', 1, 2, 3, 4, 5, 6)"],
    ),
    table(
        "parts",
        &["CREATE TABLE parts (id INT, r INT, v TEXT, PRIMARY KEY (id, r)) PARTITION BY RANGE (r) SUBPARTITION BY HASH (id)
           SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)"],
        &["INSERT INTO parts VALUES (1, 1, 'a'), (2, 20, 'b'), (3, 5, 'c')"],
        &["UPDATE parts SET r = 30 WHERE id = 1", "UPDATE parts SET v = 'z' WHERE id = 2", "DELETE FROM parts WHERE id = 3",
          "INSERT INTO parts VALUES (4, 9, 'd')"],
    ),
    table(
        "triggered",
        &["CREATE TABLE triggered (id INT PRIMARY KEY, v INT)"],
        &["INSERT INTO triggered VALUES (1, 1), (2, 2)"],
        &["INSERT INTO triggered VALUES (3, 3)", "UPDATE triggered SET v = 20 WHERE id = 2", "DELETE FROM triggered WHERE id = 1"],
    ),
    from_triggers(table(
        "trigger_log",
        &["CREATE TABLE trigger_log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(20))",
          "CREATE TRIGGER ti AFTER INSERT ON triggered FOR EACH ROW BEGIN INSERT INTO trigger_log (what) VALUES ('insert'); END",
          "CREATE TRIGGER tu AFTER UPDATE ON triggered FOR EACH ROW INSERT INTO trigger_log (what) VALUES ('update')",
          "CREATE TRIGGER td AFTER DELETE ON triggered FOR EACH ROW INSERT INTO trigger_log (what) VALUES ('delete')"],
        &["INSERT INTO trigger_log (what) VALUES ('before')"],
        &["UPDATE trigger_log SET what = 'still' WHERE what = 'before'"],
    )),
    table(
        "parent",
        &["CREATE TABLE parent (id INT PRIMARY KEY, v INT)"],
        &["INSERT INTO parent VALUES (1, 1), (2, 2), (3, 3)"],
        &["UPDATE parent SET v = 9 WHERE id = 1"],
    ),
    table(
        "child",
        &["CREATE TABLE child (id INT PRIMARY KEY, p INT, n INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE
           CASCADE, FOREIGN KEY (n) REFERENCES parent (id) ON DELETE SET NULL)"],
        &["INSERT INTO child VALUES (1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 2, NULL)"],
        &["DELETE FROM parent WHERE id = 2", "UPDATE parent SET id = 33 WHERE id = 3", "INSERT INTO child VALUES (5, 1, 1)"],
    ),
    table(
        "multi",
        &["CREATE TABLE multi (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT DEFAULT 5)"],
        &["INSERT INTO multi (v) VALUES ('a'), ('b'), ('c')"],
        &["BEGIN", "INSERT INTO multi (v) VALUES ('d'), ('e')", "UPDATE multi SET v = CONCAT(v, v)", "SAVEPOINT s1",
          "DELETE FROM multi WHERE id = 1", "ROLLBACK TO s1", "DELETE FROM multi WHERE id = 2", "COMMIT",
          "BEGIN", "DELETE FROM multi", "ROLLBACK", "INSERT INTO multi (v) SELECT v FROM multi", "REPLACE INTO multi VALUES (1, 'r', 1)",
          "INSERT INTO multi VALUES (1, 'dup', 1) ON DUPLICATE KEY UPDATE v = 'dup', n = 2"],
    ),
    table(
        "prepared",
        &["CREATE TABLE prepared (id INT PRIMARY KEY, v INT)"],
        &["INSERT INTO prepared VALUES (1, 1), (2, 2)"],
        &["XA START 'x1', 'b1', 7", "UPDATE prepared SET v = 10 WHERE id = 1", "XA END 'x1', 'b1', 7", "XA PREPARE 'x1', 'b1', 7",
          "XA COMMIT 'x1', 'b1', 7", "XA START 'x2'", "INSERT INTO prepared VALUES (9, 9)", "XA END 'x2'", "XA PREPARE 'x2'",
          "XA ROLLBACK 'x2'", "XA START 'x3'", "DELETE FROM prepared WHERE id = 2", "XA END 'x3'", "XA COMMIT 'x3' ONE PHASE"],
    ),
    table(
        "many_columns",
        &["CREATE TABLE many_columns (id INT PRIMARY KEY, c1 INT, c2 INT, c3 INT, c4 INT, c5 INT, c6 INT, c7 INT, c8 INT, c9 INT,
           c10 INT, c11 INT, c12 INT, c13 INT, c14 INT, c15 INT, c16 INT, c17 INT, t1 TEXT, t2 TEXT)"],
        &["INSERT INTO many_columns (id, c1, c9, c17, t2) VALUES (1, 1, 9, 17, 'x'), (2, 2, NULL, 18, 'y')"],
        &["UPDATE many_columns SET c8 = 8, c16 = 16, c17 = NULL", "DELETE FROM many_columns WHERE id = 2", "INSERT INTO many_columns (id) VALUES (3)"],
    ),
    table(
        "invisible_key",
        &["SET SESSION sql_generate_invisible_primary_key = ON", "CREATE TABLE invisible_key (a INT, b TEXT)",
          "SET SESSION sql_generate_invisible_primary_key = OFF"],
        &["INSERT INTO invisible_key (a, b) VALUES (1, 'x'), (1, 'x'), (2, NULL)"],
        &["DELETE FROM invisible_key WHERE a = 1 LIMIT 1", "UPDATE invisible_key SET b = 'new' WHERE a = 2", "INSERT INTO invisible_key (a, b) VALUES (1, 'x')"],
    ),
    table(
        "defaults_only",
        &["CREATE TABLE defaults_only (a INT DEFAULT 5, b VARCHAR(5) DEFAULT 'x', id INT AUTO_INCREMENT PRIMARY KEY)"],
        &["INSERT INTO defaults_only VALUES (), ()"],
        &["INSERT INTO defaults_only VALUES ()", "UPDATE defaults_only SET a = NULL WHERE id = 1", "DELETE FROM defaults_only WHERE id = 2"],
    ),
    table(
        "case_key",
        &["CREATE TABLE case_key (k VARCHAR(10) COLLATE utf8mb4_0900_as_cs PRIMARY KEY, d DOUBLE, UNIQUE (d))"],
        &["INSERT INTO case_key VALUES ('a', 0.1), ('A', 0.2), ('ä', 0.30000000000000004)"],
        &["UPDATE case_key SET d = d + 1 WHERE k = 'A'", "DELETE FROM case_key WHERE k = 'ä'", "UPDATE case_key SET k = 'b' WHERE k = 'a'"],
    ),
];
