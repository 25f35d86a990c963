//! What became of one action: a table over (status, error type), and whatever it does not list halts.

use super::answer::Failure;
use super::bulk::{ActionKind, IdFault, MAX_ID_BYTES};

/// What became of one action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Carried out.
    Done(Outcome),
    /// The index holds a higher version.
    Superseded {
        /// That version; `None` where the server's words do not tell.
        current_version: Option<u64>,
    },
    /// The document is no longer the one that was looked at, or is there now: look again.
    Outdated,
    /// This document or id is refused: a dead letter.
    Rejected {
        /// The server's error type, or `invalid_id`, `too_large`.
        kind: String,
        /// The server's words.
        reason: String,
    },
    /// Passes by itself.
    Retry {
        /// The server's words.
        reason: String,
        /// True where the action may be carried out nevertheless: read again with a new version.
        outcome_unknown: bool,
    },
    /// Needs somebody: blocks, privileges, an unknown answer.
    Halt {
        /// The server's words.
        reason: String,
    },
    /// The index, or our write alias on it, is gone.
    IndexMissing {
        /// The server's words.
        reason: String,
    },
}

/// What an action did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A new document.
    Created,
    /// A document was replaced.
    Updated,
    /// A document was deleted.
    Deleted,
    /// There was nothing to delete.
    NotFound,
}

#[derive(Clone, Copy)]
enum Rule {
    Superseded,
    Missing,
    Record,
    /// Refused before anything was done.
    Busy,
    /// May have been done.
    Unknown,
    Halt,
}

/// (status, error type, rule); status 0 and type `*` stand for any. The first match counts.
const TABLE: &[(u16, &str, Rule)] = &[
    (409, "version_conflict_engine_exception", Rule::Superseded),
    (404, "index_not_found_exception", Rule::Missing),
    // Our write alias has an upper-case letter: where it is gone, a delete would create an index of its name.
    (400, "invalid_index_name_exception", Rule::Missing),
    (400, "mapper_parsing_exception", Rule::Record),
    (400, "document_parsing_exception", Rule::Record),
    (400, "strict_dynamic_mapping_exception", Rule::Record),
    (400, "parse_exception", Rule::Record),
    (400, "parsing_exception", Rule::Record),
    (400, "x_content_parse_exception", Rule::Record),
    (400, "json_parse_exception", Rule::Record),
    (400, "input_coercion_exception", Rule::Record),
    (400, "not_x_content_exception", Rule::Record),
    (400, "max_bytes_length_exceeded_exception", Rule::Record),
    (413, "*", Rule::Record),
    (429, "*", Rule::Busy),
    (502, "*", Rule::Unknown),
    (503, "*", Rule::Unknown),
    (504, "*", Rule::Unknown),
    (404, "shard_not_found_exception", Rule::Unknown),
    (404, "illegal_index_shard_state_exception", Rule::Unknown),
    (404, "index_shard_closed_exception", Rule::Unknown),
    (500, "node_closed_exception", Rule::Unknown),
    (500, "node_disconnected_exception", Rule::Unknown),
    (500, "node_not_connected_exception", Rule::Unknown),
    (500, "connect_transport_exception", Rule::Unknown),
    (500, "send_request_transport_exception", Rule::Unknown),
    (500, "receive_timeout_transport_exception", Rule::Unknown),
    (500, "timeout_exception", Rule::Unknown),
    (500, "elasticsearch_timeout_exception", Rule::Unknown),
    (500, "process_cluster_event_timeout_exception", Rule::Unknown),
    (500, "shard_not_in_primary_mode_exception", Rule::Unknown),
    (500, "retry_on_primary_exception", Rule::Unknown),
    (500, "already_closed_exception", Rule::Unknown),
    (500, "engine_closed_exception", Rule::Unknown),
    (500, "engine_exception", Rule::Unknown),
    (500, "index_failed_engine_exception", Rule::Unknown),
    (500, "i_o_exception", Rule::Unknown),
    (500, "task_cancelled_exception", Rule::Unknown),
    (0, "*", Rule::Halt),
];

