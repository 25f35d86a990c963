//! Compiles a query once, then answers purely: which ids does this change touch?
