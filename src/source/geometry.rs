//! GEOMETRY as MySQL and MariaDB store it (SRID in 4 bytes, little endian, then well-known binary) into GeoJSON
//! (RFC 7946) or well-known text. Coordinates keep the order in which they are stored: X, then Y; for a geographic SRID that
//! is longitude, then latitude.

use crate::api::GeometryAs;

/// Geometries within geometries at most.
const MAX_DEPTH: usize = 32;

/// Names of WKB's types 1 to 7: of GeoJSON, of WKT.
const NAMES: [(&str, &str); 7] = [
    ("Point", "POINT"),
    ("LineString", "LINESTRING"),
    ("Polygon", "POLYGON"),
    ("MultiPoint", "MULTIPOINT"),
    ("MultiLineString", "MULTILINESTRING"),
    ("MultiPolygon", "MULTIPOLYGON"),
    ("GeometryCollection", "GEOMETRYCOLLECTION"),
];

/// Writes a stored geometry as JSON; an error says what is wrong with it.
pub(super) fn write(stored: &[u8], form: GeometryAs, out: &mut Vec<u8>) -> Result<(), String> {
    let mut wkb = Wkb { rest: stored.get(4..).ok_or(SHORT)?, little: true };
    match form {
        GeometryAs::GeoJson => geo_json(&mut wkb, out, MAX_DEPTH)?,
        GeometryAs::Wkt => {
            out.push(b'"');
            wkt(&mut wkb, out, MAX_DEPTH)?;
            out.push(b'"');
        }
    }
    if wkb.rest.is_empty() { Ok(()) } else { Err("its GEOMETRY has bytes after its end".into()) }
}

const SHORT: &str = "its GEOMETRY is cut short";

/// How coordinates are written in one of the forms.
struct Notation {
    open: u8,
    close: u8,
    /// Around one position.
    brackets: bool,
    between: u8,
}

const JSON: Notation = Notation { open: b'[', close: b']', brackets: true, between: b',' };
const TEXT: Notation = Notation { open: b'(', close: b')', brackets: false, between: b' ' };

