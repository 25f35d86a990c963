//! The CRDs, and objects held against their schema as the API server would, in words.

use kube::CustomResourceExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Finding, Reindex, SyncTask, period, reading, sink};

/// Group and version of the resources.
pub const API_VERSION: &str = "binlog-operator.io/v1alpha1";

/// The kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`SyncTask`]
    SyncTask,
    /// [`Reindex`]
    Reindex,
}

/// A resource's CRD by the name of its file without the ending, as JSON.
pub fn crds() -> Vec<(&'static str, Value)> {
    [("synctasks", SyncTask::crd()), ("reindexes", Reindex::crd())]
        .into_iter()
        .map(|(name, crd)| (name, serde_json::to_value(crd).unwrap_or_default()))
        .collect()
}

/// A resource out of its JSON form, or everything that is wrong with it: its spec held against the CRD's schema,
/// then against the rules between fields.
pub fn check<R: Resource>(object: &Value) -> Result<R, Vec<Finding>> {
    let mut findings = Vec::new();
    let spec = object.get("spec").unwrap_or(&Value::Null);
    walk(&spec_schema(R::KIND), spec, "spec", &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    let fields = ["apiVersion", "kind", "metadata", "spec"];
    let fields = fields.into_iter().filter_map(|f| Some((f.to_owned(), object.get(f)?.clone())));
    let resource: R = serde_json::from_value(Value::Object(fields.collect())).map_err(|e| {
        vec![Finding::new("", e.to_string(), "compare the object with the example in the README")]
    })?;
    let findings = resource.validate();
    if findings.is_empty() { Ok(resource) } else { Err(findings) }
}

/// What [`check`] needs to know of a resource.
pub trait Resource: DeserializeOwned {
    /// Its kind.
    const KIND: Kind;

    /// What does not hold between its fields.
    fn validate(&self) -> Vec<Finding>;
}

impl Resource for SyncTask {
    const KIND: Kind = Kind::SyncTask;

    fn validate(&self) -> Vec<Finding> {
        self.spec.validate()
    }
}

impl Resource for Reindex {
    const KIND: Kind = Kind::Reindex;

    fn validate(&self) -> Vec<Finding> {
        let mut findings = self.spec.validate();
        if self.metadata.name.as_deref() == Some("full") {
            findings.push(Finding::new(
                "metadata.name",
                "found full, the name of a task's own builds",
                "choose another name",
            ));
        }
        findings
    }
}

fn spec_schema(kind: Kind) -> Value {
    let crd = match kind {
        Kind::SyncTask => SyncTask::crd(),
        Kind::Reindex => Reindex::crd(),
    };
    let crd = serde_json::to_value(crd).unwrap_or_default();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").cloned().unwrap_or_default()
}

/// Fields that later versions have. They are refused like any unknown one, with a better reason.
const LATER: [&str; 6] =
    ["spec.onDelete", "spec.write", "spec.routing", "spec.idTemplate", "spec.startFrom", "spec.dryRun"];

fn walk(schema: &Value, value: &Value, path: &str, findings: &mut Vec<Finding>) {
    if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
        return;
    }
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    match (kind, value) {
        ("object", Value::Object(fields)) => object(schema, fields, path, findings),
        ("array", Value::Array(items)) => array(schema, items, path, findings),
        ("string", Value::String(text)) => string(schema, text, path, findings),
        ("integer", Value::Number(n)) if n.is_i64() || n.is_u64() => integer(schema, n, path, findings),
        ("boolean", Value::Bool(_)) => {}
        ("", Value::String(_)) if int_or_string(schema) => {}
        ("", Value::Number(n)) if int_or_string(schema) && (n.is_i64() || n.is_u64()) => {}
        ("", _) if !int_or_string(schema) => {}
        _ => findings.push(wrong_type(kind, value, path)),
    }
}

fn int_or_string(schema: &Value) -> bool {
    schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
}

fn wrong_type(kind: &str, value: &Value, path: &str) -> Finding {
    let wanted = match kind {
        "object" => "a map of fields",
        "array" => "a list",
        "string" => "a text",
        "integer" => "an integer",
        "boolean" => "true or false",
        _ => "an integer or a text",
    };
    let remedy = match (kind, value) {
        (_, Value::Null) if !path.contains('.') => "write it",
        (_, Value::Null) => "give it a value, or leave it out",
        ("string", Value::Number(_) | Value::Bool(_)) => "put it in quotes",
        ("integer", Value::String(_)) => "write the number without quotes and unit",
        ("array", _) => "write it as [a, b] or as lines that begin with -",
        _ => "correct it",
    };
    Finding::new(path, format!("found {}, expected {wanted}", describe(value)), remedy)
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &str, findings: &mut Vec<Finding>) {
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return;
    }
    if let Some(values) = schema.get("additionalProperties") {
        return fields
            .iter()
            .for_each(|(name, value)| walk(values, value, &format!("{path}.{name}"), findings));
    }
    let known = schema.get("properties").and_then(Value::as_object);
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        match known.and_then(|known| known.get(name)) {
            Some(schema) => walk(schema, value, &path, findings),
            None => findings.push(unknown(&path, name, known)),
        }
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name)) {
        let what = known.and_then(|k| k.get(name)?.get("description")?.as_str()).unwrap_or_default();
        let what = what.split(['.', ':']).next().unwrap_or_default();
        findings.push(Finding::new(format!("{path}.{name}"), "missing", format!("add it ({what})")));
    }
    let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let names: Vec<_> = choices.iter().filter_map(|c| c.pointer("/required/0")?.as_str()).collect();
    let given: Vec<_> = names.iter().filter(|name| fields.contains_key(**name)).copied().collect();
    if given.len() != 1 {
        let found = if given.is_empty() {
            "nothing chosen".to_owned()
        } else {
            format!("found {}", given.join(" and "))
        };
        findings.push(Finding::new(path, found, format!("give exactly one of {}", names.join(", "))));
    }
}

