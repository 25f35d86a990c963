//! The steps, one after the other.

use super::dates::Dates;
use super::fields::{self, Fields, Node, at};
use super::nest::nest;
use super::values;
use crate::api::{GeoPoint, OnBad, Rename, SkipWhen, SplitFields, Transform};

/// The transforms of a task.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    steps: Vec<Step>,
    pub(super) transforms: Vec<Transform>,
}

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shaped {
    /// A document.
    Document,
    /// It has none.
    Skipped,
}

/// A value that a transform cannot read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("spec.transforms[{step}].{kind}: field {field:?}: {reason}, found {found}")]
pub struct BadValue {
    /// The transform, counted from 0.
    pub step: usize,
    /// Its kind.
    pub kind: &'static str,
    /// The field.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// The value's JSON, cut.
    pub found: String,
}

/// A transform, ready to run.
#[derive(Clone, Debug)]
struct Step {
    kind: &'static str,
    doing: Doing,
    /// JSON instead of a bad value; `None`: the row becomes a dead letter.
    instead: Option<String>,
}

#[derive(Clone, Debug)]
enum Doing {
    Split(SplitFields),
    JsonDecode(Vec<String>),
    Rename(Rename),
    Remove(Vec<String>),
    Constant(String, String),
    Date(String, Dates),
    Lowercase(Vec<String>),
    Nest(String),
    Geo(GeoPoint),
    Skip(SkipWhen, Vec<String>),
}

/// What is wrong with a field: its name, why, its JSON.
type Fault = (String, String, String);

impl Shape {
    /// Compiles transforms that have passed the checks of the spec.
    pub fn new(transforms: &[Transform]) -> Self {
        let steps = transforms.iter().filter_map(step).collect();
        Self { steps, transforms: transforms.to_vec() }
    }

    /// What it was made of.
    pub fn transforms(&self) -> &[Transform] {
        &self.transforms
    }

    /// True where rows are documents as they are.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Appends the document of a row. On an error, and where it is skipped, `out` holds nothing of it.
    ///
    /// # Errors
    /// The first bad value.
    pub fn apply(&self, row: &[u8], out: &mut Vec<u8>) -> Result<Shaped, BadValue> {
        let bad = |step: usize, kind, (field, reason, found): Fault| {
            let found = if found.chars().count() > 60 {
                found.chars().take(60).chain("...".chars()).collect()
            } else {
                found
            };
            BadValue { step, kind, field, reason, found }
        };
        let Some(mut fields) = std::str::from_utf8(row).ok().and_then(fields::parse) else {
            return Err(bad(0, "row", (String::new(), "no JSON object".to_owned(), String::new())));
        };
        for (number, step) in self.steps.iter().enumerate() {
            match step.run(fields) {
                Ok(Some(next)) => fields = next,
                Ok(None) => return Ok(Shaped::Skipped),
                Err(fault) => return Err(bad(number, step.kind, fault)),
            }
        }
        fields::write(&fields, out);
        Ok(Shaped::Document)
    }
}

fn step(transform: &Transform) -> Option<Step> {
    let t = transform;
    let doing = t
        .split_fields
        .clone()
        .map(Doing::Split)
        .or_else(|| t.json_decode_fields.clone().map(Doing::JsonDecode))
        .or_else(|| t.rename.clone().map(Doing::Rename))
        .or_else(|| t.remove.clone().map(Doing::Remove))
        .or_else(|| t.constant.as_ref().map(|c| Doing::Constant(c.field.clone(), c.value.to_string())))
        .or_else(|| t.date_format.as_ref().map(|d| Doing::Date(d.field.clone(), Dates::new(d))))
        .or_else(|| t.lowercase.clone().map(Doing::Lowercase))
        .or_else(|| t.nest.as_ref().map(|n| Doing::Nest(n.sep.clone())))
        .or_else(|| t.geo_point.clone().map(Doing::Geo))
        .or_else(|| {
            t.skip_when.clone().map(|skip| {
                let values = skip.values.iter().flatten().map(ToString::to_string).collect();
                Doing::Skip(skip, values)
            })
        })?;
    let instead = (t.on_bad == OnBad::Default)
        .then(|| t.default.as_ref().map_or_else(|| "null".to_owned(), ToString::to_string));
    Some(Step { kind: t.kinds().first().copied().unwrap_or_default(), doing, instead })
}

