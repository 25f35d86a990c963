//! ALTER TABLE of a mapped table: what each of its clauses means, and where columns go.

use super::super::plan::TablePlan;
use super::super::scope::same_column;
use super::words::Words;
use crate::model::{Column, ColumnKind};

/// What the statement means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    Changed,
    Gap(String),
}

/// Where a column is put.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Last,
    First,
    After(String),
}

/// What the clauses do to the list of columns. As in the server, existing columns are dropped, renamed and redefined
/// first, by their old names; then columns are put into their places in the order of the statement.
#[derive(Debug, Default)]
struct Edits {
    dropped: Vec<String>,
    renamed: Vec<(String, String)>,
    /// Redefined where they stand.
    redefined: Vec<(String, Column)>,
    /// New columns, and moved ones (with their old name).
    placed: Vec<(Option<String>, Column, Place)>,
    changed: bool,
    gap: Option<String>,
}

/// Reads the clauses of `ALTER TABLE t ...` and moves the history.
pub(super) fn apply(
    words: &Words,
    plan: &TablePlan,
    columns: Option<&mut Vec<Column>>,
    cascades_logged: bool,
) -> Outcome {
    let mut edits = Edits::default();
    if !words.is_empty() {
        let known = columns.as_deref().map(Vec::as_slice);
        let table = Table { plan, watched: plan.watched(), known, cascades_logged };
        for clause in words.split() {
            table.clause(clause, &mut edits);
        }
    }
    if let Some(columns) = columns
        && !edits.move_columns(columns)
    {
        edits.refuse("places a column after one that the schema history does not know");
    }
    match edits.gap {
        Some(why) => Outcome::Gap(why),
        None if edits.changed => Outcome::Changed,
        None => Outcome::Nothing,
    }
}

impl Edits {
    fn refuse(&mut self, why: impl Into<String>) {
        self.gap.get_or_insert(why.into());
    }

    /// Carries the edits out; false where a place was not found.
    fn move_columns(&self, columns: &mut Vec<Column>) -> bool {
        let named = |list: &[String], name: &str| list.iter().any(|n| same_column(n, name));
        let moved: Vec<String> = self.placed.iter().filter_map(|(old, _, _)| old.clone()).collect();
        columns.retain(|c| !named(&self.dropped, &c.name) && !named(&moved, &c.name));
        for column in columns.iter_mut() {
            if let Some((_, new)) = self.redefined.iter().find(|(old, _)| same_column(old, &column.name)) {
                *column = new.clone();
            } else if let Some((_, new)) = self.renamed.iter().find(|(old, _)| same_column(old, &column.name))
            {
                column.name.clone_from(new);
            }
        }
        for (_, column, place) in &self.placed {
            let at = match place {
                Place::Last => Some(columns.len()),
                Place::First => Some(0),
                Place::After(name) => {
                    columns.iter().position(|c| same_column(&c.name, name)).map(|at| at + 1)
                }
            };
            let Some(at) = at else { return false };
            columns.insert(at, column.clone());
        }
        true
    }
}

struct Table<'t> {
    plan: &'t TablePlan,
    /// The columns that matter; `None`: all.
    watched: Option<Vec<&'t str>>,
    known: Option<&'t [Column]>,
    cascades_logged: bool,
}

