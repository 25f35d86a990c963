//! How a task is doing, as its worker tells everybody who asks: `/readyz`, progress, conditions of the resource.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{BuildPhase, StreamPosition};

/// The conditions of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Progress is made, or there is nothing to do.
    Ready,
    /// Servers, query and grants fit.
    Preflight,
    /// The binlog stream is open.
    SourceConnected,
    /// The index answers.
    SinkConnected,
    /// The watermark has reached what the server had executed a moment ago.
    CaughtUp,
    /// Documents were refused.
    DeadLetters,
    /// A build repairs a gap.
    Repairing,
    /// The user said Paused or Stopped.
    Paused,
    /// Somebody else writes versions to the index.
    ForeignWriter,
}

impl ConditionType {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::Preflight,
        Self::SourceConnected,
        Self::SinkConnected,
        Self::CaughtUp,
        Self::DeadLetters,
        Self::Repairing,
        Self::Paused,
        Self::ForeignWriter,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Preflight => "Preflight",
            Self::SourceConnected => "SourceConnected",
            Self::SinkConnected => "SinkConnected",
            Self::CaughtUp => "CaughtUp",
            Self::DeadLetters => "DeadLetters",
            Self::Repairing => "Repairing",
            Self::Paused => "Paused",
            Self::ForeignWriter => "ForeignWriter",
        }
    }

    /// True for conditions that tell of trouble when they hold.
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::DeadLetters | Self::Repairing | Self::Paused | Self::ForeignWriter)
    }
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    #[default]
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one CamelCase word.
    pub reason: String,
    /// Why, in words; never carries a Secret's value.
    pub message: String,
}

/// What the changes of one table mean, in one of the ways in which they matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableMapping {
    /// The table.
    pub table: String,
    /// How its rows lead to documents.
    pub rule: String,
    /// The columns whose change matters.
    pub matters: String,
}

/// A build's progress.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BuildProgress {
    /// Why it runs: `initial`, `repair: <cause>` or `reindex`.
    pub cause: String,
    /// Where it is.
    pub phase: BuildPhase,
    /// Keys walked so far.
    pub keys_done: u64,
    /// Documents written for them.
    pub documents: u64,
    /// Estimate of the keys in all; 0 where unknown.
    pub keys_estimate: u64,
    /// Keys per second lately.
    pub rate: f64,
    /// The last key whose page is done.
    pub cursor: Option<String>,
    /// What stopped it for good; empty while it works.
    pub failed: String,
}

/// How a task is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskStatus {
    /// The conditions that have been said so far.
    pub conditions: BTreeMap<ConditionType, Condition>,
    /// Age in seconds of the oldest change that is not in the index yet; 0 when caught up.
    pub lag_seconds: u64,
    /// Ids that wait or are in flight.
    pub pending_ids: u64,
    /// Documents that were refused.
    pub dead_letters: u64,
    /// Documents written since the worker started.
    pub documents_written: u64,
    /// Documents deleted since the worker started.
    pub documents_deleted: u64,
    /// Every change before it is in the index.
    pub position: Option<StreamPosition>,
    /// Builds under way or complete, by name.
    pub builds: BTreeMap<String, BuildProgress>,
    /// How long the source keeps its binlog, in seconds; `None` for ever, or while nobody has asked it.
    pub binlog_kept: Option<u64>,
    /// What the changes of each table mean.
    pub mapping: Arc<Vec<TableMapping>>,
}

impl TaskStatus {
    /// Says a condition; true if its status or reason is another one than before.
    pub fn set(
        &mut self,
        condition: ConditionType,
        status: impl Into<ConditionStatus>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> bool {
        let new = Condition { status: status.into(), reason: reason.into(), message: message.into() };
        let old = self.conditions.insert(condition, new.clone());
        old.is_none_or(|old| (old.status, &old.reason) != (new.status, &new.reason))
    }

    /// Whether a condition holds; unknown where nobody said it yet.
    pub fn status(&self, condition: ConditionType) -> ConditionStatus {
        self.conditions.get(&condition).map_or(ConditionStatus::Unknown, |c| c.status)
    }

    /// True while the condition Ready holds.
    pub fn is_ready(&self) -> bool {
        self.status(ConditionType::Ready) == ConditionStatus::True
    }

    /// True once every build is over and the task is caught up: what `--until-caught-up` waits for.
    pub fn is_settled(&self) -> bool {
        self.status(ConditionType::CaughtUp) == ConditionStatus::True
            && self.builds.values().all(|build| build.phase.is_over())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_tells_transitions_from_news() {
        let mut status = TaskStatus::default();
        assert!(!status.is_ready());
        assert!(status.set(ConditionType::Ready, true, "Progressing", "1"));
        assert!(!status.set(ConditionType::Ready, true, "Progressing", "2"));
        assert!(status.set(ConditionType::Ready, true, "Idle", "2"));
        assert!(status.is_ready());
        assert!(status.set(ConditionType::Ready, false, "Stalled", "no progress for 300 s"));
        assert!(!status.is_ready());
    }

    #[test]
    fn settled_needs_every_build() {
        let mut status = TaskStatus::default();
        status.set(ConditionType::CaughtUp, true, "CaughtUp", "");
        assert!(status.is_settled());
        status.builds.insert("initial".into(), BuildProgress::default());
        assert!(!status.is_settled());
        status.builds.entry("initial".into()).or_default().phase = BuildPhase::Complete;
        assert!(status.is_settled());
    }

    #[test]
    fn every_condition_has_its_own_name() {
        let names: std::collections::BTreeSet<_> = ConditionType::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), ConditionType::ALL.len());
    }
}
