//! Another server at the address: without GTIDs its rows are not read until the stream has found its place there.

use binlog_operator::model::Key;
use binlog_operator::source::{Source, SourceOptions, Visibility};
use e2e::{MysqlOptions, MysqlServer, TcpProxy};

use super::{options, read};

const SQL: &str = "SELECT id, v FROM d.t WHERE id IN (:ids)";

#[tokio::test]
async fn readers_refuse_another_server_until_they_are_bound_to_it() {
    let plain = || MysqlOptions { gtid: false, ..MysqlOptions::default() };
    let (one, other) = tokio::join!(MysqlServer::start(plain()), MysqlServer::start(plain()));
    for (server, v) in [(&one, 1), (&other, 2)] {
        server.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v INT)"]).await;
        server.run(&[format!("INSERT INTO d.t VALUES (1, {v})")]).await;
    }
    let proxy = TcpProxy::start(one.port()).await;
    let mut through: SourceOptions = options(&one);
    through.server.port = proxy.port();
    let source = Source::new(through).unwrap();
    let keys = [Key::int(1)];
    let value = async |reader: &mut _| {
        read(reader, SQL, &keys, &Visibility::Nothing).await.map(|rows| rows[0].1.clone())
    };

    let info = source.server().await.unwrap();
    assert!(info.bound_name().is_some());
    source.bind_to(info.bound_name());
    let mut old = source.reader().await.unwrap();
    assert_eq!(value(&mut old).await.unwrap(), r#"{"id":1,"v":1}"#);

    // the old server is still there for those who have a connection to it
    proxy.redirect(other.port());
    assert_eq!(value(&mut old).await.unwrap(), r#"{"id":1,"v":1}"#);
    assert!(!source.met_another());
    let error = source.reader().await.err().unwrap().to_string();
    assert!(
        error.contains("answers, and the binlog is that of") && error.contains(&info.server_uuid),
        "{error}"
    );
    assert!(source.met_another());

    // what a lost connection is made anew to counts as well
    proxy.cut().await;
    assert!(value(&mut old).await.is_err());

    source.rest(std::time::Duration::ZERO).await;
    let now = source.server().await.unwrap();
    assert_ne!(now.server_uuid, info.server_uuid);
    source.bind_to(now.bound_name());
    assert!(!source.met_another());
    assert_eq!(value(&mut old).await.unwrap(), r#"{"id":1,"v":2}"#);
}
