//! `spec.transforms` and `spec.types`: what becomes of a row's values on their way into a document.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::KeyText;

/// One step from row to document: exactly one of its kinds. Steps run in the order of the list. A field with
/// dots that is no field of that name is a path into objects, and into each element of arrays.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.splitFields), has(self.jsonDecodeFields), has(self.rename), has(self.remove), has(self.constant), has(self.dateFormat), has(self.lowercase), has(self.nest), has(self.geoPoint), has(self.skipWhen)].filter(x, x).size() == 1")
    .message("exactly one kind of transform must be given"))]
pub struct Transform {
    /// A text becomes a list of texts; empty parts are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_fields: Option<SplitFields>,
    /// Texts that hold JSON become what they hold. What is an object or a list already stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 256)))]
    pub json_decode_fields: Option<Vec<String>>,
    /// A field gets another name, and takes the place of a field that had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<Rename>,
    /// These fields are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 256)))]
    pub remove: Option<Vec<String>>,
    /// A field with the same value in every document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<Constant>,
    /// A date is written in another form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_format: Option<DateFormat>,
    /// Texts, and lists of texts, become lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 256)))]
    pub lowercase: Option<Vec<String>>,
    /// Names with separators become objects: `address.city` goes into the object `address` as `city`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nest: Option<Nest>,
    /// Latitude and longitude become one field for a geo_point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo_point: Option<GeoPoint>,
    /// Rows that have no document: as if the query did not return them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_when: Option<SkipWhen>,
    /// What becomes of a value that the step cannot read.
    #[serde(default)]
    pub on_bad: OnBad,
    /// The value instead, with onBad: Default; null where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub default: Option<Value>,
}

/// What becomes of a bad value.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum OnBad {
    /// The document becomes a dead letter.
    #[default]
    DeadLetter,
    /// The step's default takes its place.
    Default,
}

/// Splits a text.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SplitFields {
    /// The field.
    #[schemars(length(min = 1, max = 256))]
    pub field: String,
    /// What stands between two parts.
    #[serde(default = "semicolon")]
    #[schemars(length(min = 1, max = 64))]
    pub sep: String,
    /// Whether white space around parts is left out.
    #[serde(default = "yes")]
    pub trim: bool,
}

fn semicolon() -> String {
    ";".to_owned()
}

fn yes() -> bool {
    true
}

/// Renames a field.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rename {
    /// The field.
    #[schemars(length(min = 1, max = 256))]
    pub from: String,
    /// Its new name, in the same object.
    #[schemars(length(min = 1, max = 256))]
    pub to: String,
}

/// Adds a field.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Constant {
    /// The field; it takes the place of one of that name.
    #[schemars(length(min = 1, max = 256))]
    pub field: String,
    /// Its value: any JSON.
    #[schemars(schema_with = "any")]
    pub value: Value,
}

/// Writes a date in another form.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DateFormat {
    /// The field.
    #[schemars(length(min = 1, max = 256))]
    pub field: String,
    /// The form it has: a pattern of strptime, `epochSeconds` or `epochMillis`; without it ISO 8601, as dates
    /// of MySQL come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub from: Option<String>,
    /// The form it gets: a pattern of strftime (`%Y-%m-%d`), `iso`, `epochSeconds` or `epochMillis`.
    #[schemars(length(min = 1, max = 256))]
    pub to: String,
    /// The zone of dates that say none, and in which dates are written: a name such as `Europe/Berlin`, or
    /// `+05:30`; without it UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub zone: Option<String>,
}

/// Makes objects of names.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nest {
    /// What stands between two names.
    #[serde(default = "dot")]
    #[schemars(length(min = 1, max = 16))]
    pub sep: String,
}

fn dot() -> String {
    ".".to_owned()
}

/// Makes a geo_point.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeoPoint {
    /// The new field: `{"lat": ..., "lon": ...}`, or null where one of both is null.
    #[schemars(length(min = 1, max = 256))]
    pub field: String,
    /// The field with the latitude.
    #[schemars(length(min = 1, max = 256))]
    pub lat: String,
    /// The field with the longitude.
    #[schemars(length(min = 1, max = 256))]
    pub lon: String,
    /// Whether both fields stay.
    #[serde(default)]
    pub keep: bool,
}

/// Which rows have no document.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.values) != has(self.isNull)")
    .message("exactly one of values and isNull must be given"))]
pub struct SkipWhen {
    /// The field.
    #[schemars(length(min = 1, max = 256))]
    pub field: String,
    /// Rows whose field is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub values: Option<Vec<KeyText>>,
    /// True: rows whose field is null; false: rows whose field is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_null: Option<bool>,
}

/// How MySQL's types become JSON.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Types {
    /// DECIMAL.
    #[serde(default)]
    pub decimal: DecimalAs,
    /// BINARY, VARBINARY, BLOB.
    #[serde(default)]
    pub binary: BinaryAs,
    /// GEOMETRY and its kinds.
    #[serde(default)]
    pub geometry: GeometryAs,
    /// Dates with a zero part, such as 0000-00-00.
    #[serde(default)]
    pub zero_dates: ZeroDates,
    /// The zone in which TIMESTAMP is written: a name such as `Europe/Berlin`, or `+05:30`; without it UTC,
    /// written as `Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub timestamp_zone: Option<String>,
}

/// DECIMAL in JSON.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum DecimalAs {
    /// A number with all its digits.
    #[default]
    Number,
    /// A text: for readers that make doubles of numbers.
    String,
}

/// Binary strings in JSON.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum BinaryAs {
    /// Base64 with padding: what the type `binary` of an index takes.
    #[default]
    Base64,
    /// Lower-case hexadecimal digits.
    Hex,
}

/// Geometries in JSON.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum GeometryAs {
    /// An object of GeoJSON.
    #[default]
    GeoJson,
    /// Well-known text.
    Wkt,
}

/// Dates with a zero part in JSON.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum ZeroDates {
    /// null.
    #[default]
    Null,
    /// Their text, as it is.
    Text,
    /// The document becomes a dead letter.
    DeadLetter,
}

impl Transform {
    /// The kinds that are given; one, where the checks passed.
    pub fn kinds(&self) -> Vec<&'static str> {
        [
            ("splitFields", self.split_fields.is_some()),
            ("jsonDecodeFields", self.json_decode_fields.is_some()),
            ("rename", self.rename.is_some()),
            ("remove", self.remove.is_some()),
            ("constant", self.constant.is_some()),
            ("dateFormat", self.date_format.is_some()),
            ("lowercase", self.lowercase.is_some()),
            ("nest", self.nest.is_some()),
            ("geoPoint", self.geo_point.is_some()),
            ("skipWhen", self.skip_when.is_some()),
        ]
        .into_iter()
        .filter_map(|(kind, given)| given.then_some(kind))
        .collect()
    }
}

/// Any JSON value.
fn any(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}
