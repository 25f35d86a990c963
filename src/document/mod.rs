//! From a row to a document: the transforms of a task, in order.
//!
//! In: a row as one JSON object on one line, as `source` writes it. Out: the document's JSON, or that the row
//! has none ([`Shaped`]). Pure: no I/O, no clock. Values that no transform touches keep their very bytes, so no
//! digit of a number is lost.
//!
//! What may fail is [`BadValue`]: it names transform, field and value, and concerns that row alone.

mod dates;
mod fields;
mod merge;
mod names;
mod nest;
mod shape;
mod values;

pub use merge::{OwnFields, Remaining, text_of};
pub use shape::{BadValue, Shape, Shaped};