impl Step {
    /// The fields after this step; `None` where the row has no document.
    fn run<'a>(&self, mut fields: Fields<'a>) -> Result<Option<Fields<'a>>, Fault> {
        match &self.doing {
            Doing::Split(split) => self.values(&mut fields, std::slice::from_ref(&split.field), |json| {
                values::split(json, &split.sep, split.trim)
            })?,
            Doing::JsonDecode(names) => self.values(&mut fields, names, values::decode)?,
            Doing::Lowercase(names) => self.values(&mut fields, names, values::lowercase)?,
            Doing::Date(name, dates) => {
                self.values(&mut fields, std::slice::from_ref(name), |json| dates.convert(json))?;
            }
            Doing::Rename(rename) => at::<Fault>(&mut fields, &rename.from, &mut |fields, from| {
                change_name(fields, from, &rename.to);
                Ok(())
            })?,
            Doing::Remove(names) => {
                for name in names {
                    at::<Fault>(&mut fields, name, &mut |fields, name| {
                        fields.retain(|(n, _)| n != name);
                        Ok(())
                    })?;
                }
            }
            Doing::Constant(name, json) => put(&mut fields, name, Node::json(json)),
            Doing::Nest(sep) => {
                return nest(fields, sep).map(Some).map_err(|(field, why)| (field, why, "a name".to_owned()));
            }
            Doing::Geo(geo) => self.point(&mut fields, geo)?,
            Doing::Skip(skip, values) => {
                if skips(&mut fields, skip, values) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(fields))
    }

    /// Changes the values of these fields; null stays.
    fn values(
        &self,
        fields: &mut Fields<'_>,
        names: &[String],
        change: impl Fn(&str) -> Result<String, String>,
    ) -> Result<(), Fault> {
        for path in names {
            at(fields, path, &mut |fields, name| {
                for (_, node) in fields.iter_mut().filter(|(n, node)| n == name && !node.is_null()) {
                    let changed = change(&node.text());
                    *node = match (changed, &self.instead) {
                        (Ok(json), _) => Node::json(json),
                        (Err(_), Some(instead)) => Node::json(instead),
                        (Err(reason), None) => {
                            return Err((path.clone(), reason, node.text().into_owned()));
                        }
                    };
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn point(&self, fields: &mut Fields<'_>, geo: &GeoPoint) -> Result<(), Fault> {
        let json = match (values::point(fields, &geo.lat, &geo.lon), &self.instead) {
            (Ok(json), _) => json,
            (Err(_), Some(instead)) => instead.clone(),
            (Err((field, reason)), None) => {
                let found = fields.iter().find(|(name, _)| *name == field);
                let found = found.map_or_else(String::new, |(_, node)| node.text().into_owned());
                return Err((field, reason, found));
            }
        };
        if !geo.keep {
            fields.retain(|(name, _)| *name != geo.lat && *name != geo.lon);
        }
        put(fields, &geo.field, Node::json(json));
        Ok(())
    }
}

/// Sets a field in its place, or at the end.
fn put<'a>(fields: &mut Fields<'a>, name: &str, node: Node<'a>) {
    match fields.iter_mut().find(|(n, _)| n == name) {
        Some((_, old)) => *old = node,
        None => fields.push((name.to_owned().into(), node)),
    }
}

fn change_name(fields: &mut Fields<'_>, from: &str, to: &str) {
    if from == to {
        return;
    }
    fields.retain(|(name, _)| name != to);
    for (name, _) in fields.iter_mut().filter(|(name, _)| name == from) {
        *name = to.to_owned().into();
    }
}

fn skips(fields: &mut Fields<'_>, skip: &SkipWhen, values: &[String]) -> bool {
    let mut skipped = false;
    let looked: Result<(), ()> = at(fields, &skip.field, &mut |fields, name| {
        skipped |= fields.iter().filter(|(n, _)| n == name).any(|(_, node)| match skip.is_null {
            Some(is_null) => node.is_null() == is_null,
            None => values::is_one_of(node, values),
        });
        Ok(())
    });
    looked.is_ok() && skipped
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
