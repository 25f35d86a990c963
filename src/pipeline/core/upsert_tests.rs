//! Documents that are created without a version: a creation that lands late is looked for.

use super::xa_tests::answered;
use super::*;

const GONE: i64 = 7;

struct Rig {
    core: Core,
    now: u64,
    writes: usize,
}

impl Rig {
    /// A worker that goes on where another one was, after a row went whose document is not there either.
    fn new(late_creates: bool) -> Self {
        let now = Now { millis: 1_000, unix_micros: 1 };
        let loaded =
            Checkpoint { epoch: 3, position: Some(StreamPosition::default()), ..Checkpoint::default() };
        let config = Config { late_creates, landing: 40_000, ..Config::default() };
        let core = Core::new(config, Identity::default(), Some(loaded), Vec::new(), now);
        let mut rig = Self { core, now: 1_000, writes: 0 };
        rig.step(vec![]);
        let end = BinlogPosition { file: "binlog.000001".into(), offset: 40 };
        let rows = Rows { keys: vec![Key::int(GONE)], ..Rows::default() };
        rig.step(vec![Input::Begin(Begin::default()), Input::Rows(rows), Input::End(end)]);
        rig
    }

    fn step(&mut self, inputs: Vec<Input>) {
        let writes = &mut self.writes;
        answered(&mut self.core, self.now, inputs, |command| match command {
            Command::Read { lane, .. } => Some(Input::ReadDone { lane, rows: Ok(ReadRows::default()) }),
            Command::Write { lane, missing } => {
                *writes += 1;
                let verdicts = vec![Some(Verdict::Done); missing.len()];
                Some(Input::WriteDone { lane, written: Written::Verdicts(verdicts) })
            }
            _ => None,
        });
    }

    fn pending_at(&mut self, millis: u64) -> usize {
        self.now = millis;
        self.step(vec![Input::Tick]);
        self.core.view().pending
    }
}

#[test]
fn an_id_without_a_row_is_looked_at_until_no_creation_can_land() {
    let mut rig = Rig::new(true);
    assert_eq!(rig.pending_at(1_000), 1);
    assert_eq!(rig.pending_at(40_000), 1);
    let tried = rig.writes;
    assert!(tried > 1);
    assert_eq!(rig.pending_at(42_000), 0);
    assert_eq!(rig.writes, tried + 1);

    let mut rig = Rig::new(false);
    assert_eq!((rig.pending_at(1_000), rig.writes), (0, 1));
}
