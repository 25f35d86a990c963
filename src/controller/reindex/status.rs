//! What is written of a Reindex: pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::events::Turn;
use super::super::task::condition;
use crate::api::ReindexStatus;
use crate::model::{BuildPhase, BuildProgress};

/// The status to write, after the one of before. Without progress it waits, for this reason.
pub(in super::super) fn status(
    before: &ReindexStatus,
    progress: Option<&BuildProgress>,
    (reason, message): (&str, &str),
    generation: Option<i64>,
    now: &Time,
) -> ReindexStatus {
    let old = |type_: &str| before.conditions.iter().find(|condition| condition.type_ == type_);
    let phase = progress.map_or(BuildPhase::Pending, |progress| progress.phase);
    let (reason, message) = match (progress, phase) {
        (None, _) => (reason.to_owned(), message.to_owned()),
        (Some(progress), BuildPhase::Failed) => ("SelectionRefused".to_owned(), progress.failed.clone()),
        (Some(_), phase) => (format!("{phase:?}"), String::new()),
    };
    let say = |type_: &str, holds: bool| {
        condition(type_, (holds.into(), &reason, &message), old(type_), generation, now)
    };
    let conditions =
        vec![say("Complete", phase == BuildPhase::Complete), say("Failed", phase == BuildPhase::Failed)];
    let kept = |known: Option<i64>, before: Option<i64>| known.or(before);
    let running = progress.filter(|progress| !progress.phase.is_over());
    ReindexStatus {
        observed_generation: generation,
        conditions,
        phase: Some(match (progress, &before.phase) {
            // what has begun goes on at its cursor
            (None, Some(phase)) => phase.clone(),
            _ => format!("{phase:?}"),
        }),
        keys_done: kept(progress.map(|p| number(p.keys_done)), before.keys_done),
        documents: kept(progress.map(|p| number(p.documents)), before.documents),
        keys_estimate: kept(
            progress.map(|p| number(p.keys_estimate)).filter(|n| *n > 0),
            before.keys_estimate,
        ),
        progress: progress.map_or_else(|| before.progress.clone(), share),
        rate: running.map(|progress| format!("{:.0}/s", progress.rate)),
        eta: running.and_then(eta),
        cursor: match progress {
            Some(progress) if progress.phase.is_over() => None,
            Some(progress) => progress.cursor.clone().or_else(|| before.cursor.clone()),
            None => before.cursor.clone(),
        },
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The share done. The estimate may be too low: only what is complete is 100%.
fn share(progress: &BuildProgress) -> Option<String> {
    match progress.phase {
        BuildPhase::Complete => Some("100%".to_owned()),
        BuildPhase::Sweeping => Some("99%".to_owned()),
        _ if progress.keys_estimate == 0 => None,
        _ => Some(format!("{}%", (progress.keys_done.saturating_mul(100) / progress.keys_estimate).min(99))),
    }
}

fn eta(progress: &BuildProgress) -> Option<String> {
    let left = progress.keys_estimate.checked_sub(progress.keys_done).filter(|left| *left > 0)?;
    if progress.phase != BuildPhase::Walking || progress.rate < 0.5 {
        return None;
    }
    let seconds = (left as f64 / progress.rate).ceil() as u64;
    Some(crate::api::Period::seconds(seconds).to_string())
}

/// True where a condition turned: people should know at once.
pub(in super::super) fn has_turned(before: &ReindexStatus, after: &ReindexStatus) -> bool {
    let said = |status: &ReindexStatus| -> Vec<(String, String, String)> {
        let words = status.conditions.iter().map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone()));
        words.collect()
    };
    said(before) != said(after)
}

/// The event that tells of its end.
pub(in super::super) fn turn(status: &ReindexStatus) -> Option<Turn> {
    let over = status.conditions.iter().find(|condition| condition.status == "True")?;
    let done = status.keys_done.unwrap_or_default();
    let note = if over.message.is_empty() { format!("{done} keys are done") } else { over.message.clone() };
    Some(Turn { warning: over.type_ == "Failed", reason: over.type_.clone(), note, action: "Reindex" })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    const WAITING: (&str, &str) = ("TaskPaused", "it goes on");

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn tells_share_rate_and_time_left() {
        let progress = BuildProgress {
            phase: BuildPhase::Walking,
            keys_done: 250,
            documents: 249,
            keys_estimate: 1_000,
            rate: 50.0,
            cursor: Some("250".into()),
            ..BuildProgress::default()
        };
        let walking = status(&ReindexStatus::default(), Some(&progress), WAITING, Some(1), &at(5));
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        assert_eq!((text(&walking.phase), text(&walking.progress)), ("Walking".into(), "25%".into()));
        assert_eq!((walking.keys_done, walking.documents), (Some(250), Some(249)));
        assert_eq!((text(&walking.rate), text(&walking.eta)), ("50/s".into(), "15s".into()));
        // the task is paused: what was done stays
        let paused = status(&walking, None, WAITING, Some(1), &at(6));
        assert_eq!((text(&paused.phase), text(&paused.cursor)), ("Walking".into(), "250".into()));
        assert_eq!((paused.conditions[0].reason.as_str(), &paused.rate), ("TaskPaused", &None));
        assert!(has_turned(&walking, &paused));
        let done = BuildProgress { phase: BuildPhase::Complete, ..progress };
        let done = status(&paused, Some(&done), WAITING, Some(1), &at(7));
        assert_eq!((text(&done.progress), &done.eta, &done.cursor), ("100%".into(), &None, &None));
        assert_eq!(super::super::finished_at(&done), Some(7));
        assert_eq!(turn(&done).unwrap().reason, "Complete");
    }

    #[test]
    fn what_failed_says_why() {
        let failed =
            BuildProgress { phase: BuildPhase::Failed, failed: "no such column".into(), ..<_>::default() };
        let failed = status(&ReindexStatus::default(), Some(&failed), WAITING, None, &at(1));
        let turn = turn(&failed).unwrap();
        assert!(turn.warning && turn.note == "no such column");
        assert_eq!(super::super::finished_at(&failed), Some(1));
    }
}
