//! Mappings for an index, proposed from the types of the query's columns and what the transforms make of them.

use serde_json::{Map, Value, json};

use crate::api::{BinaryAs, DateFormat, DecimalAs, GeometryAs, Transform, Types};
use crate::source::{ResultColumn, ResultKind};

/// Texts of up to so many characters are proposed as keywords, longer ones as text.
const KEYWORD: u32 = 512;

/// A mapping for each field that has one type for sure. What is in JSON is left to the index, which learns it from the
/// documents.
pub(super) fn mappings(columns: &[ResultColumn], types: &Types, transforms: &[Transform]) -> Value {
    let mut fields: Vec<(String, Option<Value>)> = Vec::new();
    for column in columns {
        put(&mut fields, &column.name, field(column.kind, types));
    }
    for transform in transforms {
        transformed(&mut fields, transform);
    }
    let properties: Map<String, Value> =
        fields.into_iter().filter_map(|(name, field)| Some((name, field?))).collect();
    json!({"properties": properties})
}

fn field(kind: ResultKind, types: &Types) -> Option<Value> {
    let of = |name: &str| Some(json!({"type": name}));
    match kind {
        ResultKind::Integer { bytes, unsigned } => of(match (bytes, unsigned) {
            (1, false) => "byte",
            (1, true) | (2, false) => "short",
            (2, true) | (4, false) => "integer",
            (4, true) | (8, false) => "long",
            _ => "unsigned_long",
        }),
        ResultKind::Bit => of("unsigned_long"),
        ResultKind::Float => of("float"),
        ResultKind::Decimal { .. } if types.decimal == DecimalAs::String => of("keyword"),
        // a long holds 18 digits
        ResultKind::Decimal { digits, scale } if digits <= 18 && scale > 0 => {
            Some(json!({"type": "scaled_float", "scaling_factor": 10_u64.pow(u32::from(scale.min(18)))}))
        }
        ResultKind::Decimal { digits, scale: 0 } if digits <= 18 => of("long"),
        ResultKind::Double | ResultKind::Decimal { .. } => of("double"),
        ResultKind::Text { length } if length > KEYWORD => of("text"),
        ResultKind::Text { .. } | ResultKind::Word | ResultKind::Time => of("keyword"),
        ResultKind::Bytes if types.binary == BinaryAs::Hex => of("keyword"),
        ResultKind::Bytes => of("binary"),
        ResultKind::Json => None,
        ResultKind::Vector { dimensions } => Some(json!({"type": "dense_vector", "dims": dimensions})),
        ResultKind::Date => of("date"),
        ResultKind::DateTime { digits } => of(if digits > 3 { "date_nanos" } else { "date" }),
        ResultKind::Geometry => match types.geometry {
            GeometryAs::GeoJson | GeometryAs::Wkt => of("geo_shape"),
        },
    }
}

fn put(fields: &mut Vec<(String, Option<Value>)>, name: &str, field: Option<Value>) {
    match fields.iter_mut().find(|(n, _)| n == name) {
        Some((_, old)) => *old = field,
        None => fields.push((name.to_owned(), field)),
    }
}

fn transformed(fields: &mut Vec<(String, Option<Value>)>, transform: &Transform) {
    let of = |name: &str| Some(json!({"type": name}));
    if let Some(split) = &transform.split_fields {
        retype(fields, &split.field, of("keyword"));
    }
    for name in transform.json_decode_fields.iter().flatten() {
        retype(fields, name, None);
    }
    if let Some(rename) = &transform.rename
        && let Some(at) = fields.iter().position(|(name, _)| *name == rename.from)
    {
        let (_, field) = fields.remove(at);
        put(fields, &rename.to, field);
    }
    for name in transform.remove.iter().flatten() {
        fields.retain(|(n, _)| n != name);
    }
    if let Some(constant) = &transform.constant {
        put(fields, &constant.field, constant_field(&constant.value));
    }
    if let Some(date) = &transform.date_format {
        retype(fields, &date.field, Some(date_field(date)));
    }
    if let Some(geo) = &transform.geo_point {
        if !geo.keep {
            fields.retain(|(name, _)| *name != geo.lat && *name != geo.lon);
        }
        put(fields, &geo.field, of("geo_point"));
    }
    if let Some(nest) = &transform.nest {
        let flat = std::mem::take(fields);
        for (name, field) in flat {
            let path: Vec<&str> = name.split(nest.sep.as_str()).collect();
            insert(fields, &path, field);
        }
    }
}

