//! One server of each kind for all tests of a test binary, started at the first use.
//!
//! Only shared references are given out, so no test can stop them; each test takes names of its own.

use crate::elastic::{ElasticServer, Engine};
use crate::mysql::{MysqlOptions, MysqlServer};
use crate::scratch::unique;
use tokio::sync::OnceCell;

static MYSQL: OnceCell<MysqlServer> = OnceCell::const_new();
static ELASTIC: OnceCell<ElasticServer> = OnceCell::const_new();

/// The shared MySQL: GTIDs on, `binlog_row_metadata=MINIMAL`.
pub async fn mysql() -> &'static MysqlServer {
    MYSQL.get_or_init(|| MysqlServer::start(MysqlOptions::default())).await
}

/// The shared Elasticsearch 9.
pub async fn elastic() -> &'static ElasticServer {
    ELASTIC.get_or_init(|| ElasticServer::start(Engine::Elasticsearch9)).await
}

/// Both at once, which saves time.
pub async fn both() -> (&'static MysqlServer, &'static ElasticServer) {
    tokio::join!(mysql(), elastic())
}

/// A name for a database, an index or a task that no other test of this process has.
pub fn name(prefix: &str) -> String {
    format!("{prefix}_{}", unique())
}
