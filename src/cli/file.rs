//! The file that `run`, `explain` and `check` read: Secrets, one SyncTask, Reindexes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use serde_json::{Map, Value};

use super::yaml::{self, Document};
use crate::api::{self, API_VERSION, Credentials, Finding, Hidden, Reindex, Secrets, SyncTask};
use crate::pipeline::{BuildRequest, TaskOptions};

/// What the file says, checked.
#[derive(Debug)]
pub struct TaskFile {
    /// The task.
    pub task: SyncTask,
    /// Its Reindexes in the file's order.
    pub reindexes: Vec<Reindex>,
    /// What the task takes out of the Secrets.
    pub credentials: Credentials,
}

impl TaskFile {
    /// The task's name.
    pub fn name(&self) -> &str {
        self.task.metadata.name.as_deref().unwrap_or_default()
    }

    /// The task and its builds as the pipeline needs them.
    pub fn options(&self) -> TaskOptions {
        let namespace = self.task.metadata.namespace.as_deref().unwrap_or("default");
        let name = format!("{namespace}/{}", self.name());
        TaskOptions {
            builds: self.reindexes.iter().map(BuildRequest::from).collect(),
            ..TaskOptions::of(&name, &name, &self.task.spec, &self.credentials)
        }
    }
}

/// Everything that is wrong with a file.
#[derive(Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The findings in the file's order.
    pub findings: Vec<FileFinding>,
}

/// A finding and where it is.
#[derive(Debug, PartialEq, Eq)]
pub struct FileFinding {
    /// The file as the user named it.
    pub file: String,
    /// The line, 0 where it concerns the file as a whole.
    pub line: u64,
    /// The document and its object, for example `document 2, SyncTask "orders"`; empty for the whole file.
    pub object: String,
    /// What is wrong.
    pub finding: Finding,
}

impl fmt::Display for FileFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.object.is_empty() {
            write!(f, ": {}", self.object)?;
        }
        write!(f, ": {}", self.finding)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.findings.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// Reads a file.
pub fn load(path: &Path) -> Result<TaskFile, LoadError> {
    load_with(path, &[])
}

/// Reads a file, with values of the SyncTask set by `path=value`.
pub fn load_with(path: &Path, settings: &[String]) -> Result<TaskFile, LoadError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => read_with(&name, &text, settings),
        Err(error) => {
            let finding =
                Finding::new("", format!("cannot be read: {error}"), "name a readable YAML file with -f");
            Err(LoadError {
                findings: vec![FileFinding { file: name, line: 0, object: String::new(), finding }],
            })
        }
    }
}

/// Reads the text of a file called `name`.
pub fn read(name: &str, text: &str) -> Result<TaskFile, LoadError> {
    read_with(name, text, &[])
}

fn read_with(name: &str, text: &str, settings: &[String]) -> Result<TaskFile, LoadError> {
    let mut loader = Loader { file: name, findings: Vec::new() };
    let result = loader.read(text, settings);
    let mut findings = loader.findings;
    match result {
        Some(file) if findings.is_empty() => Ok(file),
        _ => {
            findings.sort_by_key(|f| f.line);
            Err(LoadError { findings })
        }
    }
}

struct Loader<'a> {
    file: &'a str,
    findings: Vec<FileFinding>,
}

/// One document whose head has been read.
struct Object {
    label: String,
    kind: String,
    name: String,
    namespace: String,
    document: Document,
}

