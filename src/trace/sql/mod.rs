//! SQL that gives back the rows of the binlog, byte for byte, on a server in its default settings.
//!
//! In: tables as events and DDL describe them ([`resolve`]), values of row images. Out: statements appended to
//! a buffer. What fails is a value whose bytes break their format.

mod charset;
mod json;
mod literal;
mod statement;
mod table;

pub(super) use literal::{identifier, json_string, write_hex, write_json_value, write_temporal, write_utc};
pub(super) use statement::{delete, insert, needs_lenience, update};
pub(super) use table::{Column, Kind, Table, resolve};
