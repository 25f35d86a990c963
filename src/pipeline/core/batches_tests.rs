//! How many ids go into one request, and whose turn it is, while something fails.

use std::collections::{BTreeMap, BTreeSet};

use super::xa_tests::answered;
use super::*;
use crate::model::Class;

/// A core that goes on where another was, with one transaction's ids.
fn core(lanes: usize, ids: impl Iterator<Item = i64>) -> (Core, Vec<Input>) {
    let now = Now { millis: 1_000, unix_micros: 1 };
    let loaded = Checkpoint { epoch: 3, position: Some(StreamPosition::default()), ..Checkpoint::default() };
    let config = Config { lanes, batch: 64, ..Config::default() };
    let core = Core::new(config, Identity::default(), Some(loaded), Vec::new(), now);
    (core, transaction(ids))
}

fn transaction(ids: impl Iterator<Item = i64>) -> Vec<Input> {
    let rows = Rows { keys: ids.map(Key::int).collect(), ..Rows::default() };
    let end = BinlogPosition { file: "binlog.000001".into(), offset: 40 };
    vec![Input::Begin(Begin::default()), Input::Rows(rows), Input::End(end)]
}

fn late() -> Failure {
    Failure { class: Class::Retry, message: "time ran out".into() }
}

#[test]
fn what_failed_is_tried_in_smaller_batches() {
    let (mut core, inputs) = core(1, 0..64);
    let mut sizes = Vec::new();
    let mut step = |millis: u64, inputs: Vec<Input>| {
        answered(&mut core, millis, inputs, |command| match command {
            Command::Read { lane, keys, .. } => {
                sizes.push(keys.len());
                Some(Input::ReadDone { lane, rows: Ok(ReadRows::default()) })
            }
            Command::Write { lane, missing } if missing.len() > 16 => {
                Some(Input::WriteDone { lane, written: Written::Failed(late()) })
            }
            Command::Write { lane, missing } => {
                let verdicts = vec![Some(Verdict::Done); missing.len()];
                Some(Input::WriteDone { lane, written: Written::Verdicts(verdicts) })
            }
            _ => None,
        });
    };
    step(1_000, vec![]);
    step(1_000, inputs);
    // each longer than the longest pause
    (1..10).for_each(|n| step(n * 10_000, vec![Input::Tick]));
    assert!(sizes.starts_with(&[64, 32, 16, 19]), "{sizes:?}");
    assert_eq!(core.view().pending, 0);
}

/// An id whose query never comes to an end must not keep all others waiting, whatever lane it is in.
#[test]
fn an_id_that_always_fails_keeps_no_other_waiting() {
    for bad in 0..32 {
        let (mut core, inputs) = core(8, 0..800);
        let (mut reading, mut written) = (BTreeMap::new(), BTreeSet::new());
        let mut step = |millis: u64, inputs: Vec<Input>| {
            answered(&mut core, millis, inputs, |command| match command {
                Command::Read { lane, keys, .. } if keys.contains(&Key::int(bad)) => {
                    Some(Input::ReadDone { lane, rows: Err(late()) })
                }
                Command::Read { lane, keys, .. } => {
                    reading.insert(lane, keys);
                    Some(Input::ReadDone { lane, rows: Ok(ReadRows::default()) })
                }
                Command::Write { lane, .. } => {
                    let keys = reading.remove(&lane).unwrap();
                    let verdicts = vec![Some(Verdict::Done); keys.len()];
                    written.extend(keys.iter().cloned());
                    Some(Input::WriteDone { lane, written: Written::Verdicts(verdicts) })
                }
                _ => None,
            });
        };
        step(1_000, vec![]);
        step(1_000, inputs);
        (1..200).for_each(|n| step(n * 10_000, vec![Input::Tick]));
        // what comes while it is all that is tried
        step(2_000_000, transaction(1_000..1_100));
        (201..300).for_each(|n| step(n * 10_000, vec![Input::Tick]));
        assert_eq!((core.view().pending, written.len()), (1, 899), "{bad}");
    }
}

/// The same for lookups, of which four are under way at a time.
#[test]
fn a_lookup_that_always_fails_keeps_no_other_waiting() {
    for bad in 0..6 {
        let (mut core, _) = core(2, std::iter::empty());
        let begin = Input::Begin(Begin::default());
        let end = Input::End(BinlogPosition { file: "binlog.000001".into(), offset: 40 });
        let lookups: Vec<(usize, Key)> = (0..6).map(|rule| (rule, Key::int(1))).collect();
        let rows = Input::Rows(Rows { lookups, ..Rows::default() });
        let mut answers = 0;
        let mut step = |millis: u64, inputs: Vec<Input>| {
            answered(&mut core, millis, inputs, |command| match command {
                Command::Lookup { lookup, rule, .. } => {
                    let page = if rule == bad { Err(late()) } else { Ok(Page::default()) };
                    answers += usize::from(page.is_ok());
                    Some(Input::LookupDone { lookup, page })
                }
                _ => None,
            });
        };
        step(1_000, vec![]);
        step(1_000, vec![begin, rows, end]);
        (1..40).for_each(|n| step(n * 10_000, vec![Input::Tick]));
        assert_eq!(answers, 5, "{bad}");
    }
}
