//! One task in a cluster: a shop, an index, a SyncTask to apply; and the questions that tests ask.

use crate::cluster::Namespace;
use crate::elastic::ElasticServer;
use crate::mysql::MysqlServer;
use crate::scratch::Scratch;
use crate::search::Search;
use crate::shop::{Shop, Size};
use crate::stage::{BinlogEnd, PATIENCE};
use crate::task_file::TaskFile;
use crate::wait::wait_until;
use serde_json::Value;

/// A task that can be applied.
#[derive(Debug)]
pub struct ClusterTask<'a> {
    /// Its namespace.
    pub space: &'a Namespace<'a>,
    /// Its name.
    pub name: String,
    /// The tables.
    pub shop: Shop,
    /// A client of the search server.
    pub search: Search,
    /// The index.
    pub index: String,
    /// What is applied, to be changed before that.
    pub file: TaskFile,
    scratch: Scratch,
}

impl<'a> ClusterTask<'a> {
    /// A filled shop and a task for it, named after the namespace. The checkpoint is saved each second.
    pub async fn new(
        space: &'a Namespace<'a>,
        mysql: &MysqlServer,
        elastic: &ElasticServer,
        size: Size,
    ) -> Self {
        let name = space.name.clone();
        let index = name.replace('-', "_");
        let shop = Shop::create(mysql.opts(), &index, size).await;
        let file = TaskFile::new(&name, mysql.port(), &elastic.url(), &shop.sql(), &index)
            .set("limits.checkpointInterval", "1s");
        Self { space, name, shop, search: elastic.search(), index, file, scratch: Scratch::new("task") }
    }

    /// Applies Secret, task and Reindexes; unknown fields are errors.
    pub async fn apply(&self) {
        let file = self.file.write(self.scratch.path()).display().to_string();
        self.space.run(&["apply", "--validate=strict", "-f", &file]).await;
    }

    /// Sets a member of `spec` and applies.
    pub async fn edit(&mut self, path: &str, value: impl Into<Value>) {
        self.file = self.file.clone().set(path, value);
        self.apply().await;
    }

    /// The SyncTask.
    pub async fn object(&self) -> Result<Value, String> {
        self.space.cluster.kube().get(&self.space.path(&format!("synctasks/{}", self.name))).await
    }

    /// A Reindex.
    pub async fn reindex(&self, name: &str) -> Result<Value, String> {
        self.space.cluster.kube().get(&self.space.path(&format!("reindexes/{name}"))).await
    }

    /// The stored checkpoint.
    pub async fn checkpoint(&self) -> Result<Value, String> {
        let path = self.space.path(&format!("configmaps/{}-checkpoint", self.name));
        let found = self.space.cluster.kube().get(&path).await?;
        let text = found["data"]["checkpoint"].as_str().ok_or_else(|| found.to_string())?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Waits until a condition of the task begins with these words (`False Paused`) for the spec as it is now.
    pub async fn wait_condition(&self, condition: &str, words: &str) -> Value {
        wait_until(&format!("{condition}={words} of {}", self.name), PATIENCE, async || {
            let task = self.object().await?;
            let found = condition_of(&task, condition);
            let seen = task["status"]["observedGeneration"] == task["metadata"]["generation"];
            if seen && found.starts_with(words) { Ok(task) } else { Err(status(&task)) }
        })
        .await
    }

    /// Waits until a Reindex is in a phase.
    pub async fn wait_phase(&self, reindex: &str, phase: &str) -> Value {
        wait_until(&format!("phase {phase} of {reindex}"), PATIENCE, async || {
            let found = self.reindex(reindex).await?;
            if found["status"]["phase"] == phase { Ok(found) } else { Err(status(&found)) }
        })
        .await
    }

    /// Waits until the checkpoint includes whatever the server has executed by now, the initial sync is complete and
    /// no repair is under way.
    pub async fn settle(&self) {
        let end = BinlogEnd::of(self.shop.opts()).await.expect("the server's end");
        wait_until(&format!("everything of {} acknowledged", self.name), PATIENCE, async || {
            let task = self.object().await?;
            if condition_of(&task, "Repairing").starts_with("True") {
                return Err(status(&task));
            }
            let checkpoint = self.checkpoint().await?;
            let position = checkpoint["position"]["gtids"].as_str().ok_or_else(|| checkpoint.to_string())?;
            if !end.reached(self.shop.opts(), position).await? {
                return Err(format!("{end:?} not reached: {position}\n{}", status(&task)));
            }
            let path = self.space.path("reindexes");
            let builds = self.space.cluster.kube().get(&path).await?;
            let mut builds = builds["items"].as_array().into_iter().flatten();
            let open = builds.find(|build| {
                build["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(&self.name))
                    && !["Complete", "Failed"].iter().any(|phase| build["status"]["phase"] == *phase)
            });
            open.map_or(Ok(()), |build| Err(status(build)))
        })
        .await;
    }

    /// Everything acknowledged, then every document compared at once, without a second chance. Their number.
    pub async fn equal(&self) -> usize {
        self.settle().await;
        let count = self.shop.checker().check(self.shop.opts(), &self.search, &self.index).await;
        match count {
            Ok(count) => count,
            Err(report) => panic!("{report}\n{}", status(&self.object().await.unwrap_or_default())),
        }
    }
}

/// `STATUS REASON: MESSAGE` of a condition; empty when there is none.
pub fn condition_of(object: &Value, name: &str) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == name);
    found.map_or_else(String::new, |condition| {
        let text = |member: &str| condition[member].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    })
}

fn status(object: &Value) -> String {
    format!("{:#}", object["status"])
}
