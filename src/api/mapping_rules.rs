//! What must hold between the fields of `spec.query` and `spec.mapping`.

use super::{Child, Finding, Rewrite, ShardVariable, SyncTaskSpec, TableRule};

/// The placeholder of the ids, as the CEL rules have it.
pub(super) const PLACEHOLDER: &str = r"(?i)\bin\s*\(\s*([?]|:[a-z_][a-z0-9_]*)\s*\)";

pub(super) fn findings(spec: &SyncTaskSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(key(spec));
    let example = "filter the main table's key by IN (:ids), for example WHERE o.id IN (:ids)";
    findings.extend(placeholder("spec.query.sql", &spec.query.sql, example));
    for (i, child) in spec.query.children.iter().enumerate() {
        findings.extend(self::child(i, child));
    }
    for (i, rule) in spec.mapping.tables.iter().enumerate() {
        findings.extend(table_rule(i, rule));
    }
    for (i, rewrite) in spec.mapping.rewrite.iter().enumerate() {
        findings.extend(expression(i, rewrite));
    }
    for (i, variable) in spec.mapping.sharding.0.iter().enumerate() {
        findings.extend(sharding(i, variable));
    }
    findings
}

fn key(spec: &SyncTaskSpec) -> Option<Finding> {
    let found = match (&spec.query.key, &spec.query.keys) {
        (Some(_), Some(_)) => "both key and keys are given",
        (None, None) => "neither key nor keys is given",
        _ => return None,
    };
    Some(Finding::new(
        "spec.query.key",
        found,
        "give key: the output column that IN (:ids) filters, or keys: the list of them for a composite key",
    ))
}

fn placeholder(field: &str, sql: &str, remedy: &str) -> Option<Finding> {
    let there = regex::Regex::new(PLACEHOLDER).is_ok_and(|pattern| pattern.is_match(sql));
    (!there).then(|| Finding::new(field, "no placeholder for the ids", remedy))
}

fn child(i: usize, child: &Child) -> Vec<Finding> {
    let field = format!("spec.query.children[{i}]");
    let remedy = "filter the column of the document's key by IN (:ids)";
    let mut findings: Vec<Finding> =
        placeholder(&format!("{field}.sql"), &child.sql, remedy).into_iter().collect();
    if child.key.is_some() == child.keys.is_some() {
        let found = if child.key.is_some() { "both key and keys are given" } else { "no key is given" };
        findings.push(Finding::new(
            format!("{field}.key"),
            found,
            "give key: the column that IN (:ids) filters",
        ));
    }
    findings
}

fn table_rule(i: usize, rule: &TableRule) -> Vec<Finding> {
    let field = format!("spec.mapping.tables[{i}]");
    let mut findings = Vec::new();
    for (name, value) in [("ignore", rule.ignore), ("all", rule.all)] {
        if value == Some(false) {
            findings.push(Finding::new(
                format!("{field}.{name}"),
                "found false",
                "leave it out, or say true",
            ));
        }
    }
    if let Some(lookup) = &rule.lookup {
        let remedy = "filter a column by IN (:keys)";
        findings.extend(placeholder(&format!("{field}.lookup.sql"), &lookup.sql, remedy));
    }
    let given = rule.given();
    if given.len() > 1 || (given.is_empty() && rule.columns.is_empty()) {
        let found = if given.is_empty() {
            format!("the rule for {:?} says nothing", rule.table)
        } else {
            format!("the rule for {:?} gives {}", rule.table, given.join(" and "))
        };
        let remedy = "give exactly one of column, lookup, ignore: true and all: true, or columns alone";
        findings.push(Finding::new(field, found, remedy));
    }
    findings
}

fn expression(i: usize, rewrite: &Rewrite) -> Option<Finding> {
    let error = regex::Regex::new(&rewrite.pattern).err()?;
    let reason = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
    let found = format!("{:?} is no regular expression ({reason})", rewrite.pattern);
    Some(Finding::new(format!("spec.mapping.rewrite[{i}].match"), found, "correct it"))
}

fn sharding(i: usize, variable: &ShardVariable) -> Vec<Finding> {
    let field = |name: &str| format!("spec.mapping.sharding[{i}].{name}");
    let mut findings = Vec::new();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.variable.is_empty() || !variable.variable.chars().all(word) {
        let found = format!("found {:?}", variable.variable);
        findings.push(Finding::new(field("variable"), found, "use letters, digits and _"));
    }
    if !(1..=4096).contains(&variable.shards) {
        findings.push(Finding::new(
            field("shards"),
            format!("found {}", variable.shards),
            "must be between 1 and 4096",
        ));
    }
    if variable.suffix_width > 20 {
        let found = format!("found {}", variable.suffix_width);
        findings.push(Finding::new(field("suffixWidth"), found, "must be between 0 and 20"));
    }
    if !variable.format.contains("{}") {
        let found = format!("{:?} lacks {{}}", variable.format);
        findings.push(Finding::new(field("format"), found, "write {} where the number belongs"));
    }
    findings
}
