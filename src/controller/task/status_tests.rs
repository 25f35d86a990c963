use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::model::ConditionType as C;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn said(ready: bool, reason: &str) -> TaskStatus {
    let mut said = TaskStatus { position: Some(<_>::default()), dead_letters: 2, ..TaskStatus::default() };
    said.set(C::Ready, ready, reason, "");
    said
}

#[test]
fn a_conditions_time_is_that_of_its_last_turn() {
    let first = status(&SyncTaskStatus::default(), &said(true, "Building"), Some(1), "me", &at(10));
    let second = status(&first, &said(true, "InSync"), Some(2), "me", &at(20));
    let third = status(&second, &said(false, "Stalled"), Some(2), "me", &at(30));
    let times = [&first, &second, &third].map(|s| s.conditions[0].last_transition_time.0.as_second());
    assert_eq!(times, [10, 10, 30]);
    assert_eq!((second.conditions[0].observed_generation, second.observed_generation), (Some(2), Some(2)));
    assert_eq!(status(&third, &said(false, "Stalled"), Some(2), "me", &at(40)), third);
}

#[test]
fn who_has_not_looked_knows_no_figures() {
    let before = status(&SyncTaskStatus::default(), &said(true, "InSync"), Some(1), "me", &at(1));
    let mut paused = TaskStatus::default();
    paused.set(C::Ready, false, "Paused", "");
    let after = status(&before, &paused, Some(2), "me", &at(2));
    assert_eq!((before.dead_letters, after.dead_letters), (Some(2), Some(2)));
    let mut none = said(true, "InSync");
    none.dead_letters = 0;
    assert_eq!(status(&after, &none, Some(2), "me", &at(3)).dead_letters, Some(0));
}

#[test]
fn turns_are_news_and_a_busy_task_is_not() {
    let mut busy = said(true, "InSync");
    busy.set(C::CaughtUp, true, "CaughtUp", "");
    busy.set(C::DeadLetters, false, "None", "");
    let before = status(&SyncTaskStatus::default(), &busy, Some(1), "me", &at(1));
    // ready is news at first sight, what is as it should be is not
    let reasons = |before: &SyncTaskStatus, after: &SyncTaskStatus| {
        turns(before, after).into_iter().map(|turn| (turn.reason, turn.warning)).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&SyncTaskStatus::default(), &before), [("Ready".to_owned(), false)]);
    busy.set(C::CaughtUp, false, "Behind", "");
    busy.documents_written = 9;
    let after = status(&before, &busy, Some(1), "me", &at(2));
    assert!(after != before && !is_urgent(&before, &after) && turns(&before, &after).is_empty());
    busy.set(C::DeadLetters, true, "Refused", "1 document was refused");
    let letters = status(&after, &busy, Some(1), "me", &at(3));
    assert!(is_urgent(&after, &letters));
    assert_eq!(reasons(&after, &letters), [("DeadLetters".to_owned(), true)]);
    busy.set(C::DeadLetters, false, "None", "");
    let healed = status(&letters, &busy, Some(1), "me", &at(4));
    assert_eq!(reasons(&letters, &healed), [("DeadLettersEnded".to_owned(), false)]);
}

#[test]
fn a_task_held_back_tells_how_long_the_binlog_waits() {
    let running = TaskStatus { binlog_kept: Some(3_600), lag_seconds: 60, ..said(true, "InSync") };
    let running = status(&SyncTaskStatus::default(), &running, Some(1), "me", &at(1));
    assert_eq!((running.binlog_kept_seconds, &running.purge_after), (Some(3_600), &None));
    let mut paused = TaskStatus::default();
    paused.set(C::Paused, true, "Paused", "");
    let first = status(&running, &paused, Some(2), "me", &at(1_000));
    let second = status(&first, &paused, Some(2), "other", &at(2_000));
    let seconds = |status: &SyncTaskStatus| status.purge_after.as_ref().map(|time| time.0.as_second());
    assert_eq!((seconds(&first), seconds(&second)), (Some(1_000 + 3_600 - 60), Some(4_540)));
    let again = TaskStatus { binlog_kept: None, ..said(true, "InSync") };
    let mut again = again;
    again.set(C::Paused, false, "Running", "");
    let again = status(&second, &again, Some(3), "me", &at(3_000));
    assert_eq!((again.binlog_kept_seconds, again.purge_after), (None, None));
}
