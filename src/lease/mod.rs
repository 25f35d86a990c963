//! Leadership: one of several operators works, the others wait.
//!
//! In: a Lease's name and a client that does not retry by itself. Out: a [`Term`] that ends by our own clock
//! at two thirds of the duration after the last renewal began, whatever the API server says or does not say.
//! Others' expiry is judged by our own clock too, from when we last saw their `renewTime` change.
//!
//! May fail: [`LeaseError`], where the Lease cannot be read or written for reasons that do not pass.

mod claim;
mod keep;
mod term;

pub use keep::{Keeper, LeaseError, LeaseOptions};
pub use term::Term;
