//! The resources as Rust types with schema and CEL rules; defaults and condition helpers.
