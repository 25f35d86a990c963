//! Compiles a query once, then answers purely: which ids does this change touch?
//!
//! In: the SQL of `query`, entries of `mapping.tables`, the live schema ([`crate::model::Catalog`]); then the
//! columns and row images of binlog events, and DDL statements. Out: a [`Plan`] with the SQL of every read, and
//! for each row the main keys that it touches ([`Touched`]). What may fail is in [`MappingError`]: a query whose ids are
//! not surely known is refused by name; an image that lacks what ids are derived from is a gap.
//!
//! The steps: [`parse`] finds the placeholders and refuses what needs no schema; for each SELECT `analysis` walks
//! the blocks and collects equalities as edges, `paths` finds the way from each table to the main key, `compile`
//! writes the rules; `compose` puts the SELECTs together; `bound` answers for rows. An extra id costs a read, a missed one is a bug: where the derivation is not
//! sure, it refuses.

mod analysis;
mod bound;
mod cascade;
mod compat;
mod compile;
mod compose;
mod ddl;
mod error;
mod explain;
mod functions;
mod keys;
mod lookup;
mod meaning;
mod overrides;
mod paths;
mod plan;
mod query;
mod rewrite;
mod scope;
mod separable;
mod sharding;
mod survey;
mod syntax;
mod text;
mod timestamps;
mod unite;
mod value;
mod views;
mod walk;

#[cfg(test)]
mod tests;

pub use bound::{BoundTable, Touched};
pub(crate) use ddl::Words;
pub use ddl::{DdlEffect, SchemaHistory};
pub use error::MappingError;
pub use keys::KeyColumn;
pub use lookup::Lookup;
pub use plan::{Child, Plan, TablePlan};
pub use query::{ChildText, LookupRule, ParsedQuery, QueryText, TableAction, TableRule, parse};
pub use rewrite::RewriteRule;
pub use sharding::{Shard, ShardStrategy, ShardVariable};
pub use walk::WalkSelection;
