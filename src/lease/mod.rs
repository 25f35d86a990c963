//! Leadership: one of several operators works, the others wait.
//!
//! In: a Lease's name and a client that does not retry by itself. Out: a [`Term`] that ends by our own clock
//! at two thirds of the duration after the last renewal began, whatever the API server says or does not say:
//! from then on nothing is written to the API server. Others' expiry is judged by our own clock too, from when
//! we last saw their `renewTime` change.
//!
//! An end is not a loss. While the API server is away nobody can take the Lease, and documents go on being
//! written: an owner that was pushed aside is fenced by versions (DESIGN, invariant 5). Once the API server
//! answers, the Lease is renewed by compare-and-swap, which proves that nobody had it meanwhile; or somebody
//! has it, and then it is lost and the process must end. It is lost too when it cannot be renewed for
//! [`LeaseOptions::grace`].
//!
//! May fail: [`LeaseError`], where the Lease cannot be read or written for reasons that do not pass.

mod claim;
mod keep;
mod term;

pub use keep::{Keeper, LeaseError, LeaseOptions};
pub use term::Term;