fn unknown(path: &str, name: &str, known: Option<&Map<String, Value>>) -> Finding {
    let plain: String =
        path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect();
    if LATER.contains(&plain.as_str()) {
        return Finding::new(path, "not supported by this version", "remove it");
    }
    let known: Vec<_> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    let close = known.iter().find(|k| k.eq_ignore_ascii_case(name)).or_else(|| {
        let near = known.iter().map(|k| (distance(k, name), k)).min()?;
        (near.0 <= 2).then_some(near.1)
    });
    let remedy = match close {
        Some(close) => format!("did you mean {close:?}?"),
        None => format!("remove it (known here: {})", known.join(", ")),
    };
    Finding::new(path, "unknown field", remedy)
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, above), diagonal) in b.chars().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or_default();
            next.push((above + 1).min(left + 1).min(diagonal + usize::from(x != y)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn array(schema: &Value, items: &[Value], path: &str, findings: &mut Vec<Finding>) {
    bounds(schema, "Items", items.len(), "entries", path, findings);
    let identity = |item: &Value| match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Some(item.clone()),
        Some("map") => item.get(schema.pointer("/x-kubernetes-list-map-keys/0")?.as_str()?).cloned(),
        _ => None,
    };
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{i}]");
        if let Some(schema) = schema.get("items") {
            walk(schema, item, &path, findings);
        }
        let twin = identity(item)
            .and_then(|id| items.iter().take(i).position(|o| identity(o).as_ref() == Some(&id)));
        if let Some(twin) = twin {
            findings.push(Finding::new(path, format!("the same as entry [{twin}]"), "remove one of them"));
        }
    }
}

fn string(schema: &Value, text: &str, path: &str, findings: &mut Vec<Finding>) {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let choices: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        if !choices.contains(&text) {
            let found = format!("found {}", describe(&text.into()));
            findings.push(Finding::new(path, found, format!("use one of {}", choices.join(", "))));
        }
    }
    bounds(schema, "Length", text.chars().count(), "characters", path, findings);
    let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
    if !text.is_empty() && !regex::Regex::new(pattern).is_ok_and(|p| p.is_match(text)) {
        let remedy = match pattern {
            reading::OFFSET => "write an offset such as +05:30",
            period::PATTERN => "write for example 500ms, 30s, 5m or 1h30m",
            sink::ADDRESS => "write for example https://elasticsearch:9200",
            other => other,
        };
        findings.push(Finding::new(path, format!("found {}", describe(&text.into())), remedy));
    }
}

fn integer(schema: &Value, n: &serde_json::Number, path: &str, findings: &mut Vec<Finding>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let (min, max, value) = (bound("minimum"), bound("maximum"), n.as_f64().unwrap_or_default());
    if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
        let remedy = match (min, max) {
            (Some(min), Some(max)) => format!("must be between {min} and {max}"),
            (Some(min), None) => format!("must be at least {min}"),
            _ => format!("must be at most {}", max.unwrap_or_default()),
        };
        findings.push(Finding::new(path, format!("found {n}"), remedy));
    }
}

fn bounds(schema: &Value, of: &str, count: usize, unit: &str, path: &str, findings: &mut Vec<Finding>) {
    let bound = |name: &str| schema.get(format!("{name}{of}")).and_then(Value::as_u64);
    let count = count as u64;
    if let Some(min) = bound("min").filter(|min| count < *min) {
        let found = if count == 0 { "empty".to_owned() } else { format!("found {count} {unit}") };
        findings.push(Finding::new(path, found, format!("needs at least {min} {unit}")));
    }
    if let Some(max) = bound("max").filter(|max| count > *max) {
        findings.push(Finding::new(path, format!("found {count} {unit}"), format!("may have at most {max}")));
    }
}

/// A value in words; long texts are cut, and a login in an address is left out.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => format!("the number {n}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map of fields".to_owned(),
        Value::String(text) => match (text.split_once("://"), text.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => {
                format!("the text {:?}", format!("{scheme}://(hidden)@{host}"))
            }
            _ if text.chars().count() > 60 => {
                format!("the text {:?}...", text.chars().take(60).collect::<String>())
            }
            _ => format!("the text {text:?}"),
        },
    }
}
