//! Which fields a row has after each transform: names that nothing has are found before the start.

use super::Shape;
use crate::api::Transform;

impl Shape {
    /// Transforms that name a field which a row with these fields cannot have at that step: one line each, with
    /// what to do.
    pub fn unknown_names(&self, fields: &[String]) -> Vec<String> {
        let mut names = fields.to_vec();
        let mut found = Vec::new();
        for (number, transform) in self.transforms.iter().enumerate() {
            for (member, name) in used(transform) {
                if !known(&names, name) {
                    let there = names.join(", ");
                    found.push(format!(
                        "spec.transforms[{number}].{member}: {name:?} is no field here; write one of {there}"
                    ));
                }
            }
            change(&mut names, transform);
        }
        found
    }

    /// The fields that documents of rows with these fields have.
    pub(super) fn names(&self, fields: &[String]) -> Vec<String> {
        let mut names = fields.to_vec();
        for transform in &self.transforms {
            change(&mut names, transform);
        }
        names
    }
}

/// A field of that name, or one that a path may lead into.
fn known(names: &[String], name: &str) -> bool {
    let heads = name.match_indices('.').filter_map(|(at, _)| name.get(..at));
    names.iter().any(|n| n == name) || heads.into_iter().any(|head| names.iter().any(|n| n == head))
}

fn used(transform: &Transform) -> Vec<(&'static str, &str)> {
    let t = transform;
    let mut used = Vec::new();
    used.extend(t.split_fields.iter().map(|s| ("splitFields.field", s.field.as_str())));
    used.extend(t.json_decode_fields.iter().flatten().map(|n| ("jsonDecodeFields", n.as_str())));
    used.extend(t.rename.iter().map(|r| ("rename.from", r.from.as_str())));
    used.extend(t.remove.iter().flatten().map(|n| ("remove", n.as_str())));
    used.extend(t.date_format.iter().map(|d| ("dateFormat.field", d.field.as_str())));
    used.extend(t.lowercase.iter().flatten().map(|n| ("lowercase", n.as_str())));
    used.extend(
        t.geo_point.iter().flat_map(|g| [("geoPoint.lat", g.lat.as_str()), ("geoPoint.lon", g.lon.as_str())]),
    );
    used.extend(t.skip_when.iter().map(|s| ("skipWhen.field", s.field.as_str())));
    used
}

/// The names after the transform.
fn change(names: &mut Vec<String>, transform: &Transform) {
    let add = |names: &mut Vec<String>, name: &str| {
        if !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    };
    if let Some(rename) = &transform.rename
        && names.contains(&rename.from)
    {
        names.retain(|name| *name != rename.from);
        add(names, &rename.to);
    }
    for name in transform.remove.iter().flatten() {
        names.retain(|n| n != name);
    }
    if let Some(constant) = &transform.constant {
        add(names, &constant.field);
    }
    if let Some(geo) = &transform.geo_point {
        if !geo.keep {
            names.retain(|name| *name != geo.lat && *name != geo.lon);
        }
        add(names, &geo.field);
    }
    if let Some(nest) = &transform.nest {
        let heads: Vec<String> = names
            .iter()
            .map(|name| name.split_once(nest.sep.as_str()).map_or(name.as_str(), |(head, _)| head).to_owned())
            .collect();
        names.clear();
        for head in &heads {
            add(names, head);
        }
    }
}