fn retype(fields: &mut [(String, Option<Value>)], name: &str, field: Option<Value>) {
    if let Some((_, old)) = fields.iter_mut().find(|(n, _)| n == name) {
        *old = field;
    }
}

fn constant_field(value: &Value) -> Option<Value> {
    let name = match value {
        Value::String(_) => "keyword",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "long",
        Value::Number(_) => "double",
        _ => return None,
    };
    Some(json!({"type": name}))
}

fn date_field(date: &DateFormat) -> Value {
    match date.to.as_str() {
        "iso" => json!({"type": "date"}),
        "epochMillis" => json!({"type": "date", "format": "epoch_millis"}),
        "epochSeconds" => json!({"type": "date", "format": "epoch_second"}),
        _ => json!({"type": "keyword"}),
    }
}

/// A field of an object within objects.
fn insert(fields: &mut Vec<(String, Option<Value>)>, path: &[&str], field: Option<Value>) {
    let Some((head, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        return put(fields, head, field);
    }
    let Some(field) = field else { return };
    if !fields.iter().any(|(name, _)| name == head) {
        fields.push(((*head).to_owned(), Some(json!({}))));
    }
    let Some((_, Some(object))) = fields.iter_mut().find(|(name, _)| name == head) else { return };
    let inner = rest.iter().rev().fold(field, |inner, name| json!({"properties": {*name: inner}}));
    merge(object, inner);
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                match into.get_mut(&name) {
                    Some(old) => merge(old, value),
                    None => {
                        into.insert(name, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_types_and_transforms() {
        let column = |name: &str, kind| ResultColumn { name: name.into(), kind };
        let columns = [
            column("id", ResultKind::Integer { bytes: 8, unsigned: true }),
            column("price", ResultKind::Decimal { digits: 12, scale: 2 }),
            column("huge", ResultKind::Decimal { digits: 40, scale: 10 }),
            column("title", ResultKind::Text { length: 200 }),
            column("tags", ResultKind::Text { length: 4_000 }),
            column("meta", ResultKind::Text { length: 4_000 }),
            column("doc", ResultKind::Json),
            column("at", ResultKind::DateTime { digits: 6 }),
            column("lat", ResultKind::Double),
            column("lon", ResultKind::Double),
            column("a.x", ResultKind::Word),
            column("a.y.z", ResultKind::Time),
            column("v", ResultKind::Vector { dimensions: 3 }),
        ];
        let transforms: Vec<Transform> = serde_json::from_value(json!([
            {"splitFields": {"field": "tags"}}, {"jsonDecodeFields": ["meta"]},
            {"rename": {"from": "title", "to": "name"}}, {"remove": ["huge"]},
            {"constant": {"field": "kind", "value": "book"}},
            {"dateFormat": {"field": "at", "to": "epochMillis"}},
            {"geoPoint": {"field": "place", "lat": "lat", "lon": "lon"}}, {"nest": {}},
        ]))
        .unwrap();
        let made = mappings(&columns, &Types::default(), &transforms);
        assert_eq!(
            made,
            json!({"properties": {
                "id": {"type": "unsigned_long"}, "price": {"type": "scaled_float", "scaling_factor": 100},
                "name": {"type": "keyword"}, "tags": {"type": "keyword"}, "kind": {"type": "keyword"},
                "at": {"type": "date", "format": "epoch_millis"}, "place": {"type": "geo_point"},
                "a": {"properties": {"x": {"type": "keyword"}, "y": {"properties": {"z": {"type": "keyword"}}}}},
                "v": {"type": "dense_vector", "dims": 3},
            }})
        );
    }
}
