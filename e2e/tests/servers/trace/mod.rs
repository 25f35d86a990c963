//! `trace` on real servers: SQL and rollback take tables from state to state, and what files can be, comes through.

mod checkpoint;
mod clouds;
mod doubts;
mod inputs;
mod live;
mod oracle;
mod rig;
mod schemas;
mod search;
mod selection;
mod serve;
mod tables;
