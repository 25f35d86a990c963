//! XA transactions whose rows nobody saw: one Full after their commit, and no loop.

use super::*;
use crate::model::{Gtid, GtidSet, Tag, Uuid};

fn at(offset: u64) -> BinlogPosition {
    BinlogPosition { file: "binlog.000007".into(), offset }
}

fn set(last: u64) -> GtidSet {
    let mut set = GtidSet::default();
    set.insert_range(Uuid([7; 16]), Tag::default(), 1, last + 1);
    set
}

/// Steps a core until it wants nothing more. Stores and streams answer at once, all else as `answer` says.
pub(super) fn answered(
    core: &mut Core,
    millis: u64,
    mut inputs: Vec<Input>,
    mut answer: impl FnMut(Command) -> Option<Input>,
) {
    let mut answer = |command| {
        let known = match command {
            Command::Save { .. } => Some(Input::Saved(SaveResult::Done)),
            Command::OpenStream { .. } => Some(Input::StreamOpened),
            _ => None,
        };
        answer(command).or(known)
    };
    loop {
        let commands = core.step(Now { millis, unix_micros: millis }, inputs);
        inputs = commands.into_iter().filter_map(&mut answer).collect();
        if inputs.is_empty() {
            return;
        }
    }
}

/// A core whose stores answer at once, whose walks are never answered, and whose stream stands where it said.
struct Rig {
    core: Core,
    now: u64,
    gtids: bool,
    places: usize,
    from: Option<StreamPosition>,
}

impl Rig {
    /// Running since a place at this transaction, its Full under way.
    fn new(gtids: bool, last: u64, deliver_first: Option<BinlogPosition>) -> Self {
        let now = Now { millis: 1_000, unix_micros: 1 };
        let identity = Identity { owner: "o".into(), initial_full: true, ..Identity::default() };
        let core = Core::new(Config::default(), identity, None, Vec::new(), now);
        let mut rig = Self { core, now: 1_000, gtids, places: 0, from: None };
        rig.step(vec![]);
        assert_eq!(rig.places, 1);
        rig.place(last, deliver_first);
        rig
    }

    fn step(&mut self, inputs: Vec<Input>) {
        let (places, stream) = (&mut self.places, &mut self.from);
        answered(&mut self.core, self.now, inputs, |command| {
            match command {
                Command::TakePlace => *places += 1,
                Command::OpenStream { from, .. } => *stream = Some(from),
                Command::CloseStream => *stream = None,
                _ => {}
            }
            None
        });
    }

    fn place(&mut self, last: u64, deliver_first: Option<BinlogPosition>) {
        let binlog = if deliver_first.is_some() { at(4) } else { at(last * 10 + 10) };
        let position = StreamPosition { gtids: self.gtids.then(|| set(last)), binlog };
        let place = Place { position, deliver_first, ..Place::default() };
        self.step(vec![Input::PlaceTaken(Ok(Box::new(place)))]);
    }

    fn begin(&self, number: u64) -> Input {
        let gtid = self.gtids.then(|| Gtid { uuid: Uuid([7; 16]), tag: Tag::default(), number });
        Input::Begin(Begin { gtid, start: at(number * 10), commit_timestamp: number })
    }

    fn end(number: u64) -> BinlogPosition {
        at(number * 10 + 10)
    }

    fn prepare(&mut self, number: u64, xid: u8) {
        let begin = self.begin(number);
        let rows = Rows { keys: vec![Key::int(i64::from(xid))], ..Rows::default() };
        self.step(vec![
            begin,
            Input::XaStart(vec![xid]),
            Input::Rows(rows),
            Input::XaPrepared(Self::end(number)),
        ]);
    }

    fn commit(&mut self, number: u64, xid: u8) {
        let begin = self.begin(number);
        let resolved = Input::XaResolved { xid: vec![xid], commit: true };
        self.step(vec![begin, resolved, Input::End(Self::end(number))]);
    }

    fn wait(&mut self) {
        self.now += super::stream::GAP_PAUSE;
        self.step(vec![Input::Tick]);
    }

    /// The version with which the Full that runs began, and how many gaps there were.
    fn full(&self) -> (u64, u64) {
        let view = self.core.view();
        let full = view.builds.iter().find(|build| build.name == FULL).map(|build| build.build.first_version);
        (full.unwrap_or_default(), view.counts.gaps)
    }
}

#[test]
fn commits_of_unseen_xa_transactions_lead_to_one_full_and_the_stream_goes_on() {
    for gtids in [true, false] {
        let mut rig = Rig::new(gtids, 10, None);
        let initial = rig.full();
        rig.prepare(11, 1);
        rig.commit(12, 90); // prepared before the place
        rig.wait();
        assert_eq!((rig.places, rig.from.clone()), (2, None), "{gtids}");
        // meanwhile 13 prepares, and 14 and 15 commit what was prepared before the place
        rig.place(15, None);
        let (full, gaps) = rig.full();
        assert!(full > initial.0 && gaps == 1, "{gtids}: a Full begins after the commit");
        let from = rig.from.clone().unwrap();
        assert_eq!(from.binlog, at(120), "{gtids}: the stream missed nothing");
        rig.commit(12, 90);
        rig.prepare(13, 2);
        rig.commit(14, 91);
        rig.commit(15, 92);
        assert_eq!(rig.full(), (full, 1), "{gtids}: the Full began after these");
        rig.commit(16, 1);
        rig.commit(17, 2);
        assert_eq!(rig.full(), (full, 1), "{gtids}: their PREPAREs were seen");
        rig.commit(18, 93);
        rig.wait();
        rig.place(18, None);
        assert!(rig.full().0 > full && rig.full().1 == 2, "{gtids}: this one began before");
        assert_eq!(rig.places, 3, "{gtids}");
    }
}

#[test]
fn what_is_prepared_stays_before_the_watermark() {
    let mut rig = Rig::new(true, 10, None);
    rig.prepare(11, 1);
    rig.commit(12, 90);
    rig.wait();
    rig.place(12, None);
    rig.commit(12, 90);
    let acked = rig.core.view().position.gtids.unwrap();
    let mut expected = set(12);
    expected.remove(&Gtid { uuid: Uuid([7; 16]), tag: Tag::default(), number: 11 });
    assert_eq!(acked, expected, "a restart sees the PREPARE again");
}

#[test]
fn a_commit_before_what_is_delivered_first_is_no_gap() {
    let mut rig = Rig::new(false, 50, Some(at(400)));
    let initial = rig.full();
    rig.commit(12, 90);
    rig.commit(13, 91);
    assert_eq!((rig.full(), rig.places), (initial, 1));
    rig.commit(41, 92);
    rig.wait();
    rig.place(50, Some(at(420)));
    assert!(rig.full().0 > initial.0 && rig.full().1 == 1);
    for (number, xid) in [(12, 90), (13, 91), (41, 92)] {
        rig.commit(number, xid);
    }
    assert_eq!((rig.full().1, rig.places), (1, 2), "the place begins at the file's head again: no loop");
}

#[test]
fn another_server_is_begun_at_its_own_place() {
    let mut rig = Rig::new(true, 10, None);
    rig.prepare(11, 1);
    rig.commit(12, 90);
    rig.wait();
    let position = StreamPosition { gtids: Some(set(20)), binlog: at(4) };
    let place = Place { position, server_uuid: "another".into(), ..Place::default() };
    rig.step(vec![Input::PlaceTaken(Ok(Box::new(place)))]);
    assert_eq!(rig.from.clone().unwrap().gtids, Some(set(20)));
}
