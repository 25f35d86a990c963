//! What stands against a task before it starts, each finding with its remedy. Changes nothing.

use std::fmt;
use std::time::Duration;

use super::describe::{IndexInfo, Lookup};
use super::difference::difference;
use super::error::SinkError;
use super::{CreateIndex, Sink, SinkOptions, marker, setup};
use crate::model::Class;

const INDEX_FIELD: &str = "sink.elasticsearch.index";

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Works, with a risk.
    Warning,
    /// The task cannot run.
    Error,
}

/// One finding of a preflight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// For errors: whether it may pass by itself, needs somebody, or a change of the task's file.
    pub class: Class,
    /// The field, or the setting of the index.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.subject, self.found, self.remedy)
    }
}

impl Finding {
    fn new(severity: Severity, class: Class, subject: &str, found: String, remedy: &str) -> Self {
        Self { severity, class, subject: subject.to_owned(), found, remedy: remedy.to_owned() }
    }

    fn error(subject: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self::new(Severity::Error, Class::Config, subject, found.into(), remedy)
    }

    fn halt(subject: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self::new(Severity::Error, Class::Halt, subject, found.into(), remedy)
    }

    fn warning(subject: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self::new(Severity::Warning, Class::Config, subject, found.into(), remedy)
    }
}

impl From<SinkError> for Finding {
    fn from(error: SinkError) -> Self {
        let class = error.class();
        let text = error.to_string();
        match error {
            SinkError::Refused(finding) => finding,
            SinkError::Options { field, found, remedy } => Self::error(&field, found, &remedy),
            SinkError::Tls { .. } => finding_of(class, "sink.elasticsearch.tls", &text),
            SinkError::Unauthenticated { .. } => finding_of(class, "sink.elasticsearch.auth", &text),
            SinkError::Forbidden { .. } | SinkError::IndexMissing { .. } => {
                finding_of(class, INDEX_FIELD, &text)
            }
            SinkError::Unreachable { .. } | SinkError::BadAnswer { .. } => {
                finding_of(class, "sink.elasticsearch.addresses", &text)
            }
            _ => {
                let text = text.trim_end_matches("; the request may have been carried out");
                let remedy = "see the logs of the server and of the proxies before it";
                Self::new(Severity::Error, class, "sink.elasticsearch.addresses", text.to_owned(), remedy)
            }
        }
    }
}

/// The error's own text holds the remedy after its last semicolon.
fn finding_of(class: Class, subject: &str, text: &str) -> Finding {
    let (found, remedy) = text.rsplit_once("; ").unwrap_or((text, "see the server's log"));
    Finding::new(Severity::Error, class, subject, found.to_owned(), remedy)
}

