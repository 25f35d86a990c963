//! What an owner asks of MySQL: first the wait, then the statement, then the answer.

use binlog_operator::model::{Class, Key, StreamPosition};
use binlog_operator::pipeline::core::{Failure, Input, Page, Place, ReadRows, Seen};

use crate::mutation::Mutation;
use crate::mysql::Need;
use crate::owner::Read;
use crate::tables::{Quality, number, of_key};
use crate::world::{Event, Mail, World};

#[derive(Debug)]
pub(crate) enum Ask {
    Read {
        lane: usize,
        keys: Vec<i64>,
        version: u64,
    },
    Lookup {
        lookup: u64,
        rule: usize,
        values: Vec<i64>,
        after: Option<i64>,
        limit: usize,
    },
    Walk {
        build: String,
        run: u64,
        after: Option<i64>,
        limit: usize,
    },
    /// Where the source is; without GTIDs the position was taken when the question was asked.
    Place(StreamPosition),
}

#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) owner: usize,
    pub(crate) need: Need,
    pub(crate) ask: Ask,
}

pub(crate) fn later(message: &str) -> Failure {
    Failure { class: Class::Retry, message: message.into() }
}

impl World {
    pub(crate) fn ask(&mut self, owner: usize, seen: &Seen, ask: Ask) {
        let mut need = Need::from(seen);
        let skips = match (self.mutation, &ask) {
            (Some(Mutation::NoCausalWait), Ask::Read { .. } | Ask::Lookup { .. })
            | (Some(Mutation::NoCausalWait | Mutation::BuildReadsWithoutWait), Ask::Walk { .. }) => true,
            (Some(Mutation::BuildReadsWithoutWait), Ask::Read { keys, .. }) => self.of_build(owner, keys),
            _ => false,
        };
        if skips {
            need = Need::Nothing;
        }
        if matches!(ask, Ask::Place(_)) && !self.mysql.gtids {
            need = Need::Visible(self.mysql.log.len());
        }
        let query = Query { owner, need, ask };
        if self.mysql.has(&query.need) {
            let delay = self.latency();
            return self.at(delay, Event::Select(Box::new(query)));
        }
        self.tickets += 1;
        let ticket = self.tickets;
        let timeout = self.rng.between(1_000, 12_000);
        self.waiting.insert(ticket, query);
        self.at(timeout, Event::GiveUp(ticket));
    }

    /// Has a build asked for one of these ids since it was last read?
    fn of_build(&mut self, owner: usize, keys: &[i64]) -> bool {
        let walked = &mut self.owners[owner].walked;
        keys.iter().filter(|key| walked.remove(key)).count() > 0
    }

    /// Lets those queries run that have all that they waited for.
    pub(crate) fn wake_queries(&mut self) {
        let ready: Vec<u64> =
            self.waiting.iter().filter(|(_, q)| self.mysql.has(&q.need)).map(|(ticket, _)| *ticket).collect();
        for ticket in ready {
            if let Some(query) = self.waiting.remove(&ticket) {
                let delay = self.latency();
                self.at(delay, Event::Select(Box::new(query)));
            }
        }
    }

    pub(crate) fn give_up(&mut self, ticket: u64) {
        if let Some(query) = self.waiting.remove(&ticket) {
            self.refuse(query, "the wait timed out");
        }
    }

    /// The server went away: nobody gets an answer.
    pub(crate) fn drop_queries(&mut self) {
        for (_, query) in std::mem::take(&mut self.waiting) {
            self.refuse(query, "server has gone away");
        }
    }

    fn refuse(&mut self, query: Query, why: &str) {
        let failure = later(why);
        let mail = match query.ask {
            Ask::Read { lane, .. } => Mail::Read(lane, Err(failure)),
            Ask::Lookup { lookup, .. } => Mail::Input(Input::LookupDone { lookup, page: Err(failure) }),
            Ask::Walk { build, run, .. } => Mail::Input(Input::Walked { build, run, page: Err(failure) }),
            Ask::Place(_) => Mail::Input(Input::PlaceTaken(Err(failure))),
        };
        let delay = self.latency();
        self.at(delay, Event::To(query.owner, mail));
    }

    /// The statement runs: it sees what is visible at this moment.
    pub(crate) fn select(&mut self, query: Query) {
        let fails = self.now < self.outages.source || self.rng.chance(self.weather.read_fails);
        if fails {
            return self.refuse(query, "connection reset");
        }
        let owner = query.owner;
        let mail = match query.ask {
            Ask::Read { lane, keys, version } => Mail::Read(lane, Ok(self.read(owner, &keys, version))),
            Ask::Lookup { lookup, rule, values, after, limit } => {
                let page = page(self.mysql.tables.look_up(rule, &values, after), limit);
                Mail::Input(Input::LookupDone { lookup, page: Ok(page) })
            }
            Ask::Walk { build, run, after, limit } => {
                let part = build.starts_with("part");
                let keys = self.mysql.tables.keys_after(after);
                let keys = keys.filter(|key| !part || number(*key) % 3 == 0).collect();
                Mail::Input(Input::Walked { build, run, page: Ok(page(keys, limit)) })
            }
            Ask::Place(asked) => {
                let place = self.place(asked);
                self.owners[owner].placing = Some((place.position.clone(), self.mysql.life));
                Mail::Input(Input::PlaceTaken(Ok(Box::new(place))))
            }
        };
        let delay = self.latency();
        self.at(delay, Event::To(owner, mail));
    }

    fn read(&mut self, owner: usize, keys: &[i64], version: u64) -> Read {
        let snapshot = self.mysql.seen;
        let mut read = Read { rows: ReadRows::default(), documents: Vec::new(), snapshot };
        let asked: std::collections::BTreeSet<i64> = keys.iter().copied().collect();
        let mut others = std::collections::BTreeSet::new();
        for (at, key) in keys.iter().enumerate() {
            let document = self.mysql.tables.document(*key);
            match document.map(|document| document.quality) {
                Some(Quality::Bad) => read.rows.bad.push((at, "invalid UTF-8".into())),
                Some(_) => read.rows.found.push(at),
                None => others.extend(self.mysql.tables.own_spelling(*key)),
            }
            read.documents.push(document);
        }
        read.rows.others = others.difference(&asked).map(|key| Key::int(*key)).collect();
        self.versions.read_at(version, snapshot);
        self.note(|_| format!("o{owner} reads {keys:?} v{version} at {snapshot}: {:?}", read.rows));
        read
    }

    fn place(&mut self, asked: StreamPosition) -> Place {
        self.index.create();
        let position = if self.mysql.gtids { self.mysql.executed() } else { asked };
        Place {
            last_transaction: self.mysql.last_before(&position),
            position,
            server_uuid: "server".into(),
            index_uuid: self.index.uuid(),
            schemas: Vec::new(),
            deliver_first: None,
        }
    }
}

fn page(mut keys: Vec<i64>, limit: usize) -> Page {
    let more = keys.len() > limit;
    keys.truncate(limit);
    Page { keys: keys.into_iter().map(Key::int).collect(), more }
}

pub(crate) fn numbers(keys: &[Key]) -> Vec<i64> {
    keys.iter().map(of_key).collect()
}
