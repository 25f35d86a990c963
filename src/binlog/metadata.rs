//! The optional metadata at the end of TABLE_MAP events (WL#4618), up to MySQL 9's vector dimensions.
//! Source: `Table_map_event::Optional_metadata_field_type`.

use super::cursor::Cursor;
use super::error::Malformed;
use super::field::{Declared, code};

/// What the metadata says, per column of its kind, in the order of columns.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    /// A bit per numeric column, highest bit first; set for UNSIGNED.
    signedness: Option<&'a [u8]>,
    character_sets: CharacterSets,
    label_sets: CharacterSets,
    pub(super) names: Vec<&'a [u8]>,
    set_labels: Vec<Vec<&'a [u8]>>,
    enum_labels: Vec<Vec<&'a [u8]>>,
    geometry_types: Vec<u64>,
    /// Column numbers, and bytes of a prefix (0: the whole column).
    pub(super) primary_key: Vec<(usize, u64)>,
    /// A bit per column, highest bit first; set for visible.
    visibility: Option<&'a [u8]>,
    dimensions: Vec<u64>,
}

/// Collations of text columns, in either of two forms.
#[derive(Default)]
enum CharacterSets {
    #[default]
    Unknown,
    /// One for all, with exceptions by number among the columns of the kind.
    Default { default: u64, others: Vec<(u64, u64)> },
    /// One for each.
    Each(Vec<u64>),
}

impl<'a> Metadata<'a> {
    pub(super) fn read(c: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let mut this = Self::default();
        while !c.is_empty() {
            let kind = c.u8()?;
            let mut value = Cursor::new(c.packed_bytes()?);
            this.read_field(kind, &mut value)?;
        }
        Ok(this)
    }

    fn read_field(&mut self, kind: u8, c: &mut Cursor<'a>) -> Result<(), Malformed> {
        match kind {
            1 => self.signedness = Some(c.take_rest()),
            2 => self.character_sets = CharacterSets::read_default(c)?,
            3 => self.character_sets = CharacterSets::Each(list(c, Cursor::packed)?),
            4 => self.names = list(c, Cursor::packed_bytes)?,
            5 => self.set_labels = list(c, labels)?,
            6 => self.enum_labels = list(c, labels)?,
            7 => self.geometry_types = list(c, Cursor::packed)?,
            8 => self.primary_key = list(c, |c| Ok((c.packed_len()?, 0)))?,
            9 => self.primary_key = list(c, |c| Ok((c.packed_len()?, c.packed()?)))?,
            10 => self.label_sets = CharacterSets::read_default(c)?,
            11 => self.label_sets = CharacterSets::Each(list(c, Cursor::packed)?),
            12 => self.visibility = Some(c.take_rest()),
            13 => self.dimensions = list(c, Cursor::packed)?,
            _ => {} // made to be skipped
        }
        Ok(())
    }

    pub(super) fn has_signedness(&self) -> bool {
        self.signedness.is_some()
    }

    pub(super) fn has_charsets(&self) -> bool {
        !matches!(self.character_sets, CharacterSets::Unknown)
    }
}

/// Reads to the end.
fn list<'a, T>(
    c: &mut Cursor<'a>,
    read: impl Fn(&mut Cursor<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut out = Vec::new();
    while !c.is_empty() {
        out.push(read(c)?);
    }
    Ok(out)
}

fn labels<'a>(c: &mut Cursor<'a>) -> Result<Vec<&'a [u8]>, Malformed> {
    (0..c.packed()?).map(|_| c.packed_bytes()).collect()
}

impl CharacterSets {
    fn read_default(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let default = c.packed()?;
        Ok(Self::Default { default, others: list(c, |c| Ok((c.packed()?, c.packed()?)))? })
    }

    fn get(&self, index: usize) -> Option<u16> {
        let id = match self {
            Self::Unknown => None,
            Self::Default { default, others } => {
                let other = others.iter().find(|(at, _)| *at == index as u64);
                Some(other.map_or(*default, |(_, id)| *id))
            }
            Self::Each(ids) => ids.get(index).copied(),
        };
        id.and_then(|id| u16::try_from(id).ok())
    }
}

/// Hands out each column's share while the columns are walked in order.
pub(super) struct Shares<'m, 'a> {
    metadata: &'m Metadata<'a>,
    column: usize,
    numeric: usize,
    character: usize,
    enum_or_set: usize,
    enums: usize,
    sets: usize,
    geometries: usize,
    vectors: usize,
}

/// What the metadata says of one column.
#[derive(Default)]
pub(super) struct Share<'a> {
    pub(super) name: &'a [u8],
    pub(super) unsigned: bool,
    pub(super) collation: Option<u16>,
    pub(super) labels: &'a [&'a [u8]],
    pub(super) geometry_type: Option<u8>,
    pub(super) dimensions: Option<u32>,
    pub(super) visible: bool,
}

impl<'m, 'a> Shares<'m, 'a> {
    pub(super) fn new(metadata: &'m Metadata<'a>) -> Self {
        Self {
            metadata,
            column: 0,
            numeric: 0,
            character: 0,
            enum_or_set: 0,
            enums: 0,
            sets: 0,
            geometries: 0,
            vectors: 0,
        }
    }

    pub(super) fn next(&mut self, declared: Declared) -> Share<'m> {
        let m = self.metadata;
        let column = post_increment(&mut self.column);
        let mut share = Share {
            name: m.names.get(column).copied().unwrap_or_default(),
            visible: m.visibility.is_none_or(|bits| bit_from_high(bits, column)),
            ..Share::default()
        };
        if declared.is_numeric() {
            let at = post_increment(&mut self.numeric);
            share.unsigned = m.signedness.is_some_and(|bits| bit_from_high(bits, at));
        }
        if declared.is_character() {
            share.collation = m.character_sets.get(post_increment(&mut self.character));
        }
        if declared.is_enum_or_set() {
            share.collation = m.label_sets.get(post_increment(&mut self.enum_or_set));
        }
        let labels = match declared.code {
            code::ENUM => m.enum_labels.get(post_increment(&mut self.enums)),
            code::SET => m.set_labels.get(post_increment(&mut self.sets)),
            _ => None,
        };
        share.labels = labels.map_or(&[], Vec::as_slice);
        match declared.code {
            code::GEOMETRY => {
                let kind = m.geometry_types.get(post_increment(&mut self.geometries));
                share.geometry_type = kind.map(|kind| *kind as u8);
            }
            code::VECTOR => {
                let dimensions = m.dimensions.get(post_increment(&mut self.vectors));
                share.dimensions = dimensions.map(|n| *n as u32);
            }
            _ => {}
        }
        share
    }
}

fn post_increment(n: &mut usize) -> usize {
    let before = *n;
    *n += 1;
    before
}

fn bit_from_high(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte << (index % 8) & 0x80 != 0)
}
