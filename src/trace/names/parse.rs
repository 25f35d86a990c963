//! Reads CREATE TABLE and ALTER TABLE by their words.

use super::shape::{Change, Place, Shape, ShapeColumn};
use super::types;
use crate::mapping::Words;
use crate::model::{ColumnKind, TableName};

/// What a statement does to the schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ddl {
    Create {
        table: TableName,
        shape: Shape,
        unless_there: bool,
    },
    CreateLike {
        table: TableName,
        like: TableName,
        unless_there: bool,
    },
    Alter {
        table: TableName,
        changes: Vec<Change>,
    },
    Drop(Vec<TableName>),
    DropSchema(String),
    Rename(Vec<(TableName, TableName)>),
    /// A trigger on this table.
    Trigger(TableName),
    /// DROP INDEX, CREATE UNIQUE INDEX.
    Use(String),
    /// A statement about a table, which changes nothing that matters here: TRUNCATE and others.
    About(TableName),
    /// Anything else.
    Other,
}

/// Reads a statement; `Err` for one about tables that is not understood.
pub(super) fn statement(sql: &str, schema: &str) -> Result<Ddl, String> {
    let Some(mut words) = Words::new(sql) else {
        return Err("cannot be split into words".into());
    };
    let Some(verb) = words.keyword() else { return Ok(Ddl::Other) };
    match verb.as_str() {
        "CREATE" => create(words, schema),
        "ALTER" => alter(words, schema),
        "DROP" => drop_statement(words, schema),
        "RENAME" if words.skip("TABLE") || words.skip("TABLES") => rename(words, schema),
        "TRUNCATE" => {
            words.skip("TABLE");
            Ok(words.table(schema).map_or(Ddl::Other, Ddl::About))
        }
        "USE" => Ok(words.name().map_or(Ddl::Other, Ddl::Use)),
        _ => Ok(Ddl::Other),
    }
}

fn create(mut words: Words, schema: &str) -> Result<Ddl, String> {
    words.skip_both("OR", "REPLACE");
    if words.skip("TEMPORARY") {
        return Ok(Ddl::Other);
    }
    if let Some(trigger) = trigger(&words, schema) {
        return Ok(Ddl::Trigger(trigger));
    }
    if words.skip("UNIQUE") {
        words.skip("INDEX");
        let name = words.name().unwrap_or_default();
        let on = words.after("ON").and_then(|mut on| Some((on.table(schema)?, key_columns(&on))));
        return Ok(match on {
            Some((table, Some(columns))) => {
                Ddl::Alter { table, changes: vec![Change::Unique(name, columns)] }
            }
            Some((table, None)) => Ddl::About(table),
            None => Ddl::Other,
        });
    }
    if !words.skip("TABLE") {
        let on = words.is("INDEX") || words.is("FULLTEXT") || words.is("SPATIAL");
        let table = words.after("ON").filter(|_| on).and_then(|mut on| on.table(schema));
        return Ok(table.map_or(Ddl::Other, Ddl::About));
    }
    let unless_there = words.skip_if_exists();
    let table = words.table(schema).ok_or("has no table name")?;
    let mut inner = words.clone();
    let like_in_parentheses = words.parenthesised().filter(|inner| inner.is("LIKE"));
    if let Some(like) = like_in_parentheses {
        inner = like;
    }
    if inner.skip("LIKE") {
        let like = inner.table(schema).ok_or("has no table after LIKE")?;
        return Ok(Ddl::CreateLike { table, like, unless_there });
    }
    let definitions = words.parenthesised().ok_or("has no list of columns")?;
    let mut shape = Shape::default();
    for part in definitions.split() {
        definition(part, &mut shape)?;
    }
    shape.charset = table_charset(&words);
    Ok(Ddl::Create { table, shape, unless_there })
}

/// `CREATE ... TRIGGER name BEFORE INSERT ON table`.
fn trigger(words: &Words, schema: &str) -> Option<TableName> {
    if words.is("TABLE") {
        return None;
    }
    let mut after = words.after("TRIGGER")?; // DEFINER = `a`@`b` comes before
    after.skip_if_exists();
    after.name()?;
    if after.is("BEFORE") || after.is("AFTER") { after.after("ON")?.table(schema) } else { None }
}

