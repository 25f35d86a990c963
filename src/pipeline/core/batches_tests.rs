//! How many ids go into one request.

use super::xa_tests::answered;
use super::*;
use crate::model::Class;

/// Sizes of the batches that are read after the first write failed when its batch was so many milliseconds old.
fn sizes_after_failure_at_age(age: u64) -> Vec<usize> {
    let now = Now { millis: 1_000, unix_micros: 1 };
    let loaded = Checkpoint { epoch: 3, position: Some(StreamPosition::default()), ..Checkpoint::default() };
    let config = Config { lanes: 1, batch: 64, ..Config::default() };
    let mut core = Core::new(config, Identity::default(), Some(loaded), Vec::new(), now);
    let rows = Rows { keys: (0..64).map(Key::int).collect(), ..Rows::default() };
    let end = BinlogPosition { file: "binlog.000001".into(), offset: 40 };
    let (mut sizes, mut writing) = (Vec::new(), None);
    let mut step = |millis: u64, inputs: Vec<Input>| {
        answered(&mut core, millis, inputs, |command| match command {
            Command::Read { lane, keys, .. } => {
                sizes.push(keys.len());
                Some(Input::ReadDone { lane, rows: Ok(ReadRows::default()) })
            }
            Command::Write { lane, missing } if sizes.len() == 1 => {
                writing = Some((lane, missing.len()));
                None
            }
            Command::Write { lane, missing } => {
                let verdicts = vec![Some(Verdict::Done); missing.len()];
                Some(Input::WriteDone { lane, written: Written::Verdicts(verdicts) })
            }
            _ => None,
        });
    };
    step(1_000, vec![]);
    step(1_000, vec![Input::Begin(Begin::default()), Input::Rows(rows), Input::End(end)]);
    let failure = Failure { class: Class::Retry, message: "time ran out".into() };
    step(1_000 + age, vec![Input::WriteDone { lane: 0, written: Written::Failed(failure) }]);
    // longer than any pause after one failure
    step(200_000 + age, vec![Input::Tick]);
    assert_eq!(writing, Some((0, 64)));
    sizes
}

#[test]
fn what_takes_the_index_too_long_is_tried_in_smaller_batches() {
    assert_eq!(sizes_after_failure_at_age(5), [64, 64]);
    assert!(sizes_after_failure_at_age(60_000).starts_with(&[64, 32]));
}
