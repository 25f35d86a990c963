//! Harness for the tests against real servers: MySQL, Elasticsearch, OpenSearch and Kubernetes, faulty proxies in
//! front of them, the operator's process, a workload, and a checker that shares no code with the operator.
//!
//! Everything listens on 127.0.0.1, lives in a scratch folder and dies with the test process.
//! Tests that only need *a* server take a shared one ([`shared`]) and their own database and index;
//! tests that hurt a server start their own.
#![allow(clippy::doc_markdown, reason = "MySQL and OpenSearch are names, not code")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::missing_panics_doc,
    reason = "test support: a broken environment has to fail the test at once, with its place"
)]

pub mod aliyun;
pub mod audit;
pub mod browser;
pub mod checker;
pub mod cluster;
pub mod cluster_task;
pub mod compare;
pub mod disk;
pub mod driver;
pub mod elastic;
pub mod file_server;
pub mod http_proxy;
pub mod kube;
pub mod mariadb;
pub mod message;
pub mod metrics;
pub mod mysql;
pub mod nginx;
pub mod operator;
pub mod process;
pub mod s3;
pub mod scratch;
pub mod search;
pub mod shared;
pub mod shop;
pub mod stage;
pub mod task_file;
pub mod tcp_proxy;
pub mod trace_page;
pub mod wait;

pub use aliyun::{AliyunApi, Backup};
pub use audit::Audit;
pub use browser::Browser;
pub use checker::{Checker, Kind};
pub use cluster::{Cluster, Namespace};
pub use cluster_task::ClusterTask;
pub use disk::SmallDisk;
pub use driver::Driver;
pub use elastic::{ElasticServer, Engine};
pub use file_server::{Answer, Asked, FileServer};
pub use http_proxy::{Fault, FaultProxy};
pub use kube::Kube;
pub use metrics::Metrics;
pub use mysql::{MysqlOptions, MysqlServer};
pub use nginx::{Certificates, Nginx, NginxOptions};
pub use operator::Operator;
pub use s3::S3Api;
pub use scratch::Scratch;
pub use search::Search;
pub use shop::{Shop, Size};
pub use stage::{Stage, Status, wait_condition, wait_said};
pub use task_file::TaskFile;
pub use tcp_proxy::{TcpMode, TcpProxy};
pub use trace_page::TracePage;
pub use wait::wait_until;
