//! What all cases stand on: servers, tables, users, indices.

use e2e::{ElasticServer, MysqlOptions, MysqlServer, Search, TaskFile, shared};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The passwords in the files.
pub const PASSWORD: &str = "Pl4nted-S3cret";
/// The password that is wrong.
pub const WRONG: &str = "Wr0ng-S3cret";
/// What nobody may see: the passwords, also in the spelling of HTTP's basic auth (`planted:...`).
pub const PLANTED: &[&str] = &[PASSWORD, WRONG, "UGw0bnRlZC1TM2NyZXQ", "Q6UGw0bnRlZC1TM2NyZX", "Pl4nted"];

/// Which server a case uses instead of those that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// None.
    Good,
    /// MySQL that logs statements.
    Statement,
}

/// Servers with everything in them that the cases need.
pub struct Ground {
    /// A server that fits.
    pub mysql: &'static MysqlServer,
    /// A server with `binlog_format=STATEMENT`.
    pub statement: MysqlServer,
    /// Elasticsearch.
    pub elastic: &'static ElasticServer,
}

const TABLES: &[&str] = &[
    "CREATE DATABASE bad",
    "CREATE DATABASE hidden",
    "CREATE TABLE bad.orders (id BIGINT PRIMARY KEY, user_id BIGINT, note VARCHAR(20))",
    "CREATE TABLE bad.users (id BIGINT PRIMARY KEY, name VARCHAR(20))",
    "CREATE TABLE bad.lonely (id BIGINT PRIMARY KEY, n INT)",
    "CREATE TABLE hidden.users (id BIGINT PRIMARY KEY, name VARCHAR(20))",
    "CREATE VIEW bad.shown AS SELECT id, name FROM bad.users",
    "INSERT INTO bad.orders VALUES (1, 1, 'x')",
    "INSERT INTO bad.users VALUES (1, 'u')",
    "CREATE USER planted@'%' IDENTIFIED BY 'Pl4nted-S3cret'",
    "GRANT SELECT ON bad.* TO planted@'%'",
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO planted@'%'",
    "CREATE USER reader@'%' IDENTIFIED BY 'Pl4nted-S3cret'",
    "GRANT SELECT ON bad.* TO reader@'%'",
];

static GROUND: OnceCell<Ground> = OnceCell::const_new();

impl Ground {
    /// The one of this process.
    pub async fn shared() -> &'static Self {
        GROUND.get_or_init(Self::make).await
    }

    /// Starts the servers and fills them.
    async fn make() -> Self {
        let options = MysqlOptions::default().flag("--binlog-format=STATEMENT");
        let ((mysql, elastic), statement) = tokio::join!(shared::both(), MysqlServer::start(options));
        mysql.run(TABLES).await;
        statement.run(TABLES).await;
        indices(&elastic.search()).await;
        Self { mysql, statement, elastic }
    }
}

/// A good file.
pub fn file(name: &str, mysql_port: u16, search_url: &str) -> TaskFile {
    let sql = "SELECT o.id, o.note, u.name FROM bad.orders o JOIN bad.users u ON u.id = o.user_id\n\
                   WHERE o.id IN (:ids)";
    let file = TaskFile::new(name, mysql_port, search_url, sql, &format!("bad-{name}"));
    let secret = json!({"secretRef": {"name": format!("{name}-mysql")}});
    file.credentials("planted", PASSWORD).set("sink.elasticsearch.auth", json!({"basic": secret}))
}

async fn indices(search: &Search) {
    let put = async |path: &str, body: Value| {
        let _ = search.put(path, &body).await.ok();
    };
    let meta = json!({"binlog-operator": {"tasks": {"default/somebody": {"shared": false, "synced": true}}}});
    put("/bad-taken", json!({"mappings": {"_meta": meta}})).await;
    put("/bad-lazy", json!({"settings": {"index.translog.durability": "async"}})).await;
    put("/bad-one", json!({})).await;
    put("/bad-two", json!({"aliases": {"bad-both": {}}})).await;
    put("/bad-one/_alias/bad-both", json!({})).await;
    put("/bad-closed", json!({})).await;
    let _ = search.call("POST", "/bad-closed/_close", None).await.unwrap().ok();
    put("/bad-forgetful", json!({"settings": {"index.gc_deletes": "0s"}})).await;
}

/// Makes the data stream `bad-flow`. Builds of Elasticsearch without its licensed parts know none.
pub async fn data_stream(search: &Search) {
    let template = json!({"index_patterns": ["bad-flow*"], "data_stream": {}, "priority": 500});
    let _ = search.put("/_index_template/bad-flow", &template).await.ok();
    let _ = search.call("PUT", "/_data_stream/bad-flow", None).await.unwrap().ok();
}
