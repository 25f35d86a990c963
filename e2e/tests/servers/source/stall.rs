//! A commit that is in the binlog and not visible, for as long as a test wants.

use std::time::Duration;

use binlog_operator::model::GtidSet;
use binlog_operator::source::Visibility;
use e2e::MysqlServer;
use e2e::stage::PATIENCE;
use mysql_async::prelude::Queryable;

/// Ended by hand long before.
const STALL: Duration = Duration::from_secs(300);

/// The commit. [`Stall::end`] makes it visible.
pub(crate) struct Stall<'s> {
    server: &'s MysqlServer,
    commit: tokio::task::JoinHandle<()>,
    /// What the server had executed before it.
    before: String,
}

impl<'s> Stall<'s> {
    /// Commits `sql` on a connection of its own; returns once it is in the binlog.
    pub(crate) async fn begin(server: &'s MysqlServer, sql: &str) -> Self {
        server.arm_stall(STALL).await;
        let (_, offset, before) = server.position().await;
        let (mut conn, sql) = (server.conn().await, sql.to_owned());
        let commit = tokio::spawn(async move { conn.query_drop(sql).await.unwrap() });
        e2e::wait_until("the commit is in the binlog", PATIENCE, async || {
            let now = server.position().await.1;
            if now > offset { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
        Self { server, commit, before }
    }

    /// The set that a stream has delivered which has seen the commit.
    pub(crate) fn delivered(&self) -> Visibility {
        let set: GtidSet = self.before.parse().unwrap();
        let (uuid, _, _, end) = set.ranges().next().unwrap();
        Visibility::Gtids(format!("{uuid}:1-{end}").into())
    }

    /// The answer to a question that waits for the commit: the stall ends once a session runs a statement with this
    /// word in it, and no sooner does the answer come.
    pub(crate) async fn until_asked<T>(self, word: &str, question: impl Future<Output = T>) -> T {
        let sql = format!(
            "SELECT COUNT(*) FROM performance_schema.processlist WHERE ID <> CONNECTION_ID() AND INFO LIKE '%{word}%'"
        );
        let waited = async {
            e2e::wait_until("the question is asked", PATIENCE, async || {
                let asked: Option<u64> = self.server.conn().await.query_first(&sql).await.unwrap();
                if asked > Some(0) { Ok(()) } else { Err("nobody asks".to_owned()) }
            })
            .await;
        };
        let mut question = std::pin::pin!(question);
        tokio::select! {
            biased;
            _ = &mut question => panic!("it did not wait"),
            () = waited => {}
        }
        self.end().await;
        question.await
    }

    /// The commit becomes visible.
    pub(crate) async fn end(self) {
        assert!(!self.commit.is_finished(), "the stall ended by itself");
        self.server.end_stall().await;
        self.commit.await.unwrap();
    }
}