/// `[DEFAULT] CHARSET = x`, `COLLATE = y` after the columns.
fn table_charset(words: &Words) -> Option<String> {
    let named = |keyword: &str| {
        let mut after = words.after(keyword)?;
        if keyword == "CHARACTER" && !after.skip("SET") {
            return None;
        }
        after.skip_sign("=");
        after.name().map(|name| name.to_lowercase())
    };
    named("COLLATE").or_else(|| named("CHARSET")).or_else(|| named("CHARACTER"))
}

/// One part of the list of a CREATE TABLE: a column or a key.
fn definition(mut words: Words, shape: &mut Shape) -> Result<(), String> {
    match key(&mut words) {
        Some(Change::Primary(columns)) => shape.primary = columns,
        Some(Change::Unique(name, columns)) => shape.unique.push((name, columns)),
        Some(_) => {}
        None => {
            let (column, _, keys) = column(&mut words).ok_or("has a column that is not understood")?;
            if keys.primary {
                shape.primary = vec![column.column.name.clone()];
            }
            if keys.unique {
                shape.unique.push((column.column.name.clone(), vec![column.column.name.clone()]));
            }
            shape.columns.push(column);
        }
    }
    Ok(())
}

/// A key, constraint or check; `None` where it is a column. What does not identify rows is a [`Change::DropKey`] of no name.
fn key(words: &mut Words) -> Option<Change> {
    let nothing = Some(Change::DropKey(String::new()));
    let mut ahead = words.clone();
    let mut name = String::new();
    if ahead.skip("CONSTRAINT")
        && !["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].iter().any(|word| ahead.is(word))
    {
        name = ahead.name()?;
    }
    if ahead.skip_both("PRIMARY", "KEY") {
        ahead.skip_all(&["USING", "BTREE", "HASH", "CLUSTERED", "NONCLUSTERED"]);
        return key_columns(&ahead).map(Change::Primary);
    }
    if ahead.skip("UNIQUE") {
        let _ = ahead.skip("KEY") || ahead.skip("INDEX");
        if ahead.parenthesised().is_none() && !ahead.is("USING") {
            name = ahead.name()?;
        }
        ahead.skip_all(&["USING", "BTREE", "HASH"]);
        return key_columns(&ahead).map_or(nothing, |columns| Some(Change::Unique(name, columns)));
    }
    let mut kind = ahead.clone();
    for word in ["INDEX", "KEY", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK", "PERIOD", "VECTOR"] {
        if kind.skip(word) {
            // a column may be called `key` only in quotes; `vector`, `period` need what follows
            let is_key =
                !matches!(word, "PERIOD" | "VECTOR") || kind.is("FOR") || kind.is("INDEX") || kind.is("KEY");
            return if is_key { nothing } else { None };
        }
    }
    None
}

/// The columns in parentheses of a key; `None` where it has an expression or a part of a column.
fn key_columns(words: &Words) -> Option<Vec<String>> {
    let mut words = words.clone();
    while words.parenthesised().is_none() {
        words.name()?;
    }
    words.parenthesised()?.split().into_iter().map(|mut part| part.name()).collect()
}

/// What a column's definition says of keys.
#[derive(Default)]
struct ColumnKeys {
    primary: bool,
    unique: bool,
}

/// `name type ... [FIRST | AFTER name]`.
fn column(words: &mut Words) -> Option<(ShapeColumn, Option<Place>, ColumnKeys)> {
    let name = words.name()?;
    let sql_type = types::read(words)?;
    let width = match sql_type.kind {
        ColumnKind::Bit | ColumnKind::FixedBinary if words.parenthesised().is_none() => 1,
        _ => words.width(),
    };
    let labels = match sql_type.kind {
        ColumnKind::Enum | ColumnKind::Set => labels(words),
        _ => Vec::new(),
    };
    let unsigned = words.any_of(&["UNSIGNED", "ZEROFILL"]) || sql_type.spelling == "SERIAL";
    let generated = generated(words);
    let nullable = !not_null(words) && sql_type.spelling != "SERIAL";
    let auto_update = words.after("ON").is_some_and(|after| after.is("UPDATE"));
    let place = if let Some(mut after) = words.after("AFTER") {
        Some(Place::After(after.name()?))
    } else {
        words.after("FIRST").map(|_| Place::First)
    };
    let keys = ColumnKeys {
        primary: words.after("PRIMARY").is_some()
            || (words.after("KEY").is_some() && words.after("UNIQUE").is_none()),
        unique: words.after("UNIQUE").is_some() || sql_type.spelling == "SERIAL",
    };
    let charset = column_charset(words);
    let binary_text = charset.as_deref() == Some("binary") && sql_type.kind == ColumnKind::Text;
    let mut column = types::column(name, &sql_type, unsigned, width);
    if binary_text {
        let fixed = matches!(sql_type.spelling.as_str(), "CHAR" | "CHARACTER" | "NCHAR");
        column.kind = if fixed { ColumnKind::FixedBinary } else { ColumnKind::Binary };
    }
    let column =
        ShapeColumn { column, sql_type, generated, nullable, auto_update, charset, labels, unsure: false };
    Some((column, place, keys))
}

/// The labels in parentheses of an ENUM or SET.
fn labels(words: &Words) -> Vec<String> {
    let list = words.parenthesised().map(|list| list.split()).unwrap_or_default();
    list.into_iter().map_while(|mut label| label.name()).collect()
}

/// `[GENERATED ALWAYS] AS (...)` or `AS ROW START`: never assigned.
fn generated(words: &Words) -> bool {
    words.after("AS").is_some()
}

fn not_null(words: &Words) -> bool {
    let mut rest = words.clone();
    while let Some(mut after) = rest.after("NOT") {
        if after.skip("NULL") {
            return true;
        }
        rest = after;
    }
    words.after("PRIMARY").is_some()
}

fn column_charset(words: &Words) -> Option<String> {
    if let Some(mut after) = words.after("COLLATE") {
        return after.name().map(|name| name.to_lowercase());
    }
    let mut after = match words.after("CHARACTER") {
        Some(mut after) => after.skip("SET").then_some(after)?,
        None => words.after("CHARSET")?,
    };
    after.name().map(|name| name.to_lowercase())
}

fn alter(mut words: Words, schema: &str) -> Result<Ddl, String> {
    words.skip_all(&["ONLINE", "OFFLINE", "IGNORE"]);
    if !words.skip("TABLE") {
        return Ok(Ddl::Other);
    }
    words.skip_if_exists();
    let table = words.table(schema).ok_or("has no table name")?;
    let mut changes = Vec::new();
    if !words.is_empty() {
        for clause in words.split() {
            alter_clause(clause, schema, &mut changes)?;
        }
    }
    Ok(Ddl::Alter { table, changes })
}

fn alter_clause(mut words: Words, schema: &str, changes: &mut Vec<Change>) -> Result<(), String> {
    let whole = words.clone();
    let Some(verb) = words.keyword() else { return Ok(()) };
    match verb.as_str() {
        "ADD" => return add(words, changes),
        "DROP" => drop_clause(words, changes)?,
        "MODIFY" | "CHANGE" => {
            words.skip("COLUMN");
            words.skip_if_exists();
            let old = if verb == "CHANGE" { words.name() } else { None };
            let (column, place, keys) =
                column(&mut words).ok_or("changes a column that is not understood")?;
            push_keys(&column, &keys, changes);
            let old = old.unwrap_or_else(|| column.column.name.clone());
            changes.push(Change::Modify(old, column, place));
        }
        "RENAME" => rename_clause(words, schema, changes)?,
        "CONVERT" => {
            let charset =
                column_charset(&words).ok_or("converts to a character set that is not understood")?;
            changes.push(Change::Charset(charset, true));
        }
        "DEFAULT" | "CHARACTER" | "CHARSET" | "COLLATE" => {
            if let Some(charset) = table_charset(&whole) {
                changes.push(Change::Charset(charset, false));
            }
        }
        _ => {}
    }
    Ok(())
}

fn push_keys(column: &ShapeColumn, keys: &ColumnKeys, changes: &mut Vec<Change>) {
    let name = column.column.name.clone();
    if keys.primary {
        changes.push(Change::Primary(vec![name]));
    } else if keys.unique {
        changes.push(Change::Unique(name.clone(), vec![name]));
    }
}

fn add(mut words: Words, changes: &mut Vec<Change>) -> Result<(), String> {
    if words.is("PARTITION") {
        return Ok(());
    }
    let explicit = words.skip("COLUMN");
    words.skip_if_exists();
    if !explicit && let Some(key) = key(&mut words) {
        changes.push(key);
        return Ok(());
    }
    let list = words.parenthesised().map_or_else(|| vec![words.clone()], |inner| inner.split());
    for mut one in list {
        if let Some(key) = key(&mut one) {
            changes.push(key);
            continue;
        }
        let (column, place, keys) = column(&mut one).ok_or("adds a column that is not understood")?;
        push_keys(&column, &keys, changes);
        changes.push(Change::Add(column, place.unwrap_or(Place::Last)));
    }
    Ok(())
}

fn drop_clause(mut words: Words, changes: &mut Vec<Change>) -> Result<(), String> {
    if words.skip_both("PRIMARY", "KEY") {
        changes.push(Change::DropPrimary);
        return Ok(());
    }
    for word in ["INDEX", "KEY", "CONSTRAINT"] {
        if words.skip(word) {
            words.skip_if_exists();
            changes.push(Change::DropKey(words.name().unwrap_or_default()));
            return Ok(());
        }
    }
    if ["PARTITION", "FOREIGN", "CHECK", "SYSTEM", "PERIOD"].iter().any(|word| words.is(word)) {
        return Ok(());
    }
    words.skip("COLUMN");
    words.skip_if_exists();
    changes.push(Change::Drop(words.name().ok_or("drops a column that is not understood")?));
    Ok(())
}

fn rename_clause(mut words: Words, schema: &str, changes: &mut Vec<Change>) -> Result<(), String> {
    let is_key = words.skip("INDEX") || words.skip("KEY");
    if is_key || words.skip("COLUMN") {
        words.skip_if_exists();
        let old = words.name();
        let new = if words.skip("TO") { words.name() } else { None };
        let (Some(old), Some(new)) = (old, new) else { return Err("renames what is not understood".into()) };
        changes.push(if is_key { Change::RenameKey(old, new) } else { Change::Rename(old, new) });
        return Ok(());
    }
    words.skip_all(&["TO", "AS"]);
    words.skip_sign("=");
    changes.push(Change::RenameTable(words.table(schema).ok_or("renames the table to no name")?));
    Ok(())
}

fn drop_statement(mut words: Words, schema: &str) -> Result<Ddl, String> {
    if words.skip("TEMPORARY") {
        return Ok(Ddl::Other);
    }
    if words.skip("DATABASE") || words.skip("SCHEMA") {
        words.skip_if_exists();
        return Ok(words.name().map_or(Ddl::Other, Ddl::DropSchema));
    }
    if words.skip("INDEX") {
        let name = words.name().unwrap_or_default();
        let table = words.after("ON").and_then(|mut on| on.table(schema));
        return Ok(
            table.map_or(Ddl::Other, |table| Ddl::Alter { table, changes: vec![Change::DropKey(name)] })
        );
    }
    if !words.skip("TABLE") && !words.skip("TABLES") {
        return Ok(Ddl::Other);
    }
    words.skip_if_exists();
    let mut tables = Vec::new();
    loop {
        tables.push(words.table(schema).ok_or("drops a table that is not understood")?);
        if !words.skip_sign(",") {
            return Ok(Ddl::Drop(tables));
        }
    }
}

fn rename(mut words: Words, schema: &str) -> Result<Ddl, String> {
    words.skip_if_exists();
    let mut pairs = Vec::new();
    loop {
        let from = words.table(schema);
        if !words.skip("NOWAIT") && words.skip("WAIT") {
            words.name();
        }
        let to = if words.skip("TO") { words.table(schema) } else { None };
        let (Some(from), Some(to)) = (from, to) else {
            return Err("renames a table that is not understood".into());
        };
        pairs.push((from, to));
        if !words.skip_sign(",") {
            return Ok(Ddl::Rename(pairs));
        }
    }
}
