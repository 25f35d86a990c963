//! One task's worker: lanes, watermark, dead letters, full builds; knows nothing of Kubernetes.
//!
//! In: a task's options, a source, a sink and its stores. Out: documents, a checkpoint, and a status to watch.
//! What decides is [`core`], pure; what carries out is the shell around it.

pub mod core;
mod file_store;
mod store;

pub use file_store::FileStore;
pub use store::{StoreError, Stored, Stores, may_replace};
