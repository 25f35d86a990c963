//! selection.
