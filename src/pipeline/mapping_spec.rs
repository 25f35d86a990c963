//! `spec.query` and `spec.mapping` as the mapping takes them.

use super::SeveralRows;
use crate::api::{self, Batch, Rows, SyncTaskSpec, Volatile};
use crate::mapping::{
    ChildText, LookupRule, QueryText, RewriteRule, ShardStrategy, ShardVariable, TableAction, TableRule,
};
use crate::model::TableName;

/// The query and all that belongs to its meaning.
pub(super) fn query(spec: &SyncTaskSpec) -> QueryText {
    let query = &spec.query;
    QueryText {
        sql: query.sql.clone(),
        key: owned(query.key_columns()),
        table: query.table.as_deref().map(table),
        children: query.children.iter().map(child).collect(),
        database: spec.source.database.clone(),
        rules: spec.mapping.tables.iter().map(rule).collect(),
        sharding: spec.mapping.sharding.0.iter().map(variable).collect(),
        rewrites: spec.mapping.rewrite.iter().map(rewrite).collect(),
        volatile_allowed: query.volatile == Volatile::Allow,
        one_by_one: query.batch == Batch::One,
    }
}

/// What several rows of one id are.
pub(super) fn several(spec: &SyncTaskSpec) -> SeveralRows {
    match spec.query.rows {
        Rows::One => SeveralRows::Error,
        Rows::First => SeveralRows::First,
        Rows::Array => SeveralRows::Array,
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// `schema.table`, or `table` with an empty schema.
fn table(name: &str) -> TableName {
    let (schema, table) = name.split_once('.').unwrap_or(("", name));
    TableName::new(schema, table)
}

fn child(child: &api::Child) -> ChildText {
    ChildText {
        field: child.field.clone(),
        sql: child.sql.clone(),
        key: owned(child.key_columns()),
        order_by: child.order_by.clone(),
        fields: child.fields.clone(),
    }
}

fn rule(rule: &api::TableRule) -> TableRule {
    let action = match rule.action() {
        api::TableAction::Derived => TableAction::Derived,
        api::TableAction::Column(column) => TableAction::Column(vec![column.to_owned()]),
        api::TableAction::Lookup(lookup) => TableAction::Lookup(LookupRule {
            sql: lookup.sql.clone(),
            key: lookup.key.clone(),
            page_size: lookup.page_size.and_then(|size| usize::try_from(size).ok()),
            order_key: lookup.order_key.clone(),
            max_pages: lookup.max_pages.and_then(|pages| usize::try_from(pages).ok()),
        }),
        api::TableAction::Ignore => TableAction::Ignore,
        api::TableAction::All => TableAction::All,
    };
    TableRule { table: table(&rule.table), action, columns: rule.columns.clone() }
}

fn variable(variable: &api::ShardVariable) -> ShardVariable {
    ShardVariable {
        name: variable.variable.clone(),
        strategy: match variable.strategy {
            api::ShardStrategy::Crc32Unsigned => ShardStrategy::Crc32Unsigned,
            api::ShardStrategy::Crc32SignedAbs => ShardStrategy::Crc32SignedAbs,
            api::ShardStrategy::Mod => ShardStrategy::Modulo,
        },
        shards: variable.shards,
        width: variable.suffix_width as usize,
        format: variable.format.clone(),
    }
}

fn rewrite(rewrite: &api::Rewrite) -> RewriteRule {
    RewriteRule { pattern: rewrite.pattern.clone(), table: rewrite.table.clone() }
}
