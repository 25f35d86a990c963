//! SQL against MySQL: preflight, schemas, causal reads by ids, keyset walk of ids.