fn geo_json(wkb: &mut Wkb<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), String> {
    let (kind, (name, _)) = wkb.head()?;
    out.extend_from_slice(format!("{{\"type\":\"{name}\",").as_bytes());
    if kind == COLLECTION {
        out.extend_from_slice(b"\"geometries\":");
        list(wkb, &JSON, out, |wkb, out| geo_json(wkb, out, deeper(depth)?))?;
    } else {
        out.extend_from_slice(b"\"coordinates\":");
        coordinates(wkb, kind, &JSON, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn wkt(wkb: &mut Wkb<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), String> {
    let (kind, (_, name)) = wkb.head()?;
    out.extend_from_slice(name.as_bytes());
    if kind == COLLECTION {
        if wkb.is_empty_list() {
            wkb.number()?;
            out.extend_from_slice(b" EMPTY");
            return Ok(());
        }
        return list(wkb, &TEXT, out, |wkb, out| wkt(wkb, out, deeper(depth)?));
    }
    if kind == POINT {
        out.push(b'(');
        coordinates(wkb, kind, &TEXT, out)?;
        out.push(b')');
        return Ok(());
    }
    coordinates(wkb, kind, &TEXT, out)
}

fn deeper(depth: usize) -> Result<usize, String> {
    depth.checked_sub(1).ok_or_else(|| "its GEOMETRY is nested too deeply".to_owned())
}

const POINT: usize = 1;
const COLLECTION: usize = 7;

/// The coordinates of a geometry of that type, after its head.
fn coordinates(wkb: &mut Wkb<'_>, kind: usize, form: &Notation, out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        POINT => position(wkb, form, out),
        2 => list(wkb, form, out, |wkb, out| position(wkb, form, out)),
        3 => list(wkb, form, out, |wkb, out| list(wkb, form, out, |wkb, out| position(wkb, form, out))),
        // each member of a multiple has a head of its own
        _ => list(wkb, form, out, |wkb, out| {
            let (member, _) = wkb.head()?;
            if member + 3 != kind {
                return Err("its GEOMETRY holds another kind than its type says".into());
            }
            let bare = member == POINT && !form.brackets;
            if bare {
                out.push(form.open);
            }
            coordinates(wkb, member, form, out)?;
            if bare {
                out.push(form.close);
            }
            Ok(())
        }),
    }
}

fn list(
    wkb: &mut Wkb<'_>,
    form: &Notation,
    out: &mut Vec<u8>,
    mut each: impl FnMut(&mut Wkb<'_>, &mut Vec<u8>) -> Result<(), String>,
) -> Result<(), String> {
    let count = wkb.number()?;
    out.push(form.open);
    for at in 0..count {
        if at > 0 {
            out.push(b',');
        }
        each(wkb, out)?;
    }
    out.push(form.close);
    Ok(())
}

fn position(wkb: &mut Wkb<'_>, form: &Notation, out: &mut Vec<u8>) -> Result<(), String> {
    if form.brackets {
        out.push(form.open);
    }
    wkb.coordinate(out)?;
    out.push(form.between);
    wkb.coordinate(out)?;
    if form.brackets {
        out.push(form.close);
    }
    Ok(())
}

/// Well-known binary, read from its front.
struct Wkb<'a> {
    rest: &'a [u8],
    little: bool,
}

impl Wkb<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Byte order and type.
    fn head(&mut self) -> Result<(usize, (&'static str, &'static str)), String> {
        let [order] = self.take()?;
        self.little = order == 1;
        let kind = self.number()? as usize;
        let names = kind.checked_sub(1).and_then(|at| NAMES.get(at));
        names.map(|names| (kind, *names)).ok_or_else(|| format!("its GEOMETRY is of an unknown type {kind}"))
    }

    fn number(&mut self) -> Result<u32, String> {
        let bytes = self.take()?;
        Ok(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn is_empty_list(&self) -> bool {
        self.rest.first_chunk::<4>() == Some(&[0; 4])
    }

    fn coordinate(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let bytes = self.take()?;
        let value = if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) };
        if !value.is_finite() {
            return Err("its GEOMETRY holds what is no JSON number".into());
        }
        let text = zmij::Buffer::new().format_finite(value).to_owned();
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(&text).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Vec<u8> {
        [&[1, 1, 0, 0, 0], x.to_le_bytes().as_slice(), y.to_le_bytes().as_slice()].concat()
    }

    fn written(wkb: &[u8], form: GeometryAs) -> Result<String, String> {
        let mut out = Vec::new();
        write(&[&[0; 4], wkb].concat(), form, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn points_and_collections() {
        let json = written(&point(1.0, -2.5), GeometryAs::GeoJson).unwrap();
        assert_eq!(json, r#"{"type":"Point","coordinates":[1,-2.5]}"#);
        assert_eq!(written(&point(1e300, 0.1), GeometryAs::Wkt).unwrap(), r#""POINT(1e+300 0.1)""#);
        let big_endian = [&[0, 0, 0, 0, 1], 3f64.to_be_bytes().as_slice(), &4f64.to_be_bytes()].concat();
        assert_eq!(written(&big_endian, GeometryAs::Wkt).unwrap(), r#""POINT(3 4)""#);
        let multi = [&[1, 4, 0, 0, 0, 2, 0, 0, 0], point(1.0, 2.0).as_slice(), &point(3.0, 4.0)].concat();
        assert_eq!(written(&multi, GeometryAs::Wkt).unwrap(), r#""MULTIPOINT((1 2),(3 4))""#);
        assert_eq!(
            written(&multi, GeometryAs::GeoJson).unwrap(),
            r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#
        );
        let empty = [1, 7, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(written(&empty, GeometryAs::Wkt).unwrap(), r#""GEOMETRYCOLLECTION EMPTY""#);
        assert_eq!(
            written(&empty, GeometryAs::GeoJson).unwrap(),
            r#"{"type":"GeometryCollection","geometries":[]}"#
        );
    }

    #[test]
    fn broken_ones_are_refused() {
        let mut deep = Vec::new();
        for _ in 0..100 {
            deep.extend_from_slice(&[1, 7, 0, 0, 0, 1, 0, 0, 0]);
        }
        let huge = [1, 2, 0, 0, 0, 255, 255, 255, 255];
        let wrong_member = [&[1, 4, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0, 0][..], &[0; 4]].concat();
        let nan = point(f64::NAN, 1.0);
        let longer = [point(1.0, 1.0), vec![0]].concat();
        let cases: [&[u8]; 7] = [&[], &[1, 9, 0, 0, 0], &deep, &huge, &wrong_member, &nan, &longer];
        for case in cases {
            for form in [GeometryAs::GeoJson, GeometryAs::Wkt] {
                assert!(written(case, form).is_err(), "{case:?}");
            }
        }
        assert!(write(&[0, 0], GeometryAs::Wkt, &mut Vec::new()).is_err());
    }
}
