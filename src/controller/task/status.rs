//! What is written of a task: pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::super::events::Turn;
use crate::api::{MappingStatus, SyncTaskStatus};
use crate::model::{ConditionStatus, ConditionType, TaskStatus};

/// The status to write, after the one of before. What was not said keeps what it was.
pub(super) fn status(
    before: &SyncTaskStatus,
    said: &TaskStatus,
    generation: Option<i64>,
    worker: &str,
    now: &Time,
) -> SyncTaskStatus {
    // who has not looked yet knows no figures
    let looked = said.position.is_some();
    let number = |value: u64, before: Option<i64>| {
        if looked { Some(i64::try_from(value).unwrap_or(i64::MAX)) } else { before }
    };
    let conditions = ConditionType::ALL.into_iter().filter_map(|type_| {
        let old = before.conditions.iter().find(|condition| condition.type_ == type_.name());
        match said.conditions.get(&type_) {
            Some(new) => {
                Some(condition(type_.name(), (new.status, &new.reason, &new.message), old, generation, now))
            }
            None => old.cloned(),
        }
    });
    let position = said.position.as_ref().filter(|position| **position != <_>::default());
    let mapping = said.mapping.iter().map(|table| MappingStatus {
        table: table.table.clone(),
        rule: table.rule.clone(),
        columns: table.matters.clone(),
    });
    let mapping: Vec<_> = mapping.collect();
    let kept = said.binlog_kept.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
    let kept = if looked { kept } else { before.binlog_kept_seconds };
    SyncTaskStatus {
        observed_generation: generation.or(before.observed_generation),
        conditions: conditions.collect(),
        lag_seconds: number(said.lag_seconds, before.lag_seconds),
        pending_ids: number(said.pending_ids, before.pending_ids),
        dead_letters: number(said.dead_letters, before.dead_letters),
        documents_written: number(said.documents_written, before.documents_written),
        documents_deleted: number(said.documents_deleted, before.documents_deleted),
        binlog_kept_seconds: kept,
        purge_after: purge_after(before, said, kept, now),
        position: position.map(ToString::to_string).or_else(|| before.position.clone()),
        mapping: if mapping.is_empty() { before.mapping.clone() } else { mapping },
        worker: Some(worker.to_owned()),
    }
}

/// When the source may purge what a task needs that was held back now, or is since before: it keeps a file for so long
/// after its last change, and the task stands at most its lag behind that.
fn purge_after(before: &SyncTaskStatus, said: &TaskStatus, kept: Option<i64>, now: &Time) -> Option<Time> {
    if said.status(ConditionType::Paused) != ConditionStatus::True {
        return None;
    }
    let behind = before.lag_seconds.unwrap_or(0);
    let at = now.0.as_second().saturating_add(kept?).saturating_sub(behind);
    before.purge_after.clone().or_else(|| Timestamp::from_second(at).ok().map(Time))
}

/// The API server takes this much of a message.
const MAX_MESSAGE: usize = 8_000;

/// A condition; its time is that of the last turn.
pub(in super::super) fn condition(
    type_: &str,
    (status, reason, message): (ConditionStatus, &str, &str),
    old: Option<&Condition>,
    generation: Option<i64>,
    now: &Time,
) -> Condition {
    let status = status.to_string();
    let since = old.filter(|old| old.status == status).map(|old| old.last_transition_time.clone());
    Condition {
        type_: type_.to_owned(),
        status,
        reason: if reason.is_empty() { "Unknown".to_owned() } else { reason.to_owned() },
        message: message.chars().take(MAX_MESSAGE).collect(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| now.clone()),
    }
}

/// True where people should know at once.
pub(super) fn is_urgent(before: &SyncTaskStatus, after: &SyncTaskStatus) -> bool {
    before.observed_generation != after.observed_generation || !turned(before, after, true).is_empty()
}

/// The conditions that turned. CaughtUp turns with every transaction: it is no news.
fn turned<'a>(before: &SyncTaskStatus, after: &'a SyncTaskStatus, first: bool) -> Vec<&'a Condition> {
    let news = |new: &&Condition| {
        let old = before.conditions.iter().find(|old| old.type_ == new.type_);
        let tells = new.type_ != ConditionType::CaughtUp.name() || old.is_none();
        tells && old.map_or(first, |old| old.status != new.status)
    };
    after.conditions.iter().filter(news).collect()
}

fn says(status: &SyncTaskStatus, type_: ConditionType) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == type_.name() && condition.status == "True")
}

/// The turns to tell as events.
pub(super) fn turns(before: &SyncTaskStatus, after: &SyncTaskStatus) -> Vec<Turn> {
    let turn = |condition: &Condition| {
        let type_ = ConditionType::ALL.into_iter().find(|type_| type_.name() == condition.type_)?;
        let holds = condition.status == "True";
        let warning = holds == type_.is_trouble() && type_ != ConditionType::Paused;
        // at the first sight of a task only trouble is news, but for its being ready
        let first = !before.conditions.iter().any(|old| old.type_ == condition.type_);
        let news = !first || warning || type_ == ConditionType::Ready;
        // a task that its user holds back is not connected, and that is no news beside it
        let held = type_ != ConditionType::Paused && says(after, ConditionType::Paused);
        let news = news && !held && type_ != ConditionType::CaughtUp;
        let unknown = condition.status != "True" && condition.status != "False";
        (news && !unknown).then(|| Turn {
            warning,
            reason: match (holds, type_.is_trouble()) {
                (true, _) => type_.name().to_owned(),
                (false, true) => format!("{}Ended", type_.name()),
                (false, false) => format!("Not{}", type_.name()),
            },
            note: format!("{}: {}", condition.reason, condition.message),
            action: "Sync",
        })
    };
    turned(before, after, true).into_iter().filter_map(turn).collect()
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
