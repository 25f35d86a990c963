//! Global transaction identifiers of MySQL, tagged ones (8.3+, WL#15294) included.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::ParseError;

/// A server's UUID, the first part of a GTID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = || ParseError::new("UUID", text);
        let mut digits = text.bytes().filter(|b| *b != b'-');
        let mut out = [0u8; 16];
        for byte in &mut out {
            let mut nibble = || digits.next().and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (nibble().ok_or_else(fail)?, nibble().ok_or_else(fail)?);
            *byte = (high * 16 + low) as u8;
        }
        if digits.next().is_some() { Err(fail()) } else { Ok(Self(out)) }
    }
}

/// The tag of a GTID: empty, or 1 to 32 of `[a-z0-9_]` that begin with no digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub struct Tag(Option<Box<str>>);

impl Tag {
    /// Reads a tag; upper case is folded as the server folds it.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let lower = text.trim().to_ascii_lowercase();
        let legal = lower.len() <= 32
            && lower.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !lower.bytes().next().is_some_and(|b| b.is_ascii_digit());
        if legal { Ok(Self(Some(lower.into()))) } else { Err(ParseError::new("GTID tag", text)) }
    }

    /// The tag's text, empty for an untagged GTID.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }
}

/// One transaction's identifier: `uuid[:tag]:number`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Gtid {
    /// The server that committed first.
    pub uuid: Uuid,
    /// The tag, empty for most.
    pub tag: Tag,
    /// The transaction number, from 1.
    pub number: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag.as_str() {
            "" => write!(f, "{}:{}", self.uuid, self.number),
            tag => write!(f, "{}:{tag}:{}", self.uuid, self.number),
        }
    }
}

impl FromStr for Gtid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = || ParseError::new("GTID", text);
        let (head, number) = text.trim().rsplit_once(':').ok_or_else(fail)?;
        let (uuid, tag) = head.split_once(':').unwrap_or((head, ""));
        Ok(Self { uuid: uuid.parse()?, tag: Tag::new(tag)?, number: number.parse().map_err(|_| fail())? })
    }
}

/// Disjoint, sorted, half-open ranges `[start, end)` that do not touch.
type Ranges = Vec<(u64, u64)>;

/// A set of GTIDs, as in `@@gtid_executed`: `uuid:1-5:8,uuid:tag:3`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GtidSet {
    sources: BTreeMap<(Uuid, Tag), Ranges>,
}

impl GtidSet {
    /// True where no GTID is in the set.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds one GTID.
    pub fn insert(&mut self, gtid: &Gtid) {
        self.insert_range(gtid.uuid, gtid.tag.clone(), gtid.number, gtid.number.saturating_add(1));
    }

    /// Adds the half-open range `[start, end)` of one source.
    pub fn insert_range(&mut self, uuid: Uuid, tag: Tag, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let ranges = self.sources.entry((uuid, tag)).or_default();
        let from = ranges.partition_point(|r| r.1 < start);
        let to = ranges.partition_point(|r| r.0 <= end);
        let mut merged = (start, end);
        for range in ranges.get(from..to).unwrap_or_default() {
            merged = (merged.0.min(range.0), merged.1.max(range.1));
        }
        ranges.splice(from..to, [merged]);
    }

    /// Removes one GTID.
    pub fn remove(&mut self, gtid: &Gtid) {
        let source = (gtid.uuid, gtid.tag.clone());
        let Some(ranges) = self.sources.get_mut(&source) else { return };
        let at = ranges.partition_point(|r| r.1 <= gtid.number);
        let Some(&(start, end)) = ranges.get(at).filter(|r| r.0 <= gtid.number) else { return };
        let parts = [(start, gtid.number), (gtid.number + 1, end)];
        ranges.splice(at..=at, parts.into_iter().filter(|r| r.0 < r.1));
        if ranges.is_empty() {
            self.sources.remove(&source);
        }
    }

    /// Adds every GTID of another set.
    pub fn extend(&mut self, other: &Self) {
        for (uuid, tag, start, end) in other.ranges() {
            self.insert_range(uuid, tag.clone(), start, end);
        }
    }

