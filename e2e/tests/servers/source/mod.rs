//! The room `source` against a real MySQL.

mod bound;
mod causal;
mod describe;
mod limits;
#[cfg(feature = "long")]
mod mariadb;
mod preflight;
mod reading;
#[cfg(feature = "long")]
mod speed;
mod stall;
mod start;
mod tls;
mod types;

use binlog_operator::model::{Key, Secret, ServerOptions};
use binlog_operator::source::{KeyedQuery, Reader, Source, SourceError, SourceOptions, Visibility};
use e2e::stage::PATIENCE;
use e2e::{MysqlServer, wait_until};

/// Root's options for a server; also installs rustls' provider.
pub(crate) fn options(server: &MysqlServer) -> SourceOptions {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // a busy machine's server may be slow to answer
    SourceOptions { server: server.login(), connect_timeout: PATIENCE, ..SourceOptions::default() }
}

/// A source for root.
pub(crate) fn source(server: &MysqlServer) -> Source {
    Source::new(options(server)).unwrap()
}

/// A source for another account.
pub(crate) fn source_of(server: &MysqlServer, username: &str, password: &str) -> Source {
    let (username, password, mut options) = (username.into(), Secret::new(password), options(server));
    options.server = ServerOptions { username, password, ..options.server };
    Source::new(options).unwrap()
}

/// `?, ?, ?`
pub(crate) fn marks(n: usize) -> String {
    vec!["?"; n].join(", ")
}

/// What a read gave: keys with their documents.
pub(crate) type Rows = Vec<(Key, String)>;

/// Reads documents; the key is the first column. `sql` has `:ids` where the marks go.
pub(crate) async fn read(
    reader: &mut Reader,
    sql: &str,
    keys: &[Key],
    visible: &Visibility,
) -> Result<Rows, SourceError> {
    let sql_for = |n: usize| sql.replace(":ids", &marks(n));
    let query = KeyedQuery { name: sql, sql_for: &sql_for, key_output: &[0] };
    let mut rows = Rows::new();
    let mut sink = |key: Key, json: Result<&[u8], _>| {
        let json = json.map_or_else(
            |e: binlog_operator::source::RecordError| format!("refused: {e}"),
            |json| String::from_utf8(json.to_vec()).unwrap(),
        );
        rows.push((key, json));
    };
    reader.read(&query, keys, visible, &mut sink).await?;
    Ok(rows)
}

/// The same, tried again until it succeeds: a limit that a test has to have may be little for a busy machine.
pub(crate) async fn read_at_last(reader: &mut Reader, sql: &str, keys: &[Key], visible: &Visibility) -> Rows {
    wait_until("it is read", PATIENCE, async || {
        read(reader, sql, keys, visible).await.map_err(|error| error.to_string())
    })
    .await
}
