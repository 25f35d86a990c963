//! The world: virtual time, the queue of what happens next, and everybody in it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use binlog_operator::model::{Checkpoint, Key, LastTransaction, StreamPosition};
use binlog_operator::pipeline::core::{BuildSpec, DeadLetter, Input};

use crate::bulk::Bulk;
use crate::checks::Versions;
use crate::index::{Action, Index};
use crate::mutation::Mutation;
use crate::mysql::{Kind, MySql};
use crate::owner::{Owner, ReadAnswer};
use crate::queries::Query;
use crate::rng::Rng;
use crate::store::{Origin, Store};
use crate::tables::Table;
use crate::weather::Weather;
use crate::workload;

/// Lines that a trace keeps, unless `SIM_TRACE` says another number.
const TRACE: u64 = 300;

/// What happens at a moment.
pub(crate) enum Event {
    /// The application's next transaction.
    Work,
    /// A commit becomes visible.
    Show {
        index: usize,
        life: u32,
    },
    /// A commit counts as executed.
    Execute {
        index: usize,
        life: u32,
    },
    /// The next larger fault.
    Fault,
    /// Somebody looks whether the worker lives.
    Supervise,
    /// A frozen owner may go on.
    Thaw(usize),
    /// Another owner starts beside those that are there.
    Another,
    /// The connection has what it must have: the statement runs.
    Select(Box<Query>),
    /// A wait was too long.
    GiveUp(u64),
    /// A bulk request reaches the index.
    Land(Box<Bulk>),
    /// A sweep's question reaches the index.
    Scroll {
        owner: usize,
        build: String,
        run: u64,
        below: u64,
        first: bool,
    },
    /// A checkpoint reaches the store.
    Save {
        owner: usize,
        expect: (u64, u64),
        checkpoint: Box<Checkpoint>,
        origin: Origin,
        heard: bool,
    },
    /// Dead letters reach the store.
    Letters {
        owner: usize,
        epoch: u64,
        add: Vec<DeadLetter>,
        remove: Vec<Key>,
        heard: bool,
    },
    /// Somebody creates the index that is gone.
    Recreate,
    /// The second issuer of that mutation is at work.
    HelperReads,
    HelperWrites(Action),
    /// Something reaches an owner; it waits while he is frozen.
    To(usize, Mail),
}

/// What reaches an owner.
pub(crate) enum Mail {
    /// He starts.
    Begin,
    /// The core's own deadline.
    Wake,
    Input(Input),
    Read(usize, ReadAnswer),
    /// A stream is to be opened here.
    Open {
        stream: u64,
        from: StreamPosition,
        verify: Option<LastTransaction>,
    },
    /// The stream may have more.
    More(u64),
    /// Time to ask what the server has executed, and whether the index is still the same.
    Poll,
}

/// Until when somebody does not answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outages {
    pub(crate) source: u64,
    pub(crate) sink: u64,
    pub(crate) store: u64,
    /// Commits do not become visible (semisync).
    pub(crate) commits: u64,
}

struct Due(u64, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub(crate) struct World {
    pub(crate) now: u64,
    queue: BinaryHeap<Reverse<Due>>,
    scheduled: u64,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) mysql: MySql,
    pub(crate) index: Index,
    pub(crate) store: Store,
    pub(crate) owners: Vec<Owner>,
    /// Queries that wait for commits, by ticket.
    pub(crate) waiting: BTreeMap<u64, Query>,
    pub(crate) tickets: u64,
    pub(crate) outages: Outages,
    last_shown: u64,
    xids: u64,
    pub(crate) quiet: bool,
    /// Bulk requests that have not landed.
    pub(crate) landing: usize,
    /// Builds that were asked for, and whether they are complete.
    pub(crate) builds: Vec<(BuildSpec, bool)>,
    pub(crate) versions: Versions,
    pub(crate) violation: Option<String>,
    pub(crate) trace: Option<VecDeque<String>>,
    trace_lines: u64,
    pub(crate) steps: u64,
}

impl World {
    pub(crate) fn new(seed: u64, mutation: Option<Mutation>, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let weather = Weather::of(&mut rng, seed);
        let mut mysql = MySql::new(weather.gtids);
        workload::furnish(&mut mysql, &weather, &mut rng.fork());
        mysql.found_so(None);
        let store = Store { room: weather.letters_room, ..Store::default() };
        let mut world = Self {
            now: 1_000,
            queue: BinaryHeap::new(),
            scheduled: 0,
            index: Index::new(weather.gc_deletes),
            rng,
            weather,
            mutation,
            mysql,
            store,
            owners: Vec::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            outages: Outages::default(),
            last_shown: 0,
            xids: 0,
            quiet: false,
            landing: 0,
            builds: Vec::new(),
            versions: Versions::default(),
            violation: None,
            trace: traced.then(VecDeque::new),
            trace_lines: crate::number("SIM_TRACE").unwrap_or(TRACE),
            steps: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        // some transactions are already under way when the worker starts
        for _ in 0..self.rng.below(6) {
            self.transact();
        }
        self.note(|world| format!("weather: {:?}", world.weather));
        self.at(0, Event::Supervise);
        self.at(0, Event::Work);
        if self.weather.faults > 0 {
            self.at(self.weather.faults, Event::Fault);
        }
        if self.mutation == Some(Mutation::SecondIssuer) {
            self.at(5_000, Event::HelperReads);
        }
    }

    /// Something happens in so many milliseconds.
    pub(crate) fn at(&mut self, delay: u64, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse(Due(self.now + delay, self.scheduled, event)));
    }