impl Loader<'_> {
    fn read(&mut self, text: &str, settings: &[String]) -> Option<TaskFile> {
        let mut documents = match yaml::documents(text) {
            Ok(documents) => documents,
            Err(broken) => {
                let finding =
                    Finding::new("", format!("no YAML: {}", broken.message), "correct the notation");
                self.add(broken.line, String::new(), finding);
                return None;
            }
        };
        for document in &mut documents {
            if document.value.get("kind").and_then(Value::as_str) == Some("SyncTask") {
                for setting in settings {
                    if let Err(words) = super::settings::apply(&mut document.value, setting) {
                        let (found, remedy) = words.split_once("; ").unwrap_or((&words, "correct it"));
                        self.add(0, String::new(), Finding::new("", found, remedy));
                    }
                }
            }
        }
        let objects: Vec<_> =
            documents.into_iter().enumerate().filter_map(|(i, d)| self.object(i + 1, d)).collect();
        self.duplicates(&objects);
        let of = |kind: &'static str| objects.iter().filter(move |o| o.kind == kind);
        let mut secrets = Secrets::default();
        for object in of("Secret") {
            secrets.insert(object.name.clone(), self.secret(object));
        }
        let task_object = self.only_task(&of("SyncTask").collect::<Vec<_>>());
        let task = task_object.and_then(|object| self.check::<SyncTask>(object));
        let reindexes = of("Reindex").filter_map(|object| self.reindex(object, task_object)).collect();
        let (task, object) = (task?, task_object?);
        for other in objects.iter().filter(|o| o.namespace != object.namespace) {
            let found = format!("found {:?}, but the SyncTask is in {:?}", other.namespace, object.namespace);
            self.report(
                other,
                Finding::new("metadata.namespace", found, "use one namespace for all objects"),
            );
        }
        match task.spec.credentials(&secrets) {
            Ok(credentials) => Some(TaskFile { task, reindexes, credentials }),
            Err(findings) => {
                for finding in findings {
                    self.report(object, finding);
                }
                None
            }
        }
    }

    fn add(&mut self, line: u64, object: String, finding: Finding) {
        self.findings.push(FileFinding { file: self.file.to_owned(), line, object, finding });
    }

    fn report(&mut self, object: &Object, finding: Finding) {
        self.add(object.document.line(&finding.field), object.label.clone(), finding);
    }

    /// Reads a document's kind and name; `None` where there is nothing more to be said about it.
    fn object(&mut self, number: usize, document: Document) -> Option<Object> {
        let text = |pointer: &str| {
            document.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
        let namespace = Some(text("/metadata/namespace")).filter(|n| !n.is_empty());
        let label = match (kind.as_str(), name.as_str()) {
            ("", _) => format!("document {number}"),
            (_, "") => format!("document {number}, {kind}"),
            _ => format!("document {number}, {kind} {name:?}"),
        };
        let wanted = match kind.as_str() {
            "Secret" => "v1",
            _ => API_VERSION,
        };
        let wrong = if !document.value.is_object() {
            Some(("", "no object".to_owned(), "write apiVersion, kind, metadata and spec".to_owned()))
        } else if !["Secret", "SyncTask", "Reindex"].contains(&kind.as_str()) {
            let found = if kind.is_empty() { "missing".to_owned() } else { format!("unknown kind {kind:?}") };
            Some(("kind", found, "use Secret, SyncTask or Reindex".to_owned()))
        } else if version != wanted {
            Some(("apiVersion", format!("found {version:?}"), format!("write {wanted}")))
        } else {
            None
        };
        if let Some((field, found, remedy)) = wrong {
            self.add(document.line(field), label, Finding::new(field, found, remedy));
            return None;
        }
        let object = Object {
            label,
            kind,
            name,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            document,
        };
        self.head(&object);
        Some(object)
    }

    /// The fields around spec, and the name.
    fn head(&mut self, object: &Object) {
        let own: &[&str] = match object.kind.as_str() {
            "Secret" => &["type", "immutable", "data", "stringData"],
            _ => &["spec", "status"],
        };
        for field in object.document.value.as_object().into_iter().flat_map(Map::keys) {
            if !["apiVersion", "kind", "metadata"].contains(&field.as_str()) && !own.contains(&field.as_str())
            {
                let remedy =
                    format!("remove it (known here: apiVersion, kind, metadata, {})", own.join(", "));
                self.report(object, Finding::new(field, "unknown field", remedy));
            }
        }
        let fits = |part: &str| {
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            ends(part.chars().next())
                && ends(part.chars().last())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if object.name.len() > 253 || !object.name.split('.').all(fits) {
            let found = match object.document.value.pointer("/metadata/name") {
                None => "missing".to_owned(),
                Some(Value::String(name)) => format!("found {name:?}"),
                Some(_) => "found no text".to_owned(),
            };
            let remedy = "give a name of lower-case letters, digits, '-' and '.'";
            self.report(object, Finding::new("metadata.name", found, remedy));
        }
    }

    fn duplicates(&mut self, objects: &[Object]) {
        let mut seen = BTreeSet::new();
        for object in objects {
            if !seen.insert((&object.kind, &object.name)) {
                let found = format!("there is another {} {:?} above", object.kind, object.name);
                self.report(object, Finding::new("metadata.name", found, "rename or remove one of them"));
            }
        }
    }

    fn only_task<'o>(&mut self, tasks: &[&'o Object]) -> Option<&'o Object> {
        let Some((first, others)) = tasks.split_first() else {
            let remedy = "add one; the README has an example";
            self.add(0, String::new(), Finding::new("", "there is no SyncTask in it", remedy));
            return None;
        };
        for other in others {
            let found = format!("there is already SyncTask {:?} in this file", first.name);
            let remedy = "use one file and one process per task";
            self.report(other, Finding::new("", found, remedy));
        }
        Some(first)
    }

    fn check<R: api::Resource>(&mut self, object: &Object) -> Option<R> {
        match api::check(&object.document.value) {
            Ok(resource) => Some(resource),
            Err(findings) => {
                for finding in findings {
                    self.report(object, finding);
                }
                None
            }
        }
    }

    fn reindex(&mut self, object: &Object, task: Option<&Object>) -> Option<Reindex> {
        let reindex = self.check::<Reindex>(object)?;
        let name = &reindex.spec.task_ref.name;
        if let Some(task) = task.filter(|task| task.name != *name) {
            let found = format!("found {name:?}, but the file's SyncTask is {:?}", task.name);
            self.report(object, Finding::new("spec.taskRef.name", found, format!("write {:?}", task.name)));
        }
        Some(reindex)
    }

    /// The values of a Secret; `stringData` wins over `data`, as on an API server.
    fn secret(&mut self, object: &Object) -> BTreeMap<String, Hidden> {
        let mut values = BTreeMap::new();
        for field in ["data", "stringData"] {
            let entries = match object.document.value.get(field) {
                None | Some(Value::Null) => continue,
                Some(Value::Object(entries)) => entries,
                Some(_) => {
                    let remedy = "write key: value lines below it";
                    self.report(object, Finding::new(field, "expected a map of texts", remedy));
                    continue;
                }
            };
            for (key, value) in entries {
                match secret_value(field, value) {
                    Ok(value) => {
                        values.insert(key.clone(), value);
                    }
                    Err((found, remedy)) if !value.is_null() && yaml::is_field_name(key) => {
                        self.report(object, Finding::new(format!("{field}.{key}"), found, remedy));
                    }
                    // The key may be a password whose colon, or the blank behind it, was forgotten.
                    Err(_) => {
                        let remedy = "write key: value, with a blank behind the colon";
                        self.report(object, Finding::new(field, "a key has no value", remedy));
                    }
                }
            }
        }
        values
    }
}

/// A value of a Secret, or what is wrong with it, without showing it.
fn secret_value(field: &str, value: &Value) -> Result<Hidden, (&'static str, &'static str)> {
    let Some(text) = value.as_str() else {
        return Err(("expected a text", "put the value in quotes"));
    };
    if field == "stringData" {
        return Ok(Hidden::new(text));
    }
    let packed: String = text.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed);
    let bytes = bytes.map_err(|_| ("not base64", "encode the value, or put it into stringData as it is"))?;
    let text = String::from_utf8(bytes).map_err(|_| ("not UTF-8 once decoded", "encode a text"))?;
    Ok(Hidden::new(text))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
