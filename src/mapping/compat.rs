//! Which columns hold the same values in the same spelling, and how a value of one is compared with another.

use crate::model::{CatalogColumn, Charset, ColumnKind};

/// How a value of the changed table's column is compared with its neighbour's column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    /// As it is: same type, collation and character set, or the neighbour's collation decides.
    Plain,
    /// Under the changed column's collation.
    Collate(String),
    /// In utf8mb4 under the changed column's collation.
    Utf8(String),
}

/// Can a value of this column be a key at all? The reason where not.
pub(super) fn keyable(column: &CatalogColumn) -> Result<(), String> {
    use ColumnKind as K;
    match column.column.kind {
        K::Int | K::Decimal | K::Year | K::Date | K::Time | K::DateTime | K::FixedBinary | K::Binary => {
            Ok(())
        }
        K::Text => match column.column.collation.map(Charset::of_collation) {
            Some(Charset::Utf8 | Charset::Latin1 | Charset::Utf16) => Ok(()),
            _ => Err(format!(
                "its character set ({}) is not read from row images",
                column.collation_name.as_deref().unwrap_or("unknown")
            )),
        },
        K::Timestamp => Err("a TIMESTAMP's text depends on the session's time zone".to_owned()),
        K::Float | K::Double => Err(format!("{} is not exact", column.sql_type)),
        K::Enum | K::Set => Err(format!("row images carry {} as a number", column.sql_type)),
        K::Bit | K::Json | K::Geometry | K::Vector => {
            Err(format!("{} has no spelling as a key", column.sql_type))
        }
    }
}

/// Do the two columns hold the same values in the same spelling, so that one value stands for both?
pub(super) fn same_class(a: &CatalogColumn, b: &CatalogColumn) -> bool {
    use ColumnKind as K;
    if keyable(a).is_err() || keyable(b).is_err() {
        return false;
    }
    match (a.column.kind, b.column.kind) {
        (K::Int, K::Int)
        | (K::Year, K::Year)
        | (K::Date, K::Date)
        | (K::FixedBinary | K::Binary, K::FixedBinary | K::Binary) => true,
        (K::Time, K::Time) | (K::DateTime, K::DateTime) => a.column.width == b.column.width,
        (K::Decimal, K::Decimal) => a.sql_type.eq_ignore_ascii_case(&b.sql_type),
        (K::Text, K::Text) => a.collation_name.is_some() && collation(a) == collation(b),
        _ => false,
    }
}

/// Do equal values of this column have one spelling only, so that a key spelled as it is here names its document?
/// Text has several in every collation that ignores case, accents or blanks at the end.
pub(super) fn exact(column: &CatalogColumn) -> bool {
    let one = |name: String| name == "utf8mb4_0900_bin" || name == "binary";
    column.column.kind != ColumnKind::Text || collation(column).is_some_and(one)
}

/// Like [`same_class`] as to types only: what a user's `column` rule must satisfy.
pub(super) fn same_family(a: &CatalogColumn, b: &CatalogColumn) -> bool {
    let text = |c: &CatalogColumn| c.column.kind == ColumnKind::Text && keyable(c).is_ok();
    same_class(a, b) || (text(a) && text(b))
}

/// How `neighbour = ?` says what `changed = neighbour` says, for a value of `changed`; or why it cannot.
pub(super) fn operand(changed: &CatalogColumn, neighbour: &CatalogColumn) -> Result<Operand, String> {
    keyable(changed)?;
    if same_class(changed, neighbour) {
        return Ok(Operand::Plain);
    }
    let text = |c: &CatalogColumn| c.column.kind == ColumnKind::Text;
    let types = || {
        format!(
            "{}{} and {}{} compare by conversion",
            changed.sql_type,
            shown(changed),
            neighbour.sql_type,
            shown(neighbour)
        )
    };
    match (collation(changed), collation(neighbour)) {
        (Some(from), Some(to)) if text(changed) && text(neighbour) => {
            mixed_text(&from, &to).ok_or_else(types)
        }
        _ => Err(types()),
    }
}

fn shown(column: &CatalogColumn) -> String {
    column.collation_name.as_ref().map_or_else(String::new, |name| format!(" {name}"))
}

/// The rules by which the server compares two columns of different collations: `_bin` wins within a character
/// set, utf8mb4 wins over a smaller one. Anything else is an error of the server's, or not surely known.
fn mixed_text(from: &str, to: &str) -> Option<Operand> {
    let (from_set, to_set) = (charset(from), charset(to));
    let bin = |name: &str| name.ends_with("_bin");
    if from_set == to_set {
        return match (bin(from), bin(to)) {
            (true, false) => Some(Operand::Collate(from.to_owned())),
            (false, true) => Some(Operand::Plain),
            _ => None,
        };
    }
    let smaller = |set: &str| matches!(set, "utf8mb3" | "latin1" | "ascii");
    if to_set == "utf8mb4" && smaller(from_set) {
        return Some(Operand::Plain);
    }
    (from_set == "utf8mb4" && smaller(to_set)).then(|| Operand::Utf8(from.to_owned()))
}

fn charset(collation: &str) -> &str {
    collation.split('_').next().unwrap_or(collation)
}

/// The collation's name in one spelling: `utf8` is `utf8mb3`.
fn collation(column: &CatalogColumn) -> Option<String> {
    let name = column.collation_name.as_ref()?.to_ascii_lowercase();
    Some(match name.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => name,
    })
}
