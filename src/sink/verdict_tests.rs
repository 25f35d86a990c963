//! The table against answers that real servers gave (recorded/), and against what was never seen.

use super::super::answer::failure;
use super::*;

const SERVERS: [(&str, &str); 3] = [
    ("elasticsearch-9.5.3", include_str!("recorded/elasticsearch-9.5.3.json")),
    ("elasticsearch-7.17.29", include_str!("recorded/elasticsearch-7.17.29.json")),
    ("opensearch-3.8.0", include_str!("recorded/opensearch-3.8.0.json")),
];

fn short(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Done(outcome) => format!("{outcome:?}"),
        Verdict::Superseded { current_version } => format!("superseded by {}", current_version.unwrap()),
        Verdict::Outdated => "outdated".into(),
        Verdict::Rejected { .. } => "rejected".into(),
        Verdict::Retry { outcome_unknown: false, .. } => "busy".into(),
        Verdict::Retry { .. } => "unknown".into(),
        Verdict::Halt { .. } => "halt".into(),
        Verdict::IndexMissing { .. } => "missing".into(),
    }
}

fn verdicts(answer: &serde_json::Value) -> String {
    let items = answer["items"].as_array().unwrap();
    let judged = items.iter().map(|item| {
        let (op, item) = item.as_object().unwrap().iter().next().unwrap();
        let kind = if op == "delete" { ActionKind::Delete } else { ActionKind::Index };
        let error = item.get("error").map(|e| serde_json::from_value(e.clone()).unwrap());
        short(&judge(kind, item["status"].as_u64().unwrap() as u16, error.as_ref()))
    });
    judged.collect::<Vec<_>>().join(", ")
}

#[test]
fn recorded_answers_of_three_servers() {
    let expected = [
        (
            "mixed",
            "Updated, superseded by 10, rejected, rejected, rejected, superseded by 10, NotFound, Deleted, \
             superseded by 11, rejected, rejected, Created, rejected, rejected, rejected",
        ),
        ("empty id", "halt, Created"),
        ("index instead of alias", "missing, superseded by 11"),
        ("closed", "halt, halt"),
        ("read_only", "halt, halt"),
        ("write block", "halt, halt"),
        ("flood stage", "busy, busy"),
        ("index deleted", "missing, missing"),
        ("alias missing, delete", "missing"),
        ("alias missing", "missing, missing"),
        ("alias of two", "halt, halt"),
        ("field limit, types", "rejected, rejected, rejected, rejected"),
        ("routing required", "halt, halt"),
        ("nested, depth, dates", "rejected, rejected, Created, rejected, rejected"),
        ("immense term", "rejected"),
    ];
    for (server, recorded) in SERVERS {
        let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
        for (case, wanted) in expected {
            assert_eq!(verdicts(&recorded[case]), wanted, "{server}: {case}");
        }
    }
    let es9: serde_json::Value = serde_json::from_str(SERVERS[0].1).unwrap();
    assert_eq!(verdicts(&es9["no such pipeline"]), "halt");
}

fn of(status: u16, kind: &str, reason: &str) -> Verdict {
    let error = Failure { kind: kind.into(), reason: reason.into(), ..Failure::default() };
    judge(ActionKind::Index, status, Some(&error))
}

/// Invariant 6: what nobody knows is neither success nor a dead letter.
#[test]
fn the_unknown_halts() {
    for (status, kind) in [
        (400, "illegal_argument_exception"),
        (400, "brand_new_exception"),
        (500, "null_pointer_exception"),
        (403, "security_exception"),
        (404, "resource_not_found_exception"),
        (409, "other_conflict"),
        (302, ""),
        (0, ""),
    ] {
        assert!(matches!(of(status, kind, "words"), Verdict::Halt { .. }), "{status} {kind}");
    }
    for status in [0, 100, 204, 302, 404, 409] {
        assert!(matches!(judge(ActionKind::Index, status, None), Verdict::Halt { .. }), "{status}");
    }
    assert!(matches!(judge(ActionKind::Delete, 201, None), Verdict::Halt { .. }));
}

/// Invariant 6: outages are no dead letters.
#[test]
fn outages_are_retried() {
    assert_eq!(short(&of(429, "es_rejected_execution_exception", "queue full")), "busy");
    assert_eq!(short(&of(429, "circuit_breaking_exception", "[parent] Data too large")), "busy");
    assert_eq!(short(&of(503, "unavailable_shards_exception", "primary shard is not active")), "unknown");
    assert_eq!(short(&of(503, "cluster_block_exception", "no master")), "unknown");
    assert_eq!(short(&of(500, "node_disconnected_exception", "")), "unknown");
}

#[test]
fn a_conflict_tells_the_version_whatever_the_id_says() {
    let kind = "version_conflict_engine_exception";
    let reason = "[x]: version conflict, current version [1]]: version conflict, current version [18] is higher \
                  than the one provided [9]";
    assert_eq!(of(409, kind, reason), Verdict::Superseded { current_version: Some(18) });
    let reason =
        "[1]: version conflict, required seqNo [1], primary term [1]. current document has seqNo [2]";
    assert_eq!(of(409, kind, reason), Verdict::Superseded { current_version: None });
}

#[test]
fn halts_name_the_remedy() {
    let body = br#"{"error":{"type":"index_closed_exception","reason":"closed"}}"#;
    let Verdict::Halt { reason } = judge(ActionKind::Index, 400, Some(&failure(body))) else { panic!() };
    assert_eq!(reason, "HTTP 400: index_closed_exception: closed; open the index (POST <index>/_open)");
    assert!(matches!(judge_id(IdFault::TooLong(600)), Verdict::Rejected { .. }));
}
