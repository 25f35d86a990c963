//! What is wrong with an object, in words for the person who wrote it.

use std::fmt;

/// One thing wrong with one field. Never carries a Secret's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The field's path, for example `spec.sink.elasticsearch.addresses[0]`; empty for the object as a whole.
    pub field: String,
    /// What was found there.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding at this field.
    pub fn new(field: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { field: field.into(), found: found.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.found, self.remedy)
    }
}
