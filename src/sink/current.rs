//! Documents as the index has them now, for tasks that write only some of their fields.

use std::collections::HashMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::Failure;
use super::error::{Result, SinkError};
use super::{SeqNo, Sink, setup};

const FILTER: &str =
    "filter_path=docs._id,docs.found,docs._seq_no,docs._primary_term,docs._routing,docs._source,docs.error";

/// A document as the index has it.
#[derive(Clone, Debug)]
pub struct Current {
    /// Which state of it this is.
    pub seq_no: SeqNo,
    /// The `routing` it was written with.
    pub routing: Option<String>,
    /// Its JSON, as it was written.
    pub source: Box<str>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    docs: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "found", default)]
    is_there: bool,
    #[serde(rename = "_seq_no", default)]
    number: u64,
    #[serde(rename = "_primary_term", default)]
    term: u64,
    #[serde(rename = "_routing", default)]
    routing: Option<String>,
    #[serde(rename = "_source", default)]
    source: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Failure>,
}

impl Sink {
    /// The documents of these ids (with their routing) that are there, by id. It is not the searchable state but
    /// the newest (`_mget`). Needs [`Sink::prepare`] first.
    ///
    /// # Errors
    /// Those of a request; a document whose `_source` is not stored.
    pub async fn current(&self, ids: &[(String, Option<String>)]) -> Result<HashMap<String, Current>> {
        let asked = |(id, routing): &(String, Option<String>)| match routing {
            Some(routing) => json!({"_id": id, "routing": routing}),
            None => json!({"_id": id}),
        };
        let index = &self.target()?.index;
        let mut current = HashMap::with_capacity(ids.len());
        if ids.is_empty() {
            return Ok(current);
        }
        let body = json!({"docs": ids.iter().map(asked).collect::<Vec<_>>()});
        let path = format!("/{}/_mget?{FILTER}", setup::path_segment(index));
        let answer = self.call(Method::POST, &path, Some(&body)).await?;
        let address = answer.address.clone();
        let found: Answer = answer.json()?;
        if found.docs.len() != ids.len() {
            let reason = format!("_mget: {} documents for {} ids", found.docs.len(), ids.len());
            return Err(SinkError::BadAnswer { address, reason });
        }
        for document in found.docs {
            if let Some(error) = document.error {
                let reason = error.text();
                return Err(match error.kind.as_str() {
                    "index_not_found_exception" => SinkError::IndexMissing { index: index.clone(), reason },
                    _ => SinkError::Server { address, status: 503, reason },
                });
            }
            if !document.is_there {
                continue;
            }
            let Some(source) = document.source else {
                let found =
                    format!("index {index} does not store _source, to which write: Upsert adds fields");
                return Err(setup::fault(
                    "sink.elasticsearch.write",
                    &found,
                    "enable _source, or write: Index",
                ));
            };
            let seq_no = SeqNo { number: document.number, term: document.term };
            let found = Current { seq_no, routing: document.routing, source: source.into() };
            current.insert(document.id, found);
        }
        Ok(current)
    }
}
