use serde_json::{Value, json};

use super::*;

fn shape(transforms: Value) -> Shape {
    let transforms: Vec<Transform> = serde_json::from_value(transforms).unwrap();
    Shape::new(&transforms)
}

fn apply(transforms: Value, row: &str) -> Result<Option<String>, String> {
    let mut out = Vec::new();
    match shape(transforms).apply(row.as_bytes(), &mut out) {
        Ok(Shaped::Document) => Ok(Some(String::from_utf8(out).unwrap())),
        Ok(Shaped::Skipped) => {
            assert!(out.is_empty());
            Ok(None)
        }
        Err(error) => Err(error.to_string()),
    }
}

fn document(transforms: Value, row: &str) -> String {
    apply(transforms, row).unwrap().unwrap()
}

#[test]
fn each_kind_alone() {
    for (transform, row, wanted) in [
        (json!({"splitFields": {"field": "t"}}), r#"{"t":" a; b;;c "}"#, r#"{"t":["a","b","c"]}"#),
        (
            json!({"splitFields": {"field": "t", "sep": ", ", "trim": false}}),
            r#"{"t":"a,  b"}"#,
            r#"{"t":["a"," b"]}"#,
        ),
        (json!({"splitFields": {"field": "t"}}), r#"{"t":""}"#, r#"{"t":[]}"#),
        (json!({"splitFields": {"field": "t"}}), r#"{"t":null}"#, r#"{"t":null}"#),
        (
            json!({"jsonDecodeFields": ["a", "b", "c"]}),
            r#"{"a":"{\"n\": 18446744073709551616}","b":[1],"c":"7.10"}"#,
            r#"{"a":{"n": 18446744073709551616},"b":[1],"c":7.10}"#,
        ),
        (json!({"jsonDecodeFields": ["a"]}), "{\"a\":\"[1,\\n2]\"}", r#"{"a":[1, 2]}"#),
        (json!({"rename": {"from": "a", "to": "b"}}), r#"{"a":1,"b":2,"c":3}"#, r#"{"b":1,"c":3}"#),
        (json!({"rename": {"from": "o.a", "to": "b"}}), r#"{"o":{"a":1}}"#, r#"{"o":{"b":1}}"#),
        (json!({"remove": ["a", "o.x"]}), r#"{"a":1,"o":{"x":2,"y":3}}"#, r#"{"o":{"y":3}}"#),
        (
            json!({"constant": {"field": "k", "value": {"v": [1.5, null]}}}),
            r#"{"a":1}"#,
            r#"{"a":1,"k":{"v":[1.5,null]}}"#,
        ),
        (json!({"constant": {"field": "a", "value": "x"}}), r#"{"a":1,"b":2}"#, r#"{"a":"x","b":2}"#),
        (
            json!({"dateFormat": {"field": "d", "to": "%d.%m.%y"}}),
            r#"{"d":"2026-11-21"}"#,
            r#"{"d":"21.11.26"}"#,
        ),
        (json!({"lowercase": ["a", "b"]}), r#"{"a":"ÄB","b":["X",null]}"#, r#"{"a":"äb","b":["x",null]}"#),
        (json!({"nest": {}}), r#"{"a.b":1,"c":2,"a.d.e":3}"#, r#"{"a":{"b":1,"d":{"e":3}},"c":2}"#),
        (json!({"nest": {"sep": "__"}}), r#"{"a":{"x":1},"a__b":2}"#, r#"{"a":{"x":1,"b":2}}"#),
        (
            json!({"geoPoint": {"field": "at", "lat": "la", "lon": "lo"}}),
            r#"{"la":52.5200,"lo":"13.4050","n":1}"#,
            r#"{"n":1,"at":{"lat":52.5200,"lon":13.4050}}"#,
        ),
        (
            json!({"geoPoint": {"field": "at", "lat": "la", "lon": "lo", "keep": true}}),
            r#"{"la":null,"lo":1}"#,
            r#"{"la":null,"lo":1,"at":null}"#,
        ),
    ] {
        assert_eq!(document(json!([transform]), row), wanted, "{transform}");
    }
}

#[test]
fn steps_run_in_their_order() {
    let transforms = json!([
        {"jsonDecodeFields": ["meta"]},
        {"rename": {"from": "meta.Kind", "to": "kind"}},
        {"lowercase": ["meta.kind", "loans.name"]},
        {"remove": ["id"]},
        {"splitFields": {"field": "meta.tags"}},
    ]);
    let row =
        r#"{"id":7,"meta":"{\"Kind\": \"A\", \"tags\": \"x;y\"}","loans":[{"name":"B"},{"name":null}]}"#;
    assert_eq!(
        document(transforms, row),
        r#"{"meta":{"kind":"a","tags":["x","y"]},"loans":[{"name":"b"},{"name":null}]}"#
    );
}

#[test]
fn skipped_rows_have_no_document() {
    let values = json!([{"skipWhen": {"field": "s", "values": ["gone", 0]}}]);
    for row in [r#"{"s":"gone"}"#, r#"{"s":0}"#, r#"{"s":"0"}"#] {
        assert_eq!(apply(values.clone(), row), Ok(None), "{row}");
    }
    assert!(apply(values, r#"{"s":null}"#).unwrap().is_some());
    let null = json!([{"skipWhen": {"field": "s", "isNull": true}}]);
    assert_eq!(apply(null.clone(), r#"{"s":null}"#), Ok(None));
    assert!(apply(null, r#"{"s":1}"#).unwrap().is_some());
    let not_null = json!([{"skipWhen": {"field": "s", "isNull": false}}]);
    assert_eq!(apply(not_null, r#"{"s":1}"#), Ok(None));
}

#[test]
fn bad_values_name_step_field_and_value_or_become_the_default() {
    let cases = [
        (json!({"splitFields": {"field": "f"}}), r#"{"f":7}"#, "it is no text, found 7"),
        (json!({"jsonDecodeFields": ["f"]}), r#"{"f":"{broken"}"#, "it holds no JSON"),
        (json!({"dateFormat": {"field": "f", "to": "iso"}}), r#"{"f":"soon"}"#, "no date of ISO 8601"),
        (json!({"lowercase": ["f"]}), r#"{"f":1.5}"#, "it is no text, found 1.5"),
        (json!({"lowercase": ["f"]}), r#"{"f":[1]}"#, "no list of texts"),
        (
            json!({"geoPoint": {"field": "p", "lat": "f", "lon": "g"}}),
            r#"{"f":91,"g":0}"#,
            "from -90 to 90, found 91",
        ),
    ];
    for (transform, row, words) in cases {
        let kind = transform.as_object().unwrap().keys().next().unwrap().clone();
        let error = apply(json!([{"remove": ["x"]}, transform.clone()]), row).unwrap_err();
        let head = format!("spec.transforms[1].{kind}: field \"f\": ");
        assert!(error.starts_with(&head) && error.contains(words), "{error}");
        let mut lenient = transform;
        lenient["onBad"] = json!("Default");
        lenient["default"] = json!("?");
        let made = document(json!([lenient]), row);
        assert!(made.contains("\"?\""), "{made}");
        let long = format!("{{\"f\":\"{}\"}}", "é".repeat(500));
        let error = apply(json!([{"jsonDecodeFields": ["f"]}]), &long).unwrap_err();
        assert!(error.chars().count() < 250, "{error}");
    }
    let lenient = json!([{"lowercase": ["f"], "onBad": "Default"}]);
    assert_eq!(document(lenient, r#"{"f":1}"#), r#"{"f":null}"#);
    for (row, words) in [
        (r#"{"a":1,"a.b":2}"#, "the field \"a\" is there and is no object"),
        (r#"{"a":{"b":1},"a.b":2}"#, "already"),
        (r#"{"a..b":2}"#, "a part of its name is empty"),
    ] {
        let error = apply(json!([{"nest": {}}]), row).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn names_that_nothing_has_are_found() {
    let fields: Vec<String> = ["id", "meta", "a.b"].map(str::to_owned).to_vec();
    let shape = shape(json!([
        {"rename": {"from": "meta", "to": "m"}},
        {"lowercase": ["m.kind", "meta.kind"]},
        {"nest": {}},
        {"remove": ["a", "a.b"]},
        {"constant": {"field": "k", "value": 1}},
        {"splitFields": {"field": "K"}},
        {"remove": ["k"]},
    ]));
    let found = shape.unknown_names(&fields);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0]
            .starts_with("spec.transforms[1].lowercase: \"meta.kind\" is no field here; write one of id, ")
    );
    assert!(found[1].starts_with("spec.transforms[5].splitFields.field: \"K\""), "{found:?}");
}

proptest::proptest! {
    /// Whatever a row holds, and whatever the steps make of it: no panic, and JSON on one line.
    #[test]
    fn any_row_gives_one_line_of_json(text in ".*|[\\x00-\\x7f]*", number in proptest::num::f64::NORMAL) {
        let row = json!({"f": text, "g": number, "a.b": [text], "o": {"f": text}}).to_string();
        let all = json!([
            {"splitFields": {"field": "o.f"}}, {"lowercase": ["a.b", "f"]},
            {"jsonDecodeFields": ["f"], "onBad": "Default"},
            {"dateFormat": {"field": "g", "to": "iso"}, "onBad": "Default"}, {"nest": {}},
        ]);
        let made = document(all, &row);
        proptest::prop_assert!(!made.contains('\n'));
        serde_json::from_str::<Value>(&made).unwrap();
    }
}
