//! Session variables, choices of types, result columns.

use binlog_operator::api::{BinaryAs, DecimalAs, GeometryAs, SourceSession, Types, ZeroDates};
use binlog_operator::model::{Class, Key, TlsMode};
use binlog_operator::source::{ResultKind, Source, SourceError, SourceOptions, Visibility};
use e2e::shared;
use e2e::stage::PATIENCE;

use super::{options, read};

const NOTHING: Visibility = Visibility::Nothing;

#[tokio::test]
async fn users_choose_how_types_are_written_and_in_which_zone_the_query_works() {
    let server = shared::mysql().await;
    let db = shared::name("chosen");
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!(
                "CREATE TABLE {db}.t (id INT PRIMARY KEY, d DECIMAL(9,2), b BLOB, g GEOMETRY, z DATE, \
                 ts TIMESTAMP(3) NULL, dt DATETIME)"
            ),
            "SET time_zone = '+00:00', sql_mode = ''".to_owned(),
            format!(
                "INSERT INTO {db}.t VALUES (1, 1.5, x'00AB', POINT(1, 2), '0000-00-00', \
                 '2026-07-01 23:30:00.5', '2026-07-01 23:30:00')"
            ),
        ])
        .await;
    let types = Types {
        decimal: DecimalAs::String,
        binary: BinaryAs::Hex,
        geometry: GeometryAs::Wkt,
        zero_dates: ZeroDates::Text,
        timestamp_zone: Some("Europe/Berlin".into()),
    };
    let session = SourceSession { time_zone: Some("-05:00".into()), ..SourceSession::default() };
    let sql = format!("SELECT t.*, DATE_FORMAT(ts, '%H') AS hour FROM {db}.t AS t WHERE id IN (:ids)");
    for (types, session, wanted) in [
        (
            types.clone(),
            SourceSession::default(),
            r#"{"id":1,"d":"1.50","b":"00ab","g":"POINT(1 2)","z":"0000-00-00","ts":"2026-07-02T01:30:00.500+02:00","dt":"2026-07-01T23:30:00","hour":"23"}"#,
        ),
        (
            Types::default(),
            session.clone(),
            r#"{"id":1,"d":1.50,"b":"AKs=","g":{"type":"Point","coordinates":[1,2]},"z":null,"ts":"2026-07-01T23:30:00.500Z","dt":"2026-07-01T23:30:00","hour":"18"}"#,
        ),
    ] {
        let options = SourceOptions { types, session, ..options(server) };
        let mut reader = Source::new(options).unwrap().reader().await.unwrap();
        let rows = read(&mut reader, &sql, &[Key::int(1)], &NOTHING).await.unwrap();
        assert_eq!(rows[0].1, wanted);
    }
    let strict = Types { zero_dates: ZeroDates::DeadLetter, ..Types::default() };
    let mut reader =
        Source::new(SourceOptions { types: strict, ..options(server) }).unwrap().reader().await.unwrap();
    let rows = read(&mut reader, &sql, &[Key::int(1)], &NOTHING).await.unwrap();
    assert_eq!(rows[0].1, "refused: column z: it is a date with a zero part");
}

#[tokio::test]
async fn session_limits_hold_on_the_server() {
    let server = shared::mysql().await;
    let reader = async |session| {
        let options = SourceOptions { session, query_timeout: PATIENCE, ..options(server) };
        Source::new(options).unwrap().reader().await.unwrap()
    };
    let mut limited =
        reader(SourceSession { group_concat_max_len: Some(4), ..SourceSession::default() }).await;
    let sql = "SELECT 1 AS id, (SELECT GROUP_CONCAT(v) FROM (SELECT 'abc' AS v UNION ALL SELECT 'def') x) AS g \
               FROM DUAL WHERE 1 IN (:ids)";
    let error = read(&mut limited, sql, &[Key::int(1)], &NOTHING).await.unwrap_err();
    assert!(matches!(error, SourceError::Truncated { .. }), "{error}");
    let mut limited =
        reader(SourceSession { max_execution_time: Some(300), ..SourceSession::default() }).await;
    let sql = "SELECT 1 AS id, COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, \
               information_schema.COLUMNS c WHERE 1 IN (:ids)";
    let error = read(&mut limited, sql, &[Key::int(1)], &NOTHING).await.unwrap_err();
    assert_eq!(error.code(), Some(3024), "{error}");
}

#[tokio::test]
async fn a_query_says_its_columns_without_being_run() {
    let server = shared::mysql().await;
    let db = shared::name("result");
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!(
                "CREATE TABLE {db}.t (id BIGINT UNSIGNED PRIMARY KEY, t TINYINT, d DECIMAL(12,2), s VARCHAR(200), \
                 x TEXT, e ENUM('a'), b BLOB, j JSON, v VECTOR(5), y DATE, dt DATETIME(6), ti TIME, g POINT, f FLOAT)"
            ),
        ])
        .await;
    let source = Source::new(options(server)).unwrap();
    let sql =
        format!("SELECT t.*, SLEEP(100) AS z, JSON_OBJECT('a', 1) AS o FROM {db}.t AS t WHERE id IN (?)");
    let columns = source.result_columns(&sql).await.unwrap();
    let kinds: Vec<(&str, ResultKind)> = columns.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("id", ResultKind::Integer { bytes: 8, unsigned: true }),
            ("t", ResultKind::Integer { bytes: 1, unsigned: false }),
            ("d", ResultKind::Decimal { digits: 12, scale: 2 }),
            ("s", ResultKind::Text { length: 200 }),
            ("x", ResultKind::Text { length: 65_535 }),
            ("e", ResultKind::Word),
            ("b", ResultKind::Bytes),
            ("j", ResultKind::Json),
            ("v", ResultKind::Vector { dimensions: 5 }),
            ("y", ResultKind::Date),
            ("dt", ResultKind::DateTime { digits: 6 }),
            ("ti", ResultKind::Time),
            ("g", ResultKind::Geometry),
            ("f", ResultKind::Float),
            ("z", ResultKind::Integer { bytes: 8, unsigned: false }),
            ("o", ResultKind::Json),
        ]
    );
    let error = source.result_columns(&format!("SELECT nothing FROM {db}.nowhere")).await.unwrap_err();
    assert_eq!(error.code(), Some(1146), "{error}");
}

/// Every plugin that the client knows, with TLS and without; one that it does not know is named.
#[tokio::test]
async fn accounts_of_every_plugin_sign_in() {
    let server = shared::mysql().await;
    let plugins = [("caching_sha2_password", true), ("sha256_password", false)];
    for (at, (plugin, known)) in plugins.into_iter().enumerate() {
        let user = format!("plugged{at}");
        server.run(&[format!("CREATE USER {user} IDENTIFIED WITH {plugin} BY 'p w ü'")]).await;
        for mode in [TlsMode::Disabled, TlsMode::Required] {
            let source = super::source_of(server, &user, "p w ü");
            let mut options = source.options().clone();
            options.server.tls.mode = mode;
            match Source::new(options).unwrap().reader().await {
                Ok(_) => assert!(known, "{plugin} {mode:?}"),
                Err(error) => {
                    assert!(!known && error.to_string().contains(plugin), "{plugin} {mode:?}: {error}");
                    assert_eq!(error.class(), Class::Halt);
                }
            }
        }
    }
}
