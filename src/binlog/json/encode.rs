//! Writes the binary form. Source: sql-common/json_binary.cc, `serialize`.

use super::binary::Json;
use super::diff::Tree;
use crate::binlog::error::Malformed;

const TOO_LARGE: Malformed = Malformed("a JSON value does not fit into its binary form");

/// Appends a document: its type, then its value.
pub(super) fn write(tree: &Tree<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let at = out.len();
    out.push(0);
    let kind = write_value(tree, out)?;
    if let Some(byte) = out.get_mut(at) {
        *byte = kind;
    }
    Ok(())
}

/// Appends a value and gives its type. Containers are small where they fit into 64 KiB.
fn write_value(tree: &Tree<'_>, out: &mut Vec<u8>) -> Result<u8, Malformed> {
    match tree {
        Tree::Leaf(leaf) => scalar(leaf, out),
        Tree::Object(_) | Tree::Array(_) => {
            let is_array = u8::from(matches!(tree, Tree::Array(_))) * 2;
            let (small, _) = forms(tree);
            let is_large = small > SMALL;
            container(tree, is_large, out)?;
            Ok(is_array | u8::from(is_large))
        }
    }
}

/// A small container has so many bytes at most.
const SMALL: usize = 0xffff;

/// Bytes of a container in its small and in its large form.
fn forms(tree: &Tree<'_>) -> (usize, usize) {
    let (count, keys, key_bytes, (small, large)) = match tree {
        Tree::Object(members) => (
            members.len(),
            members.len(),
            members.iter().map(|(key, _)| key.len()).sum::<usize>(),
            sum(members.iter().map(|(_, value)| value)),
        ),
        Tree::Array(cells) => (cells.len(), 0, 0, sum(cells.iter())),
        Tree::Leaf(_) => (0, 0, 0, (0, 0)),
    };
    (4 + keys * 4 + count * 3 + key_bytes + small, 8 + keys * 6 + count * 5 + key_bytes + large)
}

fn sum<'t>(values: impl Iterator<Item = &'t Tree<'t>>) -> (usize, usize) {
    values.map(outside).fold((0, 0), |(a, b), (small, large)| (a + small, b + large))
}

/// Bytes of a value outside its entry, in a small and in a large container.
fn outside(tree: &Tree<'_>) -> (usize, usize) {
    let same = |len| (len, len);
    let text = |len: usize| len + 1 + len.checked_ilog2().unwrap_or(0) as usize / 7;
    match tree {
        Tree::Leaf(Json::Int(number)) => match (i16::try_from(*number), i32::try_from(*number)) {
            (Ok(_), _) => same(0),
            (_, Ok(_)) => (4, 0),
            _ => same(8),
        },
        Tree::Leaf(Json::UInt(number)) => match (u16::try_from(*number), u32::try_from(*number)) {
            (Ok(_), _) => same(0),
            (_, Ok(_)) => (4, 0),
            _ => same(8),
        },
        Tree::Leaf(Json::Double(_)) => same(8),
        Tree::Leaf(Json::Text(bytes)) => same(text(bytes.len())),
        Tree::Leaf(Json::Opaque { data, .. }) => same(1 + text(data.len())),
        Tree::Leaf(Json::Null | Json::Bool(_) | Json::Container(_)) => same(0),
        container => {
            let (small, large) = forms(container);
            same(if small > SMALL { large } else { small })
        }
    }
}

fn scalar(leaf: &Json<'_>, out: &mut Vec<u8>) -> Result<u8, Malformed> {
    Ok(match *leaf {
        Json::Null => push(out, &[0], 4),
        Json::Bool(value) => push(out, &[if value { 1 } else { 2 }], 4),
        Json::Int(value) => match (i16::try_from(value), i32::try_from(value)) {
            (Ok(short), _) => push(out, &short.to_le_bytes(), 5),
            (_, Ok(long)) => push(out, &long.to_le_bytes(), 7),
            _ => push(out, &value.to_le_bytes(), 9),
        },
        Json::UInt(value) => match (u16::try_from(value), u32::try_from(value)) {
            (Ok(short), _) => push(out, &short.to_le_bytes(), 6),
            (_, Ok(long)) => push(out, &long.to_le_bytes(), 8),
            _ => push(out, &value.to_le_bytes(), 10),
        },
        Json::Double(value) => push(out, &value.to_le_bytes(), 11),
        Json::Text(text) => {
            sized(text, out);
            12
        }
        Json::Opaque { type_code, data } => {
            out.push(type_code);
            sized(data, out);
            15
        }
        Json::Container(_) => return Err(TOO_LARGE), // a tree has none
    })
}