impl Sink {
    /// Everything that stands against writing to the index, errors first. Reads only.
    pub async fn preflight(&self) -> Vec<Finding> {
        let options = &self.inner.options;
        let mut findings = match self.describe(&options.index).await {
            Ok(lookup) => judge(&lookup, options),
            Err(error) => vec![error.into()],
        };
        if options.tls.insecure_skip_verify {
            let found = "true: anybody can pose as the server";
            findings.push(Finding::warning(
                "sink.elasticsearch.tls.insecureSkipVerify",
                found,
                "give tls.ca instead; for trying things out only",
            ));
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }
}

/// Judges what the index's name stands for.
pub(super) fn judge(lookup: &Lookup, options: &SinkOptions) -> Vec<Finding> {
    let index = &options.index;
    match lookup {
        Lookup::One(info) => judge_index(info, options),
        Lookup::Many(names) => {
            let found = format!("{index} stands for several indices: {}", names.join(", "));
            vec![Finding::error(INDEX_FIELD, found, "name one index, or an alias of exactly one")]
        }
        Lookup::Missing if options.create == CreateIndex::Never => {
            let found = format!("index {index} is missing and createIndex is Never");
            let remedy = "create it, or set sink.elasticsearch.createIndex: IfMissing";
            vec![Finding::error(INDEX_FIELD, found, remedy)]
        }
        Lookup::Missing => vec![match setup::illegal_index_name(index) {
            Some(why) => {
                let found = format!("index {index:?} is missing and cannot be created: {why}");
                Finding::error(INDEX_FIELD, found, "choose a legal index name")
            }
            None => info(format!("index {index} is missing and will be created")),
        }],
    }
}

fn info(found: String) -> Finding {
    Finding::new(Severity::Info, Class::Config, INDEX_FIELD, found, "nothing to do")
}

fn judge_index(info: &IndexInfo, options: &SinkOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(stream) = &info.data_stream {
        let found = format!("{stream} is a data stream, which takes no updates or deletes");
        findings.push(Finding::error(INDEX_FIELD, found, "name an ordinary index"));
    }
    if let Some(rival) = marker::rival(&info.meta, &options.task, options.shared) {
        let found = format!("index {} belongs to task {rival}", info.name);
        let remedy = format!(
            "choose another index, set sink.elasticsearch.shared: true on both tasks, or if that task is gone \
             remove it from the mapping's _meta (PUT {}/_mapping)",
            info.name
        );
        findings.push(Finding::error(INDEX_FIELD, found, &remedy));
    }
    if info.routing_required && !options.routed {
        let found = format!("the mapping of {} requires _routing", info.name);
        let remedy = "set sink.elasticsearch.routing, or use an index without required routing";
        findings.push(Finding::error(INDEX_FIELD, found, remedy));
    }
    if options.routed && info.setting("index.routing_partition_size").is_some_and(|size| size != "1") {
        let found = "an index whose routing values each lead to several shards";
        let remedy = "use an index without it, or remove sink.elasticsearch.routing";
        findings.push(Finding::error("index setting index.routing_partition_size", found, remedy));
    }
    findings.extend(difference(info, options).map(|found| {
        let found = format!("index {} differs: {found}", info.name);
        let remedy = "change the index or create; nothing is changed by itself";
        Finding::warning("sink.elasticsearch.create", found, remedy)
    }));
    findings.extend(judge_state(info));
    findings.extend(judge_settings(info));
    findings
}

fn judge_state(info: &IndexInfo) -> Option<Finding> {
    if info.setting("index.verified_before_close") == Some("true") {
        let found = format!("index {} is closed", info.name);
        return Some(Finding::halt(INDEX_FIELD, found, &format!("POST {}/_open", info.name)));
    }
    let blocks = info.blocks();
    let subject = format!("index setting index.blocks.{}", blocks.first()?);
    let found = format!("index {} is blocked: {}", info.name, blocks.join(", "));
    let remedy = match blocks.as_slice() {
        ["read_only_allow_delete"] => "free disk space on the cluster's nodes, then set the block to null",
        _ => "set the block to null",
    };
    Some(Finding::halt(&subject, found, remedy))
}

fn judge_settings(info: &IndexInfo) -> Vec<Finding> {
    let mut findings = Vec::new();
    let setting =
        |name: &str| info.setting(name).filter(|value| *value != "_none").map(str::to_ascii_lowercase);
    if setting("index.translog.durability").as_deref() == Some("async") {
        let remedy = "set it to request: with async an acknowledged write can be lost";
        findings.push(Finding::error("index setting index.translog.durability", "async", remedy));
    }
    if setting("index.mode").as_deref() == Some("time_series") {
        let remedy = "use an index of mode standard: time series take no document ids";
        findings.push(Finding::error("index setting index.mode", "time_series", remedy));
    }
    let kept = info.gc_deletes();
    let found = || format!("{} s", kept.as_secs());
    if kept < Duration::from_secs(10) {
        let remedy = "set it to 1h: versions of deleted documents are forgotten at once, so late writes would \
                      bring them back";
        findings.push(Finding::error("index setting index.gc_deletes", found(), remedy));
    } else if kept < Duration::from_secs(60) {
        let remedy = "set it to 1h: writes that are late by half of it are read again";
        findings.push(Finding::warning("index setting index.gc_deletes", found(), remedy));
    }
    for name in ["index.default_pipeline", "index.final_pipeline"] {
        if let Some(pipeline) = setting(name) {
            let remedy =
                "remove it if documents must equal the query: a pipeline changes, drops or moves them";
            findings.push(Finding::warning(&format!("index setting {name}"), pipeline, remedy));
        }
    }
    findings
}
