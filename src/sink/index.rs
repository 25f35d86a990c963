//! Makes the index ready: created where missing, owned, reachable through our write alias.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::describe::{IndexInfo, Lookup};
use super::error::{Result, SinkError};
use super::marker::{self, Mark};
use super::preflight::{self, Severity};
use super::{Finding, Sink, setup};

/// Ends the name of our write alias. The upper-case letter keeps the server from making an index of that name.
const ALIAS_SUFFIX: &str = "--binlogOperator";

const MAX_NAME_BYTES: usize = 255;

/// The index as [`Sink::prepare`] leaves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexState {
    /// The concrete index: the configured one, or the one behind the configured alias.
    pub name: String,
    /// Its identity: another one is another index, or other contents by a restored snapshot.
    pub uuid: String,
    /// How long the versions of deleted documents are kept.
    pub gc_deletes: Duration,
    /// It was missing and we created it.
    pub created: bool,
    /// The task was in sync with it once ([`Sink::mark_synced`]).
    pub was_synced: bool,
    /// Our alias that writes go to.
    pub write_alias: String,
}

impl Sink {
    /// Creates the index if it is missing, records the task in it and adds our write alias. To be called at
    /// start and again after [`Verdict::IndexMissing`](super::Verdict::IndexMissing). Writes are possible
    /// afterwards.
    pub async fn prepare(&self) -> Result<IndexState> {
        let index = &self.inner.options.index;
        let mut created = false;
        // The second round sees what the first did, also where somebody else was faster; the third is spare.
        for _ in 0..3 {
            let lookup = self.describe(index).await?;
            if let Some(finding) = refusal(preflight::judge(&lookup, &self.inner.options)) {
                return Err(SinkError::Refused(finding));
            }
            match lookup {
                Lookup::One(info) if self.is_ready(&info) => return Ok(self.adopt(&info, created)),
                Lookup::One(info) => self.claim(&info).await?,
                _ => created |= self.create().await?,
            }
        }
        let found = "somebody else keeps changing its mapping or aliases".to_owned();
        Err(SinkError::IndexMissing { index: index.clone(), reason: found })
    }

    /// Records that the task is in sync, so that a lost state is recognised later.
    pub async fn mark_synced(&self) -> Result<()> {
        self.change_mark(Some(Mark { synced: true, shared: self.inner.options.shared })).await
    }

    /// Gives the index up: takes the task's mark and our alias away, the documents stay.
    pub async fn release(&self) -> Result<()> {
        self.change_mark(None).await?;
        let name = &self.target()?.index;
        let alias = write_alias(name);
        let actions = json!({"actions": [{"remove": {"index": name, "alias": alias}}]});
        let shared = self.inner.options.shared;
        if shared { Ok(()) } else { self.call(Method::POST, "/_aliases", Some(&actions)).await.map(drop) }
    }

    /// Deletes the index with its documents. False where it stays: it is not there, not this task's, or other
    /// tasks write to it too. Needs no [`Sink::prepare`].
    pub async fn delete(&self) -> Result<bool> {
        let Lookup::One(info) = self.describe(&self.inner.options.index).await? else { return Ok(false) };
        let mark = marker::mark_of(&info.meta, &self.inner.options.task);
        if mark.is_none_or(|mark| mark.shared) {
            return Ok(false);
        }
        let path = format!("/{}", setup::path_segment(&info.name));
        self.call(Method::DELETE, &path, None).await.map(|_| true)
    }

    /// The identity of the index that the configured name stands for now; `None` where there is none. To be
    /// asked now and then: a snapshot restored after a deletion brings our alias along, so that writes succeed.
    pub async fn index_uuid(&self) -> Result<Option<String>> {
        Ok(match self.describe(&self.inner.options.index).await? {
            Lookup::One(info) => Some(info.uuid()),
            Lookup::Missing | Lookup::Many(_) => None,
        })
    }

    fn is_ready(&self, info: &IndexInfo) -> bool {
        let options = &self.inner.options;
        let marked = marker::mark_of(&info.meta, &options.task).is_some_and(|m| m.shared == options.shared);
        marked && info.aliases.contains(&write_alias(&info.name))
    }

    fn adopt(&self, info: &IndexInfo, created: bool) -> IndexState {
        let write_alias = write_alias(&info.name);
        self.set_target(&info.name, &write_alias);
        IndexState {
            name: info.name.clone(),
            uuid: info.uuid(),
            gc_deletes: info.gc_deletes(),
            created,
            was_synced: marker::mark_of(&info.meta, &self.inner.options.task).is_some_and(|m| m.synced),
            write_alias,
        }
    }

    /// Adds our mark and alias to an index.
    async fn claim(&self, info: &IndexInfo) -> Result<()> {
        let options = &self.inner.options;
        let synced = marker::mark_of(&info.meta, &options.task).is_some_and(|m| m.synced);
        self.put_mark(info, Some(Mark { shared: options.shared, synced })).await?;
        let alias = write_alias(&info.name);
        if info.aliases.contains(&alias) {
            return Ok(());
        }
        if let Lookup::One(other) = self.describe(&alias).await? {
            return Err(SinkError::Refused(foreign_alias(&alias, &other.name)));
        }
        let add = json!({"index": info.name, "alias": alias, "is_write_index": true});
        self.call(Method::POST, "/_aliases", Some(&json!({"actions": [{"add": add}]}))).await.map(drop)
    }

