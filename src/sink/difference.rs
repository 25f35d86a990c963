//! Where a live index differs from what it would be created with.

use serde_json::{Map, Value};

use super::SinkOptions;
use super::describe::IndexInfo;

/// Differences told at most.
const SHOWN: usize = 5;

/// What differs, in words; `None` where nothing does. Fields and settings that the live index has beyond are no
/// difference.
pub(super) fn difference(info: &IndexInfo, options: &SinkOptions) -> Option<String> {
    let mut found = Vec::new();
    if let Some(Value::Object(settings)) = &options.settings {
        let mut wanted = Vec::new();
        flatten("", settings, &mut wanted);
        for (name, value) in wanted {
            let name = if name.starts_with("index.") { name } else { format!("index.{name}") };
            let live = info.live_setting(&name);
            if !live.is_some_and(|live| same(live, value)) {
                found.push(words(&format!("setting {name}"), live, value));
            }
        }
    }
    if let Some(wanted) = &options.mappings {
        mappings("mappings", &info.mappings, wanted, &mut found);
    }
    for alias in options.aliases.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !info.aliases.contains(alias) {
            found.push(format!("alias {alias} is not there"));
        }
    }
    let rest = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    if rest > 0 {
        found.push(format!("and {rest} more"));
    }
    (!found.is_empty()).then(|| found.join("; "))
}

fn flatten<'v>(path: &str, settings: &'v Map<String, Value>, out: &mut Vec<(String, &'v Value)>) {
    for (name, value) in settings {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Object(inner) => flatten(&path, inner, out),
            value => out.push((path, value)),
        }
    }
}

/// Every member that is wanted, as deep as it goes. The server leaves defaults out: of a parameter that it does not
/// show, `true`, `false` and the type `object` count as such.
fn mappings(path: &str, live: &Value, wanted: &Value, found: &mut Vec<String>) {
    let Value::Object(members) = wanted else { return };
    for (name, value) in members.iter().filter(|(name, _)| *name != "_meta") {
        let path = format!("{path}.{name}");
        match (live.get(name), value) {
            (Some(live), Value::Object(_)) => mappings(&path, live, value, found),
            (Some(live), value) if same(live, value) => {}
            (None, Value::Bool(_)) => {}
            (None, Value::String(kind)) if name == "type" && kind == "object" => {}
            (None, Value::Object(inner)) if inner.is_empty() => {}
            (live, value) => found.push(words(&path, live, value)),
        }
    }
}

/// Numbers and booleans come back as texts, `100` as `100.0`, one text of a list as itself.
fn same(live: &Value, wanted: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    match (live, wanted) {
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| same(live, wanted))
        }
        (live, Value::Array(wanted)) => matches!(wanted.as_slice(), [one] if same(live, one)),
        (live, wanted) => {
            text(live) == text(wanted) || number(live).is_some_and(|n| Some(n) == number(wanted))
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn words(what: &str, live: Option<&Value>, wanted: &Value) -> String {
    let cut = |value: &Value| text(value).chars().take(80).collect::<String>();
    match live {
        Some(live) => format!("{what} is {} and not {}", cut(live), cut(wanted)),
        None => format!("{what} is not there, wanted: {}", cut(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(settings: Value, mappings: Value, aliases: Value) -> Option<String> {
        let live = json!({
            "aliases": {"all": {}},
            "settings": {"index.number_of_shards": "1", "index.refresh_interval": "5s",
                "index.analysis.filter.f.stopwords": ["a", "b"], "index.hidden": "true"},
            "mappings": {"dynamic": "strict", "properties": {
                "title": {"type": "keyword", "ignore_above": 256},
                "price": {"type": "scaled_float", "scaling_factor": 100.0},
                "o": {"properties": {"x": {"type": "long"}}}, "extra": {"type": "text"}}},
        });
        let info = IndexInfo::of("orders", live).unwrap();
        let mut options = SinkOptions::new(vec!["http://a".into()], "orders", "a/b");
        (options.settings, options.mappings, options.aliases) =
            (Some(settings), Some(mappings), Some(aliases));
        difference(&info, &options)
    }

    #[test]
    fn what_is_as_wanted_is_no_difference() {
        let settings = json!({"number_of_shards": 1, "index": {"refresh_interval": "5s", "hidden": true},
            "analysis": {"filter": {"f": {"stopwords": ["a", "b"]}}}});
        let mappings = json!({"dynamic": "strict", "_meta": {"team": 1}, "properties": {
            "title": {"type": "keyword", "index": true, "ignore_above": 256},
            "price": {"type": "scaled_float", "scaling_factor": 100},
            "o": {"type": "object", "properties": {"x": {"type": "long"}}}}});
        assert_eq!(of(settings, mappings, json!({"all": {}})), None);
        assert_eq!(of(json!({}), json!({}), json!({})), None);
    }

    #[test]
    fn differences_are_named_and_bounded() {
        let words = of(json!({"number_of_shards": 2}), json!({}), json!({"mine": {}})).unwrap();
        assert_eq!(words, "setting index.number_of_shards is 1 and not 2; alias mine is not there");
        let words = of(
            json!({}),
            json!({"properties": {"title": {"type": "text"}, "new": {"type": "long"}}}),
            json!({}),
        );
        let words = words.unwrap();
        assert!(words.contains("mappings.properties.title.type is keyword and not text"), "{words}");
        assert!(
            words.contains("mappings.properties.new is not there, wanted: {\"type\":\"long\"}"),
            "{words}"
        );
        let many: Map<String, Value> = (0..9).map(|n| (format!("s{n}"), json!(n))).collect();
        assert!(of(Value::Object(many), json!({}), json!({})).unwrap().ends_with("and 4 more"));
    }
}
