//! The resources as Rust types with schema and CEL rules; defaults, checks, credentials.
//!
//! In: objects as users write them. Out: typed specs, [`Finding`]s in words for the person who wrote them, and
//! the CRDs. A field's bounds are written once, at the field, and go into the CRD; [`check`] holds an object
//! against that same schema. What must hold between fields is a CEL rule at the type and its mirror in
//! `rules`; a test holds the two together.

#![allow(unreachable_pub)] // KubeSchema repeats each struct within a function, where `pub` reaches nobody
#![allow(clippy::duplicated_attributes)] // printer columns repeat their words

mod create;
mod finding;
mod key_text;
mod limits;
mod mapping;
mod mapping_rules;
mod period;
mod placement;
mod query;
mod reading;
mod reindex;
mod rules;
mod schema;
mod secret;
mod sink;
mod source;
mod sync_task;
mod transform_rules;
mod transforms;
mod zone;

pub use create::Create;
pub use finding::Finding;
pub use key_text::KeyText;
pub use limits::Limits;
pub use mapping::{
    Mapping, Rewrite, ShardStrategy, ShardVariable, Sharding, TableAction, TableLookup, TableRule,
};
pub use period::{NoPeriod, Period};
pub use placement::{Free, Isolation, Placement};
pub use query::{Batch, Child, OnMissing, Query, Rows, Volatile};
pub use reading::{SourceReader, SourceSession};
pub use reindex::{KeyRange, Reindex, ReindexSpec, ReindexStatus, Selected, Selection, TaskRef};
pub use schema::{API_VERSION, Kind, Resource, check, crds};
pub use secret::{CaSecretRef, ClientCertificate, Credentials, Hidden, SecretRef, Secrets, SinkCredentials};
pub use sink::{CreateIndex, Elasticsearch, ElasticsearchAuth, ElasticsearchTls, Refresh, Sink, Write};
pub use source::{Source, SourceCredentials, SourceTls, TlsMode};
pub use sync_task::{
    DeletionPolicy, InitialSync, MappingStatus, OnChange, OnGap, State, SyncTask, SyncTaskSpec,
    SyncTaskStatus,
};
pub use transforms::{
    BinaryAs, Constant, DateFormat, DecimalAs, GeoPoint, GeometryAs, Nest, OnBad, Rename, SkipWhen,
    SplitFields, Transform, Types, ZeroDates,
};
pub use zone::Zone;