    /// Writes a line of the trace, if there is one.
    pub(crate) fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.trace.is_none() {
            return;
        }
        let line = format!("{:>9} {}", self.now, line(self));
        if let Some(trace) = &mut self.trace {
            trace.push_back(line);
            if trace.len() as u64 > self.trace_lines {
                trace.pop_front();
            }
        }
    }

    pub(crate) fn violated(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    /// The time of a request: mostly short, sometimes seconds.
    pub(crate) fn latency(&mut self) -> u64 {
        let usual = self.weather.latency;
        if self.rng.chance(self.weather.slow) {
            return self.rng.between(500, 20_000);
        }
        if self.rng.chance(100) {
            self.rng.between(usual, usual * 8 + 20)
        } else {
            self.rng.between(0, usual)
        }
    }

    /// Lets everything happen up to this time. False where a check failed.
    pub(crate) fn run_until(&mut self, end: u64) -> bool {
        while self.violation.is_none() {
            match self.queue.peek() {
                Some(Reverse(due)) if due.0 <= end => {}
                _ => {
                    self.now = self.now.max(end);
                    return true;
                }
            }
            let Some(Reverse(Due(at, _, event))) = self.queue.pop() else { return true };
            self.now = self.now.max(at);
            self.steps += 1;
            self.happen(event);
        }
        false
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Work => self.work(),
            Event::Show { index, life } if life == self.mysql.life => self.show(index),
            Event::Execute { index, life } if life == self.mysql.life => {
                self.mysql.execute(index);
                self.wake_queries();
            }
            Event::Show { .. } | Event::Execute { .. } => {}
            Event::Fault => self.fault(),
            Event::Supervise => self.supervise(),
            Event::Thaw(owner) => self.thaw(owner),
            Event::Another => self.another(),
            Event::Select(query) => self.select(*query),
            Event::GiveUp(ticket) => self.give_up(ticket),
            Event::Land(bulk) => self.land(&bulk),
            Event::Scroll { owner, build, run, below, first } => self.scroll(owner, build, run, below, first),
            Event::Save { owner, expect, checkpoint, origin, heard } => {
                self.save_arrives(owner, expect, &checkpoint, &origin, heard);
            }
            Event::Letters { owner, epoch, add, remove, heard } => {
                self.letters_arrive(owner, epoch, &add, &remove, heard);
            }
            Event::Recreate => self.index.create(),
            Event::HelperReads => self.helper_reads(),
            Event::HelperWrites(action) => self.helper_writes(action),
            Event::To(owner, mail) => self.deliver(owner, mail),
        }
    }

    fn work(&mut self) {
        if self.quiet {
            return;
        }
        self.transact();
        let pause = self.weather.pause;
        let next = if self.rng.chance(200) { 0 } else { self.rng.between(0, pause * 2) };
        self.at(next, Event::Work);
    }

    fn transact(&mut self) {
        let truncating = |kind: &Kind| matches!(kind, Kind::Truncate(_));
        let blocked = self.mysql.log.iter().rev().take(5).any(|e| e.visible.is_none() && truncating(&e.kind));
        if blocked {
            return;
        }
        let kind = workload::next(&self.mysql, &self.weather, &mut self.rng, &mut self.xids);
        if let Some(kind) = kind {
            self.commit(kind);
        }
    }

    /// Writes a transaction to the binlog and says when its other two moments come.
    pub(crate) fn commit(&mut self, kind: Kind) {
        if let Kind::Resolve(xid, _) = &kind
            && self.mysql.log.iter().any(|e| matches!(&e.kind, Kind::Resolve(x, _) if x == xid))
        {
            return; // it is on its way already
        }
        if let Kind::Prepare(xid, changes) = &kind {
            self.mysql.prepared.insert(*xid, changes.clone());
        }
        let prepares = matches!(kind, Kind::Prepare(..));
        self.note(|_| format!("commit {kind:?}"));
        let index = self.mysql.write(self.now, kind);
        let delay = self.weather.commit_delay;
        let delay = if self.rng.chance(100) { delay * 4 } else { self.rng.between(0, delay * 2) };
        let mut shown = (self.now + delay).max(self.outages.commits);
        if self.weather.ordered || prepares {
            shown = shown.max(self.last_shown);
        }
        if self.weather.ordered {
            self.last_shown = shown;
        }
        let life = self.mysql.life;
        let delay = shown - self.now;
        self.at(delay, Event::Show { index, life });
        let executed = delay + if self.rng.chance(300) { self.rng.between(0, 30) } else { 0 };
        self.at(executed, Event::Execute { index, life });
        for owner in 0..self.owners.len() {
            self.pour(owner);
        }
    }

    fn show(&mut self, index: usize) {
        self.mysql.show(index);
        self.note(|world| format!("visible: {:?}", world.mysql.log.get(index).map(|entry| &entry.end)));
        self.wake_queries();
    }

    /// Truncates a table where nobody holds a row of it.
    pub(crate) fn truncate(&mut self) {
        if self.mysql.quiet() {
            let table = if self.rng.chance(500) { Table::Main } else { Table::Child };
            self.commit(Kind::Truncate(table));
        }
    }
}
