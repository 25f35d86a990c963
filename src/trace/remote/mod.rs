//! Binlogs that lie elsewhere: behind URLs, in lists of URLs, in a cloud's backups, in object stores.
//!
//! In: a URL, a manifest, an instance of Aliyun RDS, a bucket. Out: [`Listing`]s of files in the order of their
//! numbers, of which those are taken that meet the time asked for, and an [`http::HttpReader`] for each. Keys of a
//! cloud come from environment variables or files ([`AccessKeys`]) and are never shown, nor is what a URL ends with.

mod aliyun;
mod aliyun_api;
mod http;
mod keys;
mod link;
mod listing;
mod manifest;
mod moment;
mod s3;
mod s3_list;
mod signature;

pub(super) use http::HttpReader;
pub use keys::{AccessKeys, Cloud};
pub(super) use link::Link;
pub use listing::Listing;
pub use s3::{S3Store, StoreOptions};
