//! `_bulk` with a verdict per item, retry classes, index creation.