impl Table<'_> {
    fn matters(&self, column: &str) -> bool {
        self.watched.as_ref().is_none_or(|watched| watched.iter().any(|w| same_column(w, column)))
    }

    fn has(&self, column: &str) -> bool {
        self.known.is_some_and(|known| known.iter().any(|c| same_column(&c.name, column)))
    }

    /// Notes a change of a column: a gap where it matters.
    fn touch(&self, column: &str, what: &str, edits: &mut Edits) {
        edits.changed = true;
        if self.matters(column) {
            edits.refuse(format!(
                "{what} column {column} of {}, which the query refers to",
                self.plan.table()
            ));
        }
    }

    fn clause(&self, mut words: Words, edits: &mut Edits) {
        let Some(verb) = words.keyword() else {
            return edits.refuse("has a clause that is not understood");
        };
        self.keys(&verb, &words, edits);
        match verb.as_str() {
            "ADD" => self.add(words, edits),
            "DROP" => self.drop(words, edits),
            "MODIFY" => self.modify(words, false, edits),
            "CHANGE" => self.modify(words, true, edits),
            "RENAME" => self.rename(words, edits),
            "CONVERT" => self.convert(&words, edits),
            "TRUNCATE" | "EXCHANGE" | "DISCARD" | "IMPORT" | "UNION" => {
                edits.refuse("changes rows without row events");
            }
            "ENGINE" | "TYPE" => {
                if words.any_of(&["BLACKHOLE"]) {
                    edits.refuse("drops the rows of a mapped table");
                }
            }
            verb if is_harmless(verb) => {}
            verb => edits.refuse(format!("has the clause {verb}, which is not understood")),
        }
    }

    /// Keys that the plan was made with: rows are locked by the primary key, and changes follow foreign keys
    /// whose actions are not in the binlog.
    fn keys(&self, verb: &str, words: &Words, edits: &mut Edits) {
        if !["ADD", "DROP", "MODIFY", "CHANGE"].contains(&verb) {
            return;
        }
        if words.any_of(&["PRIMARY"]) {
            edits.refuse(format!("changes the primary key of {}", self.plan.table()));
        }
        if !self.cascades_logged && words.any_of(&["REFERENCES"]) && words.any_of(&["CASCADE", "SET"]) {
            edits.refuse("adds a foreign key whose actions are not in the binlog");
        }
    }

    fn add(&self, mut words: Words, edits: &mut Edits) {
        let column = words.skip("COLUMN");
        if !column {
            if words.is("PRIMARY") || words.is("FOREIGN") || words.is("CONSTRAINT") {
                edits.changed = true;
                return;
            }
            let keys = ["INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "CHECK", "PARTITION", "VECTOR"];
            let is_key = keys.iter().any(|key| words.is(key));
            // `vector` and `period` are names as well: a type follows, not INDEX or FOR.
            let named = words.is("VECTOR") && !words.any_of(&["INDEX", "KEY"]);
            if is_key && !named {
                return;
            }
            let mut ahead = words.clone();
            if ahead.skip_both("SYSTEM", "VERSIONING") || ahead.skip_both("PERIOD", "FOR") {
                edits.changed = true;
                return;
            }
        }
        let unless_there = words.skip_if_exists();
        let list = words.parenthesised().map_or_else(|| vec![words.clone()], |inner| inner.split());
        for mut one in list {
            if one.skip_all_of_key() {
                continue;
            }
            let Some((column, place)) = definition(&mut one, None) else {
                return edits.refuse("adds a column that is not understood");
            };
            if unless_there && self.has(&column.name) {
                continue;
            }
            self.touch(&column.name, "adds", edits);
            edits.placed.push((None, column, place));
        }
    }

    fn drop(&self, mut words: Words, edits: &mut Edits) {
        if !words.skip("COLUMN") {
            if words.is("INDEX") || words.is("KEY") || words.is("CHECK") {
                return;
            }
            if words.is("PRIMARY") || words.is("FOREIGN") || words.is("CONSTRAINT") {
                edits.changed = true;
                return;
            }
            let mut ahead = words.clone();
            if words.is("PARTITION") || ahead.skip_both("SYSTEM", "VERSIONING") {
                return edits.refuse("drops rows without row events");
            }
            if ahead.skip_both("PERIOD", "FOR") {
                edits.changed = true;
                return;
            }
        }
        let unless_gone = words.skip_if_exists();
        let Some(name) = words.name() else { return edits.refuse("drops a column that is not understood") };
        if unless_gone && self.known.is_some() && !self.has(&name) {
            return;
        }
        self.touch(&name, "drops", edits);
        edits.dropped.push(name);
    }

    fn modify(&self, mut words: Words, renames: bool, edits: &mut Edits) {
        words.skip("COLUMN");
        let unless_gone = words.skip_if_exists();
        let old = if renames { words.name() } else { None };
        let Some((column, place)) = definition(&mut words, self.known) else {
            return edits.refuse("redefines a column that is not understood");
        };
        let old = old.unwrap_or_else(|| column.name.clone());
        if unless_gone && self.known.is_some() && !self.has(&old) {
            return;
        }
        self.touch(&old, "redefines", edits);
        self.touch(&column.name, "redefines", edits);
        match place {
            Place::Last => edits.redefined.push((old, column)),
            place => edits.placed.push((Some(old), column, place)),
        }
    }

    fn rename(&self, mut words: Words, edits: &mut Edits) {
        if words.is("INDEX") || words.is("KEY") {
            return;
        }
        if !words.skip("COLUMN") {
            return edits.refuse("puts another table in the place of a mapped one");
        }
        words.skip_if_exists();
        let old = words.name();
        let new = if words.skip("TO") { words.name() } else { None };
        let (Some(old), Some(new)) = (old, new) else {
            return edits.refuse("renames a column that is not understood");
        };
        self.touch(&old, "renames", edits);
        self.touch(&new, "renames", edits);
        edits.renamed.push((old, new));
    }

    fn convert(&self, words: &Words, edits: &mut Edits) {
        if words.is("PARTITION") || words.is("TABLE") {
            return edits.refuse("changes rows without row events");
        }
        edits.changed = true;
        let texts = self.plan.columns.iter().map(|c| &c.column).filter(|c| c.kind == ColumnKind::Text);
        if let Some(text) = texts.into_iter().find(|c| self.matters(&c.name)) {
            self.touch(&text.name.clone(), "converts", edits);
        }
    }
}