/// `illegal_argument_exception` tells of a document only in these words; of the index in all others.
const DOCUMENT_ARGUMENTS: &[&str] = &[
    "Document contains at least one immense term",
    "DocValuesField ",
    "Limit of total fields",
    "Limit of mapping depth",
    "Limit of field name length",
    "Limit of nested fields",
    "The number of nested documents",
    "mapper [",
    "can't merge a ",
    "object mapping [",
    "field name cannot",
];

/// Judges one item of a `_bulk` answer.
pub(super) fn judge(kind: ActionKind, status: u16, failure: Option<&Failure>) -> Verdict {
    let Some(failure) = failure else { return judge_done(kind, status) };
    let reason = failure.text();
    match rule(status, failure) {
        Rule::Superseded => Verdict::Superseded { current_version: current_version(&failure.reason) },
        Rule::Missing => Verdict::IndexMissing { reason },
        Rule::Record => Verdict::Rejected { kind: failure.kind.clone(), reason },
        Rule::Busy => Verdict::Retry { reason, outcome_unknown: false },
        Rule::Unknown => Verdict::Retry { reason, outcome_unknown: true },
        Rule::Halt => Verdict::Halt { reason: format!("HTTP {status}: {reason}{}", remedy(&failure.kind)) },
    }
}

/// The verdict of an id that is not sent.
pub(super) fn judge_id(fault: IdFault) -> Verdict {
    let reason = match fault {
        IdFault::Empty => "the _id is empty".to_owned(),
        IdFault::TooLong(length) => {
            format!("the _id has {length} bytes; the server takes {MAX_ID_BYTES} at most")
        }
    };
    Verdict::Rejected { kind: "invalid_id".to_owned(), reason }
}

/// The verdict where the only action that was sent is too large for the server.
pub(super) fn judge_alone(fault: Option<IdFault>, bytes: usize) -> Verdict {
    let reason = format!("the server takes no request of {bytes} bytes (413)");
    fault.map_or(Verdict::Rejected { kind: "too_large".to_owned(), reason }, judge_id)
}

fn rule(status: u16, failure: &Failure) -> Rule {
    let about_document = || DOCUMENT_ARGUMENTS.iter().any(|words| failure.reason.starts_with(words));
    if status == 400 && failure.kind == "illegal_argument_exception" && about_document() {
        return Rule::Record;
    }
    let matches =
        |row: &&(u16, &str, Rule)| (row.0 == 0 || row.0 == status) && (row.1 == "*" || row.1 == failure.kind);
    TABLE.iter().find(matches).map_or(Rule::Halt, |row| row.2)
}

fn judge_done(kind: ActionKind, status: u16) -> Verdict {
    match (kind, status) {
        (ActionKind::Index | ActionKind::Create, 201) => Verdict::Done(Outcome::Created),
        (ActionKind::Index, 200) => Verdict::Done(Outcome::Updated),
        (ActionKind::Delete, 200) => Verdict::Done(Outcome::Deleted),
        (ActionKind::Delete, 404) => Verdict::Done(Outcome::NotFound),
        _ => Verdict::Halt { reason: format!("HTTP {status} without an error for an action {kind:?}") },
    }
}

/// `[id]: version conflict, current version [12] is higher than the one provided [9]`; the id may hold anything.
fn current_version(reason: &str) -> Option<u64> {
    let (_, rest) = reason.rsplit_once(": version conflict, current version [")?;
    rest.split_once(']')?.0.parse().ok()
}

fn remedy(kind: &str) -> &'static str {
    match kind {
        "cluster_block_exception" => "; lift the index's block (index.blocks.*)",
        "index_closed_exception" => "; open the index (POST <index>/_open)",
        "security_exception" => "; grant the user index and delete on the index and on <index>--*",
        "routing_missing_exception" => "; the mapping requires _routing: set sink.elasticsearch.routing",
        _ => "",
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