    /// True where the GTID is in the set.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.covers(gtid.uuid, &gtid.tag, gtid.number, gtid.number.saturating_add(1))
    }

    /// True where every GTID of this set is in the other.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.ranges().all(|(uuid, tag, start, end)| other.covers(uuid, tag, start, end))
    }

    /// The GTIDs of this set that are not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (uuid, tag, start, end) in self.ranges() {
            let mut at = start;
            let taken = other.sources.get(&(uuid, tag.clone())).map_or(&[][..], Vec::as_slice);
            for &(from, to) in taken.iter().filter(|r| r.1 > start && r.0 < end) {
                out.insert_range(uuid, tag.clone(), at, from);
                at = at.max(to);
            }
            out.insert_range(uuid, tag.clone(), at, end);
        }
        out
    }

    /// How many GTIDs are in the set.
    pub fn len(&self) -> u64 {
        self.ranges().map(|(_, _, start, end)| end - start).sum()
    }

    /// Every range as `(uuid, tag, start, end)`, end exclusive, sorted.
    pub fn ranges(&self) -> impl Iterator<Item = (Uuid, &Tag, u64, u64)> {
        self.sources.iter().flat_map(|((uuid, tag), rs)| rs.iter().map(move |r| (*uuid, tag, r.0, r.1)))
    }

    fn covers(&self, uuid: Uuid, tag: &Tag, start: u64, end: u64) -> bool {
        let Some(ranges) = self.sources.get(&(uuid, tag.clone())) else { return false };
        let at = ranges.partition_point(|r| r.1 <= start);
        ranges.get(at).is_some_and(|r| r.0 <= start && end <= r.1)
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uuid = None;
        let mut source = None;
        for (this, tag, start, end) in self.ranges() {
            if uuid != Some(this) {
                write!(f, "{}{this}", if uuid.is_some() { "," } else { "" })?;
                uuid = Some(this);
                source = None;
            }
            if source != Some(tag) && !tag.as_str().is_empty() {
                write!(f, ":{}", tag.as_str())?;
            }
            source = Some(tag);
            if end - start == 1 { write!(f, ":{start}")? } else { write!(f, ":{start}-{}", end - 1)? }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = || ParseError::new("GTID set", text);
        let mut set = Self::default();
        for source in text.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            let mut parts = source.split(':').map(str::trim);
            let uuid: Uuid = parts.next().ok_or_else(fail)?.parse()?;
            let mut tag = Tag::default();
            for part in parts {
                if !part.starts_with(|c: char| c.is_ascii_digit()) {
                    tag = Tag::new(part)?;
                    continue;
                }
                let (start, end) = part.split_once('-').unwrap_or((part, part));
                let start: u64 = start.trim().parse().map_err(|_| fail())?;
                let end: u64 = end.trim().parse().map_err(|_| fail())?;
                set.insert_range(uuid, tag.clone(), start, end.checked_add(1).ok_or_else(fail)?);
            }
        }
        Ok(set)
    }
}

impl serde::Serialize for GtidSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for GtidSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Gtid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Gtid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> GtidSet {
        text.parse().unwrap()
    }

    #[test]
    fn prints_what_the_server_prints() {
        let text = format!("{A}:1-5:8:mysqlsh:3-4,{B}:tag:7");
        assert_eq!(set(&text).to_string(), text);
        assert_eq!(set(&format!("{A}:1-2:3-4 , \n{A}:8")).to_string(), format!("{A}:1-4:8"));
    }

    #[test]
    fn insert_merges_neighbours_and_remove_splits() {
        let mut s = set(&format!("{A}:1-3:5-7"));
        s.insert(&format!("{A}:4").parse().unwrap());
        assert_eq!(s, set(&format!("{A}:1-7")));
        s.remove(&format!("{A}:4").parse().unwrap());
        assert_eq!(s, set(&format!("{A}:1-3:5-7")));
        s.remove(&format!("{A}:tag:4").parse().unwrap());
        assert_eq!(s.len(), 6);
    }

    #[test]
    fn subset_and_minus_agree() {
        let (big, small) = (set(&format!("{A}:1-10,{B}:t:1-5")), set(&format!("{A}:2-3:7,{B}:t:5")));
        assert!(small.is_subset_of(&big) && !big.is_subset_of(&small));
        assert_eq!(big.minus(&small), set(&format!("{A}:1:4-6:8-10,{B}:t:1-4")));
        assert!(small.minus(&big).is_empty());
        assert!(!set(&format!("{B}:1")).is_subset_of(&big));
    }

    #[test]
    fn bad_text_is_named() {
        for bad in
            ["x:1", &format!("{A}:1-x"), &format!("{A}:9tag-:1"), &format!("{A}:1-18446744073709551615")]
        {
            assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
        }
    }
}