impl Words {
    /// Within `ADD ( )`, keys may stand among columns.
    fn skip_all_of_key(&self) -> bool {
        ["INDEX", "KEY", "UNIQUE", "FULLTEXT", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK"]
            .iter()
            .any(|key| self.is(key))
    }
}

/// Clauses that change no row and no column: table options, partitioning, how the statement runs.
fn is_harmless(verb: &str) -> bool {
    const HARMLESS: &str = "ALGORITHM ALTER ANALYZE AUTOEXTEND_SIZE AUTO_INCREMENT AVG_ROW_LENGTH CHARACTER CHARSET \
        CHECK CHECKSUM COALESCE COLLATE COMMENT COMPRESSION CONNECTION DATA DEFAULT DELAY_KEY_WRITE DISABLE \
        ENABLE ENCRYPTION ENGINE_ATTRIBUTE FORCE IETF_QUOTES INDEX INSERT_METHOD KEY_BLOCK_SIZE LOCK MAX_ROWS \
        MIN_ROWS NOWAIT OPTIMIZE ORDER PACK_KEYS PAGE_CHECKSUM PAGE_COMPRESSED PAGE_COMPRESSION_LEVEL PARTITION \
        PASSWORD REBUILD REMOVE REORGANIZE REPAIR ROW_FORMAT SECONDARY_ENGINE SECONDARY_ENGINE_ATTRIBUTE \
        SECONDARY_LOAD SECONDARY_UNLOAD STATS_AUTO_RECALC STATS_PERSISTENT STATS_SAMPLE_PAGES STORAGE TABLESPACE \
        TRANSACTIONAL WITH WITHOUT";
    HARMLESS.split_whitespace().any(|known| known == verb)
}

/// `name type ... [FIRST | AFTER name]`. What an event's table map does not tell is taken over from `known`.
fn definition(words: &mut Words, known: Option<&[Column]>) -> Option<(Column, Place)> {
    let name = words.name()?;
    let kind_word = words.keyword()?;
    let kind = kind(&kind_word, words);
    let same = known.and_then(|known| known.iter().find(|c| same_column(&c.name, &name)));
    let place = if let Some(mut after) = words.after("AFTER") {
        Place::After(after.name()?)
    } else if words.after("FIRST").is_some() {
        Place::First
    } else {
        Place::Last
    };
    let column = Column {
        name,
        kind,
        unsigned: words.any_of(&["UNSIGNED", "ZEROFILL"]) || kind_word == "SERIAL",
        collation: same.filter(|c| c.kind == kind).and_then(|c| c.collation),
        width: words.width(),
    };
    Some((column, place))
}

fn kind(word: &str, rest: &Words) -> ColumnKind {
    use ColumnKind as K;
    match word {
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "INTEGER" | "BIGINT" | "BOOL" | "BOOLEAN"
        | "SERIAL" | "INT1" | "INT2" | "INT3" | "INT4" | "INT8" | "MIDDLEINT" => K::Int,
        "DECIMAL" | "NUMERIC" | "DEC" | "FIXED" => K::Decimal,
        "FLOAT" | "FLOAT4" => K::Float,
        "DOUBLE" | "REAL" | "FLOAT8" => K::Double,
        "BIT" => K::Bit,
        "YEAR" => K::Year,
        "DATE" => K::Date,
        "TIME" => K::Time,
        "DATETIME" => K::DateTime,
        "TIMESTAMP" => K::Timestamp,
        "BINARY" => K::FixedBinary,
        "VARBINARY" | "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" => K::Binary,
        "LONG" if rest.is("VARBINARY") => K::Binary,
        "ENUM" => K::Enum,
        "SET" => K::Set,
        "JSON" => K::Json,
        "VECTOR" => K::Vector,
        "GEOMETRY" | "POINT" | "LINESTRING" | "POLYGON" | "MULTIPOINT" | "MULTILINESTRING"
        | "MULTIPOLYGON" | "GEOMETRYCOLLECTION" | "GEOMCOLLECTION" => K::Geometry,
        _ => K::Text,
    }
}
