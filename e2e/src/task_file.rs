//! Writes the file that `binlog-operator run -f` reads.

use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const API: &str = "binlog-operator.io/v1alpha1";

/// A file with one Secret, one `SyncTask` and any number of `Reindex`es.
#[derive(Clone, Debug)]
pub struct TaskFile {
    secret: Value,
    more_secrets: Vec<Value>,
    task: Value,
    reindexes: Vec<Value>,
}

impl TaskFile {
    /// A running task for user `sync` with a full initial sync, keyed by `id`.
    pub fn new(name: &str, mysql_port: u16, search_url: &str, sql: &str, index: &str) -> Self {
        let secret = format!("{name}-mysql").replace('_', "-");
        let spec = json!({
            "state": "Running",
            "source": {
                "host": "127.0.0.1",
                "port": mysql_port,
                "credentials": {"secretRef": {"name": secret}},
            },
            "query": {"sql": sql, "key": "id"},
            "sink": {"elasticsearch": {"addresses": [search_url], "index": index}},
            "initialSync": "Full",
        });
        Self {
            secret: json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": secret},
                "stringData": {"username": "sync", "password": "sync-pw"},
            }),
            more_secrets: Vec::new(),
            task: json!({"apiVersion": API, "kind": "SyncTask", "metadata": {"name": name}, "spec": spec}),
            reindexes: Vec::new(),
        }
    }

    /// Sets a member of the task's `spec` by its dotted path: `set("sink.elasticsearch.createIndex", "Never")`.
    /// `Value::Null` removes it.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        set(&mut self.task["spec"], path, value.into());
        self
    }

    /// The credentials in the Secret.
    #[must_use]
    pub fn credentials(mut self, username: &str, password: &str) -> Self {
        self.secret["stringData"] = json!({"username": username, "password": password});
        self
    }

    /// Adds a Secret.
    #[must_use]
    pub fn secret(mut self, name: &str, values: &Value) -> Self {
        let metadata = json!({"name": name});
        self.more_secrets
            .push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}));
        self
    }

    /// Adds a Reindex; `selection` null means everything.
    #[must_use]
    pub fn reindex(mut self, name: &str, selection: &Value) -> Self {
        let mut spec = json!({"taskRef": {"name": self.task["metadata"]["name"]}});
        if !selection.is_null() {
            spec["selection"] = selection.clone();
        }
        let metadata = json!({"name": name});
        self.reindexes
            .push(json!({"apiVersion": API, "kind": "Reindex", "metadata": metadata, "spec": spec}));
        self
    }

    /// Keys per page of the last Reindex added.
    #[must_use]
    pub fn page_size(mut self, keys: u32) -> Self {
        self.reindexes.last_mut().expect("a Reindex")["spec"]["pageSize"] = json!(keys);
        self
    }

    /// The YAML text.
    pub fn render(&self) -> String {
        let documents =
            [&self.secret].into_iter().chain(&self.more_secrets).chain([&self.task]).chain(&self.reindexes);
        let texts: Vec<String> = documents.map(yaml).collect();
        texts.join("---\n")
    }

    /// Writes `task.yaml` into a folder.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("task.yaml");
        std::fs::write(&path, self.render()).expect("write the task file");
        path
    }
}

fn set(target: &mut Value, path: &str, value: Value) {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let members = target.as_object_mut().expect("a path of objects");
    if !rest.is_empty() {
        set(members.entry(head).or_insert_with(|| Value::Object(Map::new())), rest, value);
    } else if value.is_null() {
        members.remove(head);
    } else {
        members.insert(head.to_owned(), value);
    }
}

fn yaml(value: &Value) -> String {
    let mut out = String::new();
    members(&mut out, value, 0);
    out
}

/// Objects in block style, texts of several lines as literal blocks, all else as JSON (which is YAML).
fn members(out: &mut String, value: &Value, depth: usize) {
    for (name, value) in value.as_object().expect("an object") {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(object) if !object.is_empty() => {
                let _ = writeln!(out, "{indent}{name}:");
                members(out, value, depth + 1);
            }
            Value::String(text) if text.contains('\n') && !text.starts_with(' ') => {
                let _ = writeln!(out, "{indent}{name}: |-");
                for line in text.lines() {
                    let _ = writeln!(out, "{indent}  {line}");
                }
            }
            other => {
                let _ = writeln!(out, "{indent}{name}: {other}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_looks_like_a_users_file() {
        let file = TaskFile::new("orders", 3306, "http://127.0.0.1:9200", "SELECT 1\n  FROM t", "orders")
            .set("sink.elasticsearch.createIndex", "Never")
            .set("initialSync", Value::Null)
            .reindex("some", &json!({"ids": [1, 2]}));
        let text = file.render();
        assert!(text.contains("    sql: |-\n      SELECT 1\n        FROM t\n"), "{text}");
        assert!(text.contains("      createIndex: \"Never\"\n"), "{text}");
        assert!(
            text.contains("---\napiVersion: \"binlog-operator.io/v1alpha1\"\nkind: \"Reindex\"\n"),
            "{text}"
        );
        assert!(!text.contains("initialSync"), "{text}");
    }
}
