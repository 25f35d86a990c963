//! The pair of servers that the environment names.

use e2e::mariadb::MariaDb;
use e2e::{ElasticServer, Engine, MysqlOptions, MysqlServer, Size, Stage};
use mysql_async::Opts;
use serde_json::json;

/// A source.
pub(crate) enum SourceServer {
    /// MySQL.
    Mysql(MysqlServer),
    /// MariaDB.
    Mariadb(MariaDb),
}

/// Both servers.
pub(crate) struct Pair {
    /// Where rows come from.
    pub(crate) source: SourceServer,
    /// Where documents go.
    pub(crate) sink: ElasticServer,
}

impl Pair {
    /// Starts what `CORE_SOURCE` and `CORE_SINK` say; MySQL and Elasticsearch 9 where they say nothing.
    pub(crate) async fn start() -> Self {
        let word = |name: &str| std::env::var(name).unwrap_or_default();
        let engine = match word("CORE_SINK").as_str() {
            "" | "es9" => Engine::Elasticsearch9,
            "es7" => Engine::Elasticsearch7,
            "opensearch" => Engine::OpenSearch3,
            other => panic!("CORE_SINK={other}: es9, es7 or opensearch"),
        };
        let source = async {
            match word("CORE_SOURCE").as_str() {
                "" | "mysql" => SourceServer::Mysql(MysqlServer::start(MysqlOptions::default()).await),
                "mariadb" => {
                    let flags = [
                        "--log-bin-compress=ON",
                        "--log-bin-compress-min-len=10",
                        "--binlog-annotate-row-events=ON",
                    ];
                    SourceServer::Mariadb(MariaDb::start(&flags.map(str::to_owned)).await)
                }
                other => panic!("CORE_SOURCE={other}: mysql or mariadb"),
            }
        };
        let (source, sink) = tokio::join!(source, ElasticServer::start(engine));
        Self { source, sink }
    }

    /// A shop on the source, and a task for it.
    pub(crate) async fn stage(&self, prefix: &str, size: Size) -> Stage {
        let (opts, port): (Opts, u16) = match &self.source {
            SourceServer::Mysql(server) => (server.opts(), server.port()),
            SourceServer::Mariadb(server) => (server.opts().into(), server.port()),
        };
        let mut stage = Stage::on(opts, port, &self.sink, prefix, size).await;
        if matches!(self.source, SourceServer::Mariadb(_)) {
            // MariaDB's JSON is text
            stage.set("transforms", json!([{"jsonDecodeFields": ["items"]}]));
        }
        stage
    }

    /// `kill -9`.
    pub(crate) fn kill_source(&mut self) {
        match &mut self.source {
            SourceServer::Mysql(server) => server.kill9(),
            SourceServer::Mariadb(server) => server.kill9(),
        }
    }

    /// Starts the killed source again.
    pub(crate) async fn boot_source(&mut self) {
        match &mut self.source {
            SourceServer::Mysql(server) => server.boot().await,
            SourceServer::Mariadb(server) => server.boot().await,
        }
    }
}
