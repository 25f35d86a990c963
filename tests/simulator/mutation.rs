//! Seven ways to break the worker, each of which the checks must notice.
//!
//! They live in the simulated shell: production code carries no switch for them.

/// A fault of the shell itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Reads and lookups do not wait for what the stream has delivered.
    NoCausalWait,
    /// A batch with ids of a build is read without the wait.
    BuildReadsWithoutWait,
    /// Actions carry a version taken when they are sent, after the read.
    VersionAfterRead,
    /// The checkpoint holds what was read from the stream, not what was acknowledged.
    ReadPositionSaved,
    /// A batch that failed is taken for done.
    FailedBatchDropped,
    /// A swap that another owner won is repeated over his object.
    SwapRetried,
    /// A helper writes documents with versions of its own, out of the owner's block.
    SecondIssuer,
}

impl Mutation {
    pub(crate) const ALL: [Self; 7] = [
        Self::NoCausalWait,
        Self::BuildReadsWithoutWait,
        Self::VersionAfterRead,
        Self::ReadPositionSaved,
        Self::FailedBatchDropped,
        Self::SwapRetried,
        Self::SecondIssuer,
    ];
}
