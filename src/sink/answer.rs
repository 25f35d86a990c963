//! Reads the answers of the server: of `_bulk` item by item, of other requests the error's words.

use serde::Deserialize;

use super::bulk::{ActionKind, Bulk};
use super::verdict::{Verdict, judge, judge_id};

/// What is asked of a `_bulk` answer: with it a good answer has some 25 bytes per action instead of 180.
pub(super) const BULK_FILTER: &str = "errors,items.*.status,items.*.error";

const MAX_REASON: usize = 600;

/// An error object of the server.
#[derive(Deserialize, Debug, Default, Clone)]
pub(super) struct Failure {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) caused_by: Option<Box<Failure>>,
}

impl Failure {
    /// Type and words of the error and of its innermost cause, bounded.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}: {}", self.kind, self.reason);
        let mut cause = self;
        while let Some(inner) = &cause.caused_by {
            cause = inner;
        }
        if !text.contains(&cause.reason) {
            text =
                format!("{}: {} (cause: {})", self.kind, bounded(&self.reason, MAX_REASON / 2), cause.reason);
        }
        bounded(&text, MAX_REASON).to_owned()
    }
}

/// The longest beginning of a text within a size.
pub(super) fn bounded(text: &str, size: usize) -> &str {
    (0..=size.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

#[derive(Deserialize)]
struct BulkAnswer {
    errors: bool,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Index(ItemResult),
    Create(ItemResult),
    Delete(ItemResult),
}

impl Item {
    fn split(&self) -> (ActionKind, &ItemResult) {
        match self {
            Self::Index(item) => (ActionKind::Index, item),
            Self::Create(item) => (ActionKind::Create, item),
            Self::Delete(item) => (ActionKind::Delete, item),
        }
    }
}

#[derive(Deserialize)]
struct ItemResult {
    status: u16,
    #[serde(default)]
    error: Option<Failure>,
}

/// The answer to a batch that was carried out whole, read without a parser; `None` for any other.
fn all_done(bulk: &Bulk, answer: &[u8]) -> Option<Vec<Verdict>> {
    let mut rest = answer.strip_prefix(br#"{"errors":false,"items":["#)?;
    let mut verdicts = Vec::with_capacity(bulk.actions());
    for action in bulk.list() {
        if action.fault.is_some() {
            return None;
        }
        let head: &[u8] = match action.kind {
            ActionKind::Index => br#"{"index":{"status":"#,
            ActionKind::Create => br#"{"create":{"status":"#,
            ActionKind::Delete => br#"{"delete":{"status":"#,
        };
        if !verdicts.is_empty() {
            rest = rest.strip_prefix(b",")?;
        }
        let (status, tail) = rest.strip_prefix(head)?.split_first_chunk::<3>()?;
        rest = tail.strip_prefix(b"}}")?;
        let digit =
            |sum: u16, byte: &u8| Some(sum * 10 + u16::from(byte.checked_sub(b'0').filter(|d| *d < 10)?));
        verdicts.push(judge(action.kind, status.iter().try_fold(0, digit)?, None));
    }
    (rest == b"]}").then_some(verdicts)
}

/// One verdict per action of the bulk, or why the answer cannot be one to it.
pub(super) fn verdicts(bulk: &Bulk, answer: &[u8]) -> Result<Vec<Verdict>, String> {
    if let Some(verdicts) = all_done(bulk, answer) {
        return Ok(verdicts);
    }
    let answer: BulkAnswer = serde_json::from_slice(answer).map_err(|e| format!("_bulk: {e}"))?;
    let sent = bulk.list().iter().filter(|a| a.fault.is_none()).count();
    if answer.items.len() != sent {
        return Err(format!("_bulk: {} items for {sent} actions", answer.items.len()));
    }
    let mut failed = false;
    let mut items = answer.items.iter();
    let mut verdicts = Vec::with_capacity(bulk.actions());
    for action in bulk.list() {
        let item = if action.fault.is_none() { items.next() } else { None };
        verdicts.push(match (action.fault, item.map(Item::split)) {
            (Some(fault), _) => judge_id(fault),
            (None, Some((kind, item))) if kind == action.kind => {
                failed |= item.error.is_some();
                match judge(kind, item.status, item.error.as_ref()) {
                    Verdict::Superseded { .. } if !action.versioned => Verdict::Outdated,
                    verdict => verdict,
                }
            }
            _ => return Err("_bulk: items in another order than the actions".to_owned()),
        });
    }
    if failed == answer.errors {
        Ok(verdicts)
    } else {
        Err("_bulk: errors does not fit the items".to_owned())
    }
}

/// The error in the body of an answer that is not 2xx.
pub(super) fn failure(body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Error {
        Object(Failure),
        Text(String),
    }
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { error: Error::Object(failure) }) => failure,
        Ok(Body { error: Error::Text(reason) }) => Failure { kind: "error".into(), reason, caused_by: None },
        Err(_) => {
            let text = String::from_utf8_lossy(body.get(..400.min(body.len())).unwrap_or_default());
            let reason = text.split_whitespace().collect::<Vec<_>>().join(" ");
            Failure { kind: "answer".into(), reason, caused_by: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bulk::{BulkBody, DocumentRef};
    use super::*;

    fn two() -> Bulk {
        let mut body = BulkBody::default();
        body.push_index(DocumentRef::new("1", 1), b"{}");
        body.push_delete(DocumentRef::new("", 1));
        body.push_delete(DocumentRef::new("2", 1));
        body.seal()
    }

    #[test]
    fn verdicts_stand_in_the_order_of_the_actions() {
        let answer = br#"{"errors":false,"items":[{"index":{"status":201}},{"delete":{"status":404}}]}"#;
        let found = verdicts(&two(), answer).unwrap();
        assert!(matches!(found.as_slice(), [Verdict::Done(_), Verdict::Rejected { .. }, Verdict::Done(_)]));
    }

    /// The quick reader and the parser agree; what is written otherwise goes to the parser.
    #[test]
    fn answers_are_read_alike_on_both_ways() {
        let mut body = BulkBody::default();
        body.push_index(DocumentRef::new("1", 1), b"{}");
        body.push_delete(DocumentRef::new("2", 1));
        let bulk = body.seal();
        for (index, delete) in [(200, 200), (201, 404), (200, 418)] {
            let quick = format!(
                r#"{{"errors":false,"items":[{{"index":{{"status":{index}}}}},{{"delete":{{"status":{delete}}}}}]}}"#
            );
            let slow = quick.replace(':', " : ");
            assert!(
                all_done(&bulk, quick.as_bytes()).is_some() && all_done(&bulk, slow.as_bytes()).is_none()
            );
            assert_eq!(verdicts(&bulk, quick.as_bytes()), verdicts(&bulk, slow.as_bytes()));
            for end in 0..quick.len() {
                assert!(verdicts(&bulk, quick.as_bytes().get(..end).unwrap()).is_err(), "{end}");
            }
        }
    }

    /// Invariant 6: nothing but a whole, fitting answer is success.
    #[test]
    fn answers_that_do_not_fit_are_no_success() {
        for bad in [
            "",
            "{}",
            "<html>",
            r#"{"errors":false,"items":[]}"#,
            r#"{"errors":false,"items":[{"index":{"status":201}}]}"#,
            r#"{"errors":false,"items":[{"delete":{"status":200}},{"index":{"status":201}}]}"#,
            r#"{"errors":true,"items":[{"index":{"status":201}},{"delete":{"status":200}}]}"#,
            r#"{"errors":false,"items":[{"index":{"status":400,"error":{}}},{"delete":{"status":200}}]}"#,
            r#"{"errors":false,"items":[{"index":{}},{"delete":{"status":200}}]}"#,
            r#"{"errors":false,"items":[{"index":{"status":201}},{"delete":{"status":404"#,
        ] {
            assert!(verdicts(&two(), bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_in_any_shape_have_words() {
        assert_eq!(
            failure(br#"{"error":"alias [x] missing","status":404}"#).text(),
            "error: alias [x] missing"
        );
        assert_eq!(failure(b"<h1>502\n Bad Gateway</h1>").text(), "answer: <h1>502 Bad Gateway</h1>");
        let nested =
            failure(br#"{"error":{"type":"a","reason":"b","caused_by":{"type":"c","reason":"why"}}}"#);
        assert_eq!(nested.text(), "a: b (cause: why)");
        assert!(failure(&[b'x'; 5000]).text().len() <= MAX_REASON);
    }
}