    async fn change_mark(&self, mark: Option<Mark>) -> Result<()> {
        let index = self.target()?.index.clone();
        let Lookup::One(info) = self.describe(&index).await? else {
            return Err(SinkError::IndexMissing { index, reason: "not there".to_owned() });
        };
        match marker::mark_of(&info.meta, &self.inner.options.task) {
            before if before == mark => Ok(()),
            Some(_) => self.put_mark(&info, mark).await,
            None => {
                Err(SinkError::IndexMissing { index, reason: "the task's mark is gone from it".to_owned() })
            }
        }
    }

    async fn put_mark(&self, info: &IndexInfo, mark: Option<Mark>) -> Result<()> {
        let meta = marker::with_mark(&info.meta, &self.inner.options.task, mark);
        let path = format!("/{}/_mapping", setup::path_segment(&info.name));
        self.call(Method::PUT, &path, Some(&json!({"_meta": meta}))).await.map(drop)
    }

    /// True where the index was created by this very call.
    async fn create(&self) -> Result<bool> {
        let options = &self.inner.options;
        let mut body = creation(options.settings.as_ref(), options.mappings.as_ref(), |meta| {
            marker::with_mark(meta, &options.task, Some(Mark { shared: options.shared, synced: false }))
        });
        let mut aliases = options.aliases.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        aliases.insert(write_alias(&options.index), json!({"is_write_index": true}));
        body.insert("aliases".to_owned(), Value::Object(aliases));
        let path = format!("/{}", setup::path_segment(&options.index));
        let body = Some((super::Content::Json, Value::Object(body).to_string().into()));
        let answer = self.inner.http.send(Method::PUT, &path, body).await?;
        match (answer.status, answer.error_type().as_str()) {
            (200, _) => Ok(true),
            (400, "resource_already_exists_exception") => Ok(false),
            (400, _) | (500, "illegal_state_exception") => {
                let found = format!("index {} cannot be created: {}", options.index, answer.reason());
                let remedy = "correct its name, sink.elasticsearch.create, or the index templates";
                Err(setup::fault("sink.elasticsearch.index", &found, remedy))
            }
            _ => Err(self.named(answer.error())),
        }
    }
}

/// The body that creates the index: the user's settings and mappings, `gc_deletes: 1h` unless they say it.
fn creation(
    settings: Option<&Value>,
    mappings: Option<&Value>,
    mark: impl Fn(&Map<String, Value>) -> Map<String, Value>,
) -> Map<String, Value> {
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (mut settings, mut mappings) = (object(settings), object(mappings));
    let nested = settings.get("index").is_some_and(|index| index.get("gc_deletes").is_some());
    if !nested && !settings.contains_key("index.gc_deletes") && !settings.contains_key("gc_deletes") {
        settings.insert("index.gc_deletes".to_owned(), "1h".into());
    }
    let meta = mark(&object(mappings.get("_meta")));
    mappings.insert("_meta".to_owned(), Value::Object(meta));
    let mut body = Map::new();
    body.insert("settings".to_owned(), Value::Object(settings));
    body.insert("mappings".to_owned(), Value::Object(mappings));
    body
}

fn refusal(findings: Vec<Finding>) -> Option<Finding> {
    findings.into_iter().find(|finding| finding.severity == Severity::Error)
}

fn foreign_alias(alias: &str, index: &str) -> Finding {
    let remedy = format!(
        "remove it: POST _aliases {{\"actions\":[{{\"remove\":{{\"index\":\"{index}\",\"alias\":\"{alias}\"}}}}]}}"
    );
    Finding {
        severity: Severity::Error,
        class: crate::model::Class::Config,
        subject: "sink.elasticsearch.index".to_owned(),
        found: format!("our write alias {alias} stands on another index, {index}"),
        remedy,
    }
}

/// The alias that writes to a concrete index go through; a legal alias name of at most 255 bytes.
fn write_alias(index: &str) -> String {
    if index.len() + ALIAS_SUFFIX.len() <= MAX_NAME_BYTES {
        return format!("{index}{ALIAS_SUFFIX}");
    }
    let digest = Sha256::digest(index.as_bytes()).into_iter().take(8);
    let hash = format!("{:016x}", digest.fold(0u64, |hash, byte| hash << 8 | u64::from(byte)));
    let room = MAX_NAME_BYTES - ALIAS_SUFFIX.len() - hash.len() - 1;
    format!("{}-{hash}{ALIAS_SUFFIX}", super::answer::bounded(index, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_can_never_be_index_names() {
        assert_eq!(write_alias("orders"), "orders--binlogOperator");
        let long = write_alias(&"ö".repeat(127));
        assert!(long.len() <= MAX_NAME_BYTES && long.ends_with(ALIAS_SUFFIX));
        assert_ne!(long, write_alias(&format!("{}o", "ö".repeat(126))));
        assert!(long.bytes().any(|b| b.is_ascii_uppercase()));
    }

    #[test]
    fn creation_keeps_what_the_user_says() {
        let made = |settings: Value| {
            let mappings = json!({"_meta": {"team": "shop"}, "dynamic": "strict"});
            let mark = |meta: &Map<String, Value>| marker::with_mark(meta, "a/b", Some(Mark::default()));
            Value::Object(creation(Some(&settings), Some(&mappings), mark))
        };
        let body = made(json!({"number_of_shards": 3}));
        assert_eq!(body["settings"], json!({"number_of_shards": 3, "index.gc_deletes": "1h"}));
        assert_eq!(body["mappings"]["_meta"]["team"], "shop");
        assert_eq!(body["mappings"]["_meta"]["binlog-operator"]["tasks"]["a/b"]["synced"], false);
        let own = json!({"index": {"gc_deletes": "2h"}});
        assert_eq!(made(own.clone())["settings"], own);
    }
}