fn push(out: &mut Vec<u8>, bytes: &[u8], kind: u8) -> u8 {
    out.extend_from_slice(bytes);
    kind
}

/// Bytes after their length in groups of 7 bits, lowest first.
fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    let mut len = bytes.len();
    while len > 0x7f {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}

/// Count, size, the entries of keys and values, the keys, the values.
fn container(tree: &Tree<'_>, large: bool, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    let width = if large { 4 } else { 2 };
    let (keys, values): (Vec<&str>, Vec<&Tree<'_>>) = match tree {
        Tree::Object(members) => members.iter().map(|(key, value)| (key.as_str(), value)).unzip(),
        Tree::Array(cells) => (Vec::new(), cells.iter().collect()),
        Tree::Leaf(_) => (Vec::new(), Vec::new()),
    };
    let entries = 2 * width + keys.len() * (width + 2);
    out.resize(start + entries + values.len() * (width + 1), 0);
    put(out, start, width, values.len());
    for (index, key) in keys.iter().enumerate() {
        let entry = start + 2 * width + index * (width + 2);
        let offset = out.len() - start;
        put(out, entry, width, offset);
        put(out, entry + width, 2, u16::try_from(key.len()).map_err(|_| TOO_LARGE)?.into());
        out.extend_from_slice(key.as_bytes());
    }
    for (index, value) in values.iter().enumerate() {
        let entry = start + entries + index * (width + 1);
        let offset = out.len() - start;
        let kind = write_value(value, out)?;
        put(out, entry, 1, usize::from(kind));
        if matches!(kind, 4..=6) || (large && matches!(kind, 7 | 8)) {
            let inline: Vec<u8> = out.drain(start + offset..).collect();
            for (at, byte) in inline.iter().enumerate() {
                put(out, entry + 1 + at, 1, usize::from(*byte));
            }
        } else {
            put(out, entry + 1, width, offset);
        }
    }
    let size = out.len() - start;
    put(out, start + width, width, size);
    let most = if large { u32::MAX as usize } else { SMALL };
    if size <= most { Ok(()) } else { Err(TOO_LARGE) }
}

/// Overwrites `width` bytes with a number in little endian.
fn put(out: &mut [u8], at: usize, width: usize, value: usize) {
    let bytes = (value as u64).to_le_bytes();
    if let (Some(place), Some(bytes)) = (out.get_mut(at..at + width), bytes.get(..width)) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(tree: &Tree<'_>) {
        let mut bytes = Vec::new();
        write(tree, &mut bytes).unwrap();
        assert_eq!(&Tree::read(&bytes, None).unwrap(), tree);
    }

    #[test]
    fn what_is_written_reads_back() {
        let leaf = |json| Tree::Leaf(json);
        let text = "x".repeat(300);
        let scalars = vec![
            leaf(Json::Null),
            leaf(Json::Bool(true)),
            leaf(Json::Bool(false)),
            leaf(Json::Int(-1)),
            leaf(Json::Int(-40_000)),
            leaf(Json::Int(i64::MIN)),
            leaf(Json::UInt(7)),
            leaf(Json::UInt(70_000)),
            leaf(Json::UInt(u64::MAX)),
            leaf(Json::Double(1.5)),
            leaf(Json::Text(text.as_bytes())),
            leaf(Json::Opaque { type_code: 246, data: &[3, 1, 0x80] }),
        ];
        scalars.iter().for_each(round_trip);
        round_trip(&Tree::Array(Vec::new()));
        let object = Tree::Object(vec![
            ("a".into(), Tree::Array(scalars.clone())),
            ("bb".into(), Tree::Object(vec![])),
        ]);
        round_trip(&object);
        let wide = "y".repeat(5000);
        let large: Vec<_> = (0..40).map(|_| leaf(Json::Text(wide.as_bytes()))).chain(scalars).collect();
        round_trip(&Tree::Object(vec![("k".into(), Tree::Array(large)), ("z".into(), object)]));
        round_trip(&Tree::Array(vec![leaf(Json::Int(1)); 70_000]));
        let mut deep = leaf(Json::Text(wide.as_bytes()));
        for _ in 0..100 {
            deep = Tree::Array(vec![deep, leaf(Json::Int(100_000))]);
        }
        round_trip(&deep);
        let edges = [65_520, 65_525, 65_530, 65_535, 65_540].map(|len| "z".repeat(len));
        for edge in &edges {
            round_trip(&Tree::Array(vec![leaf(Json::Text(edge.as_bytes()))]));
        }
    }
}
