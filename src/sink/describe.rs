//! What the server says of an index or alias.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{Result, SinkError};
use super::{Sink, setup};

/// What a name stands for.
pub(super) enum Lookup {
    Missing,
    One(Box<IndexInfo>),
    Many(Vec<String>),
}

/// One concrete index.
#[derive(Default)]
pub(super) struct IndexInfo {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) data_stream: Option<String>,
    pub(super) meta: Map<String, Value>,
    pub(super) routing_required: bool,
    /// The mappings without what is read of them above; whole only where somebody compares them.
    pub(super) mappings: Value,
    settings: Map<String, Value>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    aliases: Map<String, Value>,
    #[serde(default)]
    data_stream: Option<String>,
    #[serde(default)]
    mappings: Value,
    #[serde(default)]
    settings: Map<String, Value>,
}

impl IndexInfo {
    fn new(name: String, described: Described) -> Self {
        Self {
            name,
            meta: described.mappings.get("_meta").and_then(Value::as_object).cloned().unwrap_or_default(),
            routing_required: described.mappings.pointer("/_routing/required") == Some(&Value::Bool(true)),
            mappings: described.mappings,
            aliases: described.aliases.into_iter().map(|(name, _)| name).collect(),
            data_stream: described.data_stream,
            settings: described.settings,
        }
    }

    #[cfg(test)]
    pub(super) fn of(name: &str, described: Value) -> Option<Self> {
        Some(Self::new(name.to_owned(), serde_json::from_value(described).ok()?))
    }

    /// A setting by its flat name, as it came.
    pub(super) fn live_setting(&self, name: &str) -> Option<&Value> {
        self.settings.get(name)
    }

    /// A setting by its flat name.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).and_then(Value::as_str)
    }

    /// The index's UUID; behind a slash that of its history where a snapshot was restored over it, which
    /// changes the documents but not the first.
    pub(super) fn uuid(&self) -> String {
        let uuid = self.setting("index.uuid").unwrap_or_default();
        match self.setting("index.history.uuid") {
            Some(history) => format!("{uuid}/{history}"),
            None => uuid.to_owned(),
        }
    }

    /// The blocks that are on.
    pub(super) fn blocks(&self) -> Vec<&str> {
        let blocks = self.settings.iter().filter(|(_, on)| on.as_str() == Some("true"));
        blocks.filter_map(|(name, _)| name.strip_prefix("index.blocks.")).collect()
    }

    /// How long the versions of deleted documents are kept; the server's default is 60 s.
    pub(super) fn gc_deletes(&self) -> Duration {
        self.setting("index.gc_deletes").map_or(Duration::from_secs(60), time_value)
    }
}

impl Sink {
    /// Looks up an index or alias.
    pub(super) async fn describe(&self, name: &str) -> Result<Lookup> {
        let filter = match &self.inner.options.mappings {
            Some(_) => "*.aliases,*.data_stream,*.settings,*.mappings",
            None => "*.aliases,*.data_stream,*.settings,*.mappings._meta,*.mappings._routing",
        };
        let path = format!("/{}?flat_settings=true&filter_path={filter}", setup::path_segment(name));
        let found: BTreeMap<String, Described> = match self.call(Method::GET, &path, None).await {
            Ok(answer) => answer.json()?,
            Err(SinkError::IndexMissing { .. }) => return Ok(Lookup::Missing),
            Err(error) => return Err(error),
        };
        let names = found.keys().cloned().collect();
        let mut found = found.into_iter();
        Ok(match (found.next(), found.next()) {
            (Some((name, described)), None) => Lookup::One(Box::new(IndexInfo::new(name, described))),
            (None, _) => Lookup::Missing,
            _ => Lookup::Many(names),
        })
    }
}

/// A time value as the server writes it; zero where it is negative or cannot be read.
fn time_value(text: &str) -> Duration {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at).unwrap_or((text, ""));
    let number: u64 = number.parse().unwrap_or(0);
    let seconds = |factor: u64| Duration::from_secs(number.saturating_mul(factor));
    match unit {
        "d" => seconds(86_400),
        "h" => seconds(3_600),
        "m" => seconds(60),
        "s" => seconds(1),
        "ms" => Duration::from_millis(number),
        "micros" => Duration::from_micros(number),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_values_of_the_server() {
        let seconds = |text| time_value(text).as_secs();
        assert_eq!([seconds("1h"), seconds("60s"), seconds("2m"), seconds("1d")], [3600, 60, 120, 86_400]);
        assert_eq!(time_value("500ms"), Duration::from_millis(500));
        assert_eq!([seconds("-1"), seconds(""), seconds("5nanos"), seconds("0")], [0; 4]);
        assert_eq!(IndexInfo::default().gc_deletes(), Duration::from_secs(60));
    }
}
