//! `crds`: the CustomResourceDefinitions as YAML.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Value;

use crate::api;

/// The CRDs by the name of their file in `crds/`.
pub fn files() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let file = |(name, crd): (&str, Value)| {
        let yaml = serde_saphyr::to_string(&Plain(&crd))?;
        Ok((
            format!("{name}.yaml"),
            format!("# Written by `binlog-operator crds`; see CONTRIBUTING.md.\n{yaml}"),
        ))
    };
    api::crds().into_iter().map(file).collect()
}

/// All of them in one text.
pub(super) fn text() -> Result<String, serde_saphyr::ser::Error> {
    let files = files()?.into_iter().map(|(_, text)| format!("---\n{text}"));
    Ok(files.collect())
}

/// JSON as YAML.
pub(super) fn yaml(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&Plain(value))
}

/// A JSON value for serializers other than serde_json's: with exact numbers on, those would see a number as a
/// map. Whole floats (bounds) are written as integers.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::String(text) => serializer.serialize_str(text),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(integer), _) => serializer.serialize_i64(integer),
                (None, Some(float)) if float.fract() == 0.0 => serializer.serialize_i64(float as i64),
                (None, float) => serializer.serialize_f64(float.unwrap_or_default()),
            },
            Value::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| seq.serialize_element(&Plain(item)))?;
                seq.end()
            }
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, value)| map.serialize_entry(name, &Plain(value)))?;
                map.end()
            }
        }
    }
}
