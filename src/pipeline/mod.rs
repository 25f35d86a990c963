//! One task's worker: lanes, watermark, dead letters, full builds; knows nothing of Kubernetes.
//!
//! In: a task's options, a source, a sink and its stores. Out: documents, a checkpoint, and a status to watch.
//! What decides is [`core`], pure; what carries out is the shell around it: [`run`].

mod access;
mod addresses;
mod batch_read;
mod batch_rows;
pub mod core;
mod epoch_files;
mod feed;
mod file_store;
mod from_spec;
mod lane_task;
mod last;
mod mapping_spec;
mod misplaced;
mod orders;
mod pages;
mod place;
mod prepare;
mod proposal;
mod quiet;
mod request;
mod schema;
mod several;
mod shared;
mod status;
mod store;
mod translate;
mod upsert;
mod watches;
mod worker;
mod write_log;

pub use access::access;
pub use file_store::{FileStore, OpenError};
pub use orders::Control;
pub use prepare::{Obstacle, Prepared, Report, check, plan, proposal};
pub use request::{BuildRequest, Requested};
pub use shared::{SeveralRows, TaskOptions};
pub use store::{Expect, StoreError, Stored, Stores, may_replace};
pub use worker::{WorkerError, run};
