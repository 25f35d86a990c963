//! A manifest: a file, JSON or YAML, that lists binlog files and where they lie.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::link::Link;
use super::listing::{Entry, Listing};
use super::moment;
use super::s3::{Object, S3Store};
use crate::trace::TraceError;

/// What an entry may say.
const FIELDS: [&str; 5] = ["name", "url", "size", "startTime", "endTime"];

impl Listing {
    /// The files of a manifest. `store` is asked for objects, where a URL is `s3://`; it may fail for want of keys.
    pub fn manifest(
        path: &Path,
        store: impl FnOnce() -> Result<S3Store, TraceError>,
    ) -> Result<Self, TraceError> {
        let shown = format!("--manifest {}", path.display());
        let text = std::fs::read_to_string(path).map_err(TraceError::io(format!("read {shown}")))?;
        let failed = |why: String| TraceError::Option(format!("{shown}: {why}"));
        let list = list(&text).map_err(&failed)?;
        let mut store = Store::Unasked(Some(store));
        let mut entries = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            let entry = entry(item).map_err(|why| failed(format!("entry {}: {why}", index + 1)))?;
            let link = match entry.url {
                Address::Http(url) => Link::Url(url.into()),
                Address::S3 { bucket, key } => {
                    Link::Object(Arc::new(Object::new(store.get()?, bucket, key.to_owned())))
                }
            };
            entries.push(Entry {
                name: entry.name,
                link,
                size: entry.size,
                start: entry.start,
                end: entry.end,
            });
        }
        Ok(Self::new(shown, entries))
    }
}

/// A store that is made when the first object is met.
enum Store<F> {
    Unasked(Option<F>),
    There(Arc<S3Store>),
}

impl<F: FnOnce() -> Result<S3Store, TraceError>> Store<F> {
    fn get(&mut self) -> Result<Arc<S3Store>, TraceError> {
        if let Self::Unasked(make) = self
            && let Some(make) = make.take()
        {
            *self = Self::There(Arc::new(make()?));
        }
        match self {
            Self::There(store) => Ok(Arc::clone(store)),
            Self::Unasked(_) => Err(TraceError::Option("the object store could not be set up".into())),
        }
    }
}

/// The entries. Messages quote nothing: links are signed.
fn list(text: &str) -> Result<Vec<Value>, String> {
    const FORM: &str = "write a list of {name, url, size, startTime, endTime}";
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
    };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |place| place.line());
        format!("line {line}: it is neither YAML nor JSON, or says something twice; {FORM}")
    })?;
    match value {
        Value::Array(list) => Ok(list),
        _ => Err(format!("it is no list; {FORM}")),
    }
}

enum Address<'u> {
    Http(&'u str),
    S3 { bucket: &'u str, key: &'u str },
}

struct Parsed<'u> {
    name: String,
    url: Address<'u>,
    size: Option<u64>,
    start: Option<u64>,
    end: Option<u64>,
}

fn entry(item: &Value) -> Result<Parsed<'_>, String> {
    let Value::Object(fields) = item else { return Err("it is no object with name and url".into()) };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let plain = unknown.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let shown = if plain { unknown.as_str() } else { "a field" };
        return Err(format!("{shown} is not known; there are {}", FIELDS.join(", ")));
    }
    let url = text(fields, "url")?.ok_or("url is missing")?;
    let url = match url.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() => Address::Http(url),
        Some(("s3", rest)) => match rest.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Address::S3 { bucket, key },
            _ => return Err("url: write s3://bucket/key".into()),
        },
        _ => return Err("url: write https://..., http://... or s3://bucket/key".into()),
    };
    let name = match text(fields, "name")? {
        Some(name) if !name.is_empty() && !name.contains('/') => name.to_owned(),
        Some(_) => {
            return Err("name: write the file's name without a folder, for example mysql-bin.000012".into());
        }
        None => {
            return Err("name is missing: the file's name on its server, for example mysql-bin.000012".into());
        }
    };
    let size = match fields.get("size") {
        None | Some(Value::Null) => None,
        Some(size) => Some(size.as_u64().ok_or("size: write a whole number of bytes")?),
    };
    let (start, end) = (time(fields, "startTime")?, time(fields, "endTime")?);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err("endTime is before startTime".into());
    }
    Ok(Parsed { name, url, size, start, end })
}

fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<Option<&'f str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} is no text; put it in quotes")),
    }
}

fn time(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    let time = moment::micros(text);
    time.map(Some).ok_or_else(|| format!("{name}: write for example 2026-11-21T14:05:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<String, String> {
        let list = list(text)?;
        let parsed = entry(&list[0])?;
        let url = match parsed.url {
            Address::Http(url) => url.to_owned(),
            Address::S3 { bucket, key } => format!("{bucket} {key}"),
        };
        Ok(format!("{} {url} {:?} {:?} {:?}", parsed.name, parsed.size, parsed.start, parsed.end))
    }

    #[test]
    fn yaml_and_json_are_read() {
        assert_eq!(
            one("- name: b.1\n  url: https://x/b.1?s=%2B\n  size: 12\n  startTime: 2026-11-21T14:05:00Z\n"),
            Ok("b.1 https://x/b.1?s=%2B Some(12) Some(1795269900000000) None".to_owned())
        );
        assert_eq!(
            one(r#"[{"name": "b.1", "url": "s3://k/a/b", "size": null, "endTime": "1970-01-01 00:00:01"}]"#),
            Ok("b.1 k a/b None None Some(1000000)".to_owned())
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_quoted() {
        for (text, expected) in [
            ("{hunter2", "neither YAML nor JSON"),
            ("files: []", "it is no list"),
            ("- hunter2", "it is no object"),
            ("- {name: b.1}", "url is missing"),
            ("- {url: 'http://x/hunter2'}", "name is missing"),
            ("- {name: b.1, url: 'ftp://x/hunter2'}", "url: write https://"),
            ("- {name: b.1, url: 's3://x'}", "url: write s3://bucket/key"),
            ("- {name: a/b.1, url: 'http://x'}", "name: write the file's name without a folder"),
            ("- {name: 12, url: 'http://x'}", "name is no text"),
            ("- {name: b.1, url: 'http://x', size: -1}", "size: write a whole number"),
            ("- {name: b.1, url: 'http://x', size: 1.5}", "size: write a whole number"),
            ("- {name: b.1, url: 'http://x', starttime: x}", "starttime is not known"),
            ("- {name: b.1, url: 'http://x', startTime: hunter2}", "startTime: write for example"),
            (
                "- {name: b.1, url: 'http://x', startTime: '2026-01-02 00:00:00', endTime: '2026-01-01 00:00:00'}",
                "endTime is before startTime",
            ),
            ("- {name: b.1, name: b.2, url: 'http://x/hunter2'}", "line 1"),
        ] {
            let error = one(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
