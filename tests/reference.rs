//! docs/reference.md is what the CRDs say. `UPDATE=1 cargo test --test reference` writes it anew.
#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "tests, and their helpers")]

use binlog_operator::api::{Reindex, SyncTask};
use kube::CustomResourceExt as _;
use serde_json::Value;
use std::path::Path;

const HEAD: &str = "# Reference\n\n\
    Every field of the resources of `binlog-operator.io/v1alpha1`, as the API server knows them \
    (`kubectl explain synctask.spec`).\nWritten by `make manifests` from the types; a field marked * must be given.\n";

#[test]
fn the_reference_is_what_the_types_say() {
    let mut text = HEAD.to_owned();
    for (crd, plural) in [(SyncTask::crd(), "synctasks"), (Reindex::crd(), "reindexes")] {
        let crd = serde_json::to_value(&crd).unwrap();
        let kind = word(&crd["spec"]["names"]["kind"]);
        let short = word(&crd["spec"]["names"]["shortNames"][0]);
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        text += &format!("\n## {kind}\n\n{}\n`kubectl get {plural}`, or `{short}`.\n", sentence(schema));
        for part in ["spec", "status"] {
            text += &format!(
                "\n### {kind} {part}\n\n| field | type | default | about |\n| --- | --- | --- | --- |\n"
            );
            rows(&schema["properties"][part], "", &mut text);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/reference.md differs from the types: make manifests");
}

/// A row for each field below a schema, each followed by the rows of its own fields.
fn rows(schema: &Value, path: &str, text: &mut String) {
    let Some(fields) = schema["properties"].as_object() else { return };
    let must: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields {
        let path = format!("{path}{name}");
        let star = if must.contains(&name.as_str()) { " *" } else { "" };
        let about = format!("{}{}", sentence(field), rules(field)).replace('|', "\\|");
        text.push_str(&format!("| `{path}`{star} | {} | {} | {about} |\n", kind(field), default(field)));
        if name == "conditions" {
            continue; // metav1.Condition, known to all
        }
        rows(field, &format!("{path}."), text);
        rows(&field["items"], &format!("{path}[]."), text);
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn sentence(schema: &Value) -> String {
    word(&schema["description"]).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    let bounds = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"];
    let bound = |which: usize| bounds.iter().skip(which).step_by(2).find_map(|bound| schema[*bound].as_f64());
    let (least, most) = (bound(0), bound(1));
    let of = match word(&schema["type"]) {
        "array" => format!("list of {}", kind(&schema["items"]).split(',').next().unwrap_or_default()),
        other => other.to_owned(),
    };
    match (least, most) {
        (Some(least), Some(most)) => format!("{of}, {least} to {most}"),
        (Some(least), None) => format!("{of}, at least {least}"),
        (None, Some(most)) => format!("{of}, at most {most}"),
        (None, None) => of,
    }
}

fn default(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null | Value::Object(_) => String::new(),
        Value::String(text) => quoted(text),
        other => format!("`{other}`"),
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "`\"\"`".to_owned() } else { format!("`{text}`") }
}

/// One of so many words, and the rules between fields.
fn rules(schema: &Value) -> String {
    let list = |member: &str| schema[member].as_array().cloned().unwrap_or_default();
    let words = list("enum");
    let words = words.iter().filter_map(Value::as_str).map(quoted).collect::<Vec<_>>().join(", ");
    let rules = list("x-kubernetes-validations");
    let rules: String = rules.iter().map(|rule| format!(" Rule: {}.", word(&rule["message"]))).collect();
    if words.is_empty() { rules } else { format!(" One of {words}.{rules}") }
}
