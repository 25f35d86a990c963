//! What must hold within `spec.transforms` and `spec.types`.

use super::{DateFormat, Finding, OnBad, SyncTaskSpec, Transform, Zone};

/// Everything that does not hold.
pub(super) fn transforms(spec: &SyncTaskSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, transform) in spec.transforms.iter().enumerate() {
        findings.extend(of(&format!("spec.transforms[{i}]"), transform));
    }
    findings.extend(zone("spec.types.timestampZone", spec.types.timestamp_zone.as_deref()));
    findings
}

fn of(field: &str, transform: &Transform) -> Vec<Finding> {
    let mut findings = Vec::new();
    let kinds = transform.kinds();
    if kinds.len() != 1 {
        let found = if kinds.is_empty() {
            "no transform".to_owned()
        } else {
            format!("found {}", kinds.join(" and "))
        };
        let remedy = "give exactly one kind in each entry of the list";
        findings.push(Finding::new(field, found, remedy));
    }
    if transform.default.is_some() && transform.on_bad != OnBad::Default {
        let found = "a default is given, but bad values become dead letters";
        findings.push(Finding::new(format!("{field}.default"), found, "say onBad: Default, or remove it"));
    }
    if let Some(date) = &transform.date_format {
        findings.extend(dates(&format!("{field}.dateFormat"), date));
    }
    if let Some(skip) = &transform.skip_when
        && skip.values.is_some() == skip.is_null.is_some()
    {
        let both = skip.values.is_some();
        let found =
            if both { "both values and isNull are given" } else { "neither values nor isNull is given" };
        findings.push(Finding::new(format!("{field}.skipWhen"), found, "give one of values and isNull"));
    }
    findings
}

fn dates(field: &str, date: &DateFormat) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, pattern) in [("from", date.from.as_deref()), ("to", Some(date.to.as_str()))] {
        let Some(pattern) =
            pattern.filter(|pattern| !["iso", "epochSeconds", "epochMillis"].contains(pattern))
        else {
            continue;
        };
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        let wrong = match jiff::fmt::strtime::format(pattern, &sample) {
            Ok(text) if text == pattern => Some("it has no %".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(wrong) = wrong {
            let found = format!("found {pattern:?}: {wrong}");
            let remedy = "write a pattern such as %Y-%m-%d, iso, epochSeconds or epochMillis";
            findings.push(Finding::new(format!("{field}.{name}"), found, remedy));
        }
    }
    findings.extend(zone(&format!("{field}.zone"), date.zone.as_deref()));
    findings
}

fn zone(field: &str, zone: Option<&str>) -> Option<Finding> {
    let wrong = Zone::read(zone?).err()?;
    Some(Finding::new(field, wrong, "write a name such as Europe/Berlin, or an offset such as +05:30"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::rules::tests::{cel, fields, with};
    use super::super::{SyncTask, Transform};

    fn every_kind() -> Value {
        json!([
            {"splitFields": {"field": "tags", "sep": ";", "trim": true}},
            {"jsonDecodeFields": ["meta"], "onBad": "Default", "default": {"a": [1, null]}},
            {"rename": {"from": "a", "to": "b"}},
            {"remove": ["a", "b"]},
            {"constant": {"field": "k", "value": [1, "x", {"y": null}]}},
            {"dateFormat": {"field": "d", "from": "%d.%m.%Y", "to": "epochMillis", "zone": "Europe/Berlin"}},
            {"lowercase": ["a"]},
            {"nest": {}},
            {"geoPoint": {"field": "p", "lat": "la", "lon": "lo"}},
            {"skipWhen": {"field": "s", "values": [1, "x"]}},
            {"skipWhen": {"field": "s", "isNull": true}},
        ])
    }

    #[test]
    fn every_kind_passes_both_judges() {
        let mut spec = with("/transforms", every_kind());
        spec["types"] = json!({"decimal": "String", "binary": "Hex", "geometry": "Wkt", "zeroDates": "Text",
            "timestampZone": "+05:30"});
        spec["sink"]["elasticsearch"]["create"] = json!({"settings": {"number_of_shards": 1}, "mappings": {"properties": {}}, "aliases": {"a": {}}});
        assert_eq!(fields::<SyncTask>("SyncTask", &spec), [""; 0]);
        let (ours, theirs) = cel::<SyncTask>("SyncTask", &spec);
        assert!(ours.is_empty() && theirs.is_empty(), "{ours:?} {theirs}");
        let transforms: Vec<Transform> = serde_json::from_value(every_kind()).unwrap();
        assert!(transforms.iter().all(|transform| transform.kinds().len() == 1));
    }

    /// The third: whether the rule can be written in CEL (a member of any type is unknown to it).
    #[test]
    fn what_does_not_hold_is_named() {
        for (transform, expected, in_cel) in [
            (json!({}), "spec.transforms[0]: no transform; give exactly one", true),
            (json!({"remove": ["a"], "nest": {}}), "spec.transforms[0]: found remove and nest", true),
            (json!({"remove": ["a"], "default": 1}), "spec.transforms[0].default: a default is given", false),
            (json!({"skipWhen": {"field": "a"}}), "spec.transforms[0].skipWhen: neither values", true),
            (
                json!({"skipWhen": {"field": "a", "values": [1], "isNull": true}}),
                "spec.transforms[0].skipWhen: both values",
                true,
            ),
            (
                json!({"dateFormat": {"field": "a", "to": "%Y-%"}}),
                "spec.transforms[0].dateFormat.to: found",
                false,
            ),
            (
                json!({"dateFormat": {"field": "a", "to": "ISO"}}),
                "spec.transforms[0].dateFormat.to: found",
                false,
            ),
            (
                json!({"dateFormat": {"field": "a", "to": "iso", "zone": "Mars"}}),
                "spec.transforms[0].dateFormat.zone: \"Mars\" is no time zone",
                false,
            ),
        ] {
            let spec = with("/transforms", json!([transform]));
            let found = fields::<SyncTask>("SyncTask", &spec);
            assert!(found.iter().any(|f| f.starts_with(expected)), "{transform}: {found:#?}");
            let (ours, theirs) = cel::<SyncTask>("SyncTask", &spec);
            assert!(!ours.is_empty() && theirs.is_empty() != in_cel, "{transform}: {ours:?}, CEL {theirs:?}");
        }
        for (value, expected) in [
            (json!([{"remove": []}]), "spec.transforms[0].remove: empty"),
            (
                json!([{"lowerCase": ["a"]}]),
                "spec.transforms[0].lowerCase: unknown field; did you mean \"lowercase\"?",
            ),
            (json!([{"rename": {"from": "a"}}]), "spec.transforms[0].rename.to: missing"),
        ] {
            let found = fields::<SyncTask>("SyncTask", &with("/transforms", value));
            assert!(found.iter().any(|f| f.starts_with(expected)), "{found:#?}");
        }
        let found = fields::<SyncTask>("SyncTask", &with("/types/timestampZone", json!("+5")));
        assert!(found[0].starts_with("spec.types.timestampZone: \"+5\" is no time zone"), "{found:?}");
    }
}
