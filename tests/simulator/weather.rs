//! What kind of world a seed gives: sizes, rates, and how often what breaks.

use binlog_operator::pipeline::core::Config;

use crate::rng::Rng;

/// A bulk request lands at most so long after its version was taken: the shell refuses to send what is
/// older than 30 s, and the network keeps nothing longer than this.
pub(crate) const LAND_LIMIT: u64 = 35_000;

/// Chances are in thousandths.
#[allow(clippy::struct_excessive_bools)] // each is a property of its own
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) gtids: bool,
    pub(crate) ordered: bool,
    pub(crate) mains: u64,
    pub(crate) children: u64,
    pub(crate) parents: u64,
    /// How long the workload and the faults go on, ms.
    pub(crate) length: u64,
    /// Mean pause between transactions, ms.
    pub(crate) pause: u64,
    /// Mean pause between larger faults, ms; 0 for none.
    pub(crate) faults: u64,
    /// Children are found by a lookup instead of by their own column.
    pub(crate) child_lookups: bool,
    pub(crate) spellings: bool,
    pub(crate) xa: bool,
    pub(crate) poison: u64,
    pub(crate) bad: u64,
    /// Mean time from the binlog to visible, ms.
    pub(crate) commit_delay: u64,
    /// Mean time of a request, ms.
    pub(crate) latency: u64,
    /// Requests that take seconds.
    pub(crate) slow: u64,
    pub(crate) read_fails: u64,
    pub(crate) bulk_fails: u64,
    pub(crate) item_fails: u64,
    pub(crate) store_fails: u64,
    /// A crash after a step.
    pub(crate) crash: u64,
    pub(crate) gaps: bool,
    pub(crate) gc_deletes: u64,
    pub(crate) letters_room: usize,
    /// Most actions in a request.
    pub(crate) too_large: usize,
    pub(crate) config: Config,
}

impl Weather {
    pub(crate) fn of(rng: &mut Rng, seed: u64) -> Self {
        // a few calm worlds, most of them rough in some respects only
        let mut rough = |often: u64, most: u64| if rng.chance(often) { rng.between(1, most) } else { 0 };
        let (read_fails, bulk_fails, item_fails) = (rough(600, 150), rough(600, 200), rough(500, 150));
        let (store_fails, slow, crash) = (rough(500, 200), rough(500, 40), rough(400, 6));
        let (poison, bad) = (rough(400, 120), rough(300, 60));
        let (gtids, ordered) = (rng.chance(700), rng.chance(600));
        let gc_deletes = if rng.chance(500) { 60_000 } else { 3_600_000 };
        let mains = rng.between(4, 40);
        let config = Self::config(rng, seed, ordered, gc_deletes, mains);
        Self {
            gtids,
            ordered,
            mains,
            children: rng.between(0, 50),
            parents: rng.between(1, 8),
            length: rng.between(20_000, 150_000),
            pause: if rng.chance(300) { rng.between(50, 200) } else { rng.between(300, 2_000) },
            faults: if rng.chance(150) { 0 } else { rng.between(3_000, 30_000) },
            child_lookups: rng.chance(300),
            spellings: rng.chance(250),
            xa: rng.chance(350),
            poison,
            bad,
            commit_delay: if rng.chance(300) { rng.between(100, 2_000) } else { rng.between(0, 30) },
            latency: rng.between(1, 60),
            slow,
            read_fails,
            bulk_fails,
            item_fails,
            store_fails,
            crash,
            gaps: rng.chance(500),
            gc_deletes,
            letters_room: config.max_dead_letters,
            too_large: if rng.chance(200) { rng.between(1, 8) as usize } else { usize::MAX },
            config,
        }
    }

    fn config(rng: &mut Rng, seed: u64, ordered: bool, gc_deletes: u64, mains: u64) -> Config {
        let narrow = rng.chance(300);
        Config {
            lanes: rng.between(1, 5) as usize,
            batch: rng.between(1, 20) as usize,
            // not drawn, so that known seeds stay what they are
            linger: if seed.is_multiple_of(4) { 150 } else { 0 },
            fresh_pages: if seed.is_multiple_of(3) { vec![3, 1, 2] } else { Vec::new() },
            max_pending: if narrow { rng.between(3, 20) } else { 1_000 } as usize,
            max_transactions: if narrow { rng.between(3, 20) } else { 1_000 } as usize,
            lookup_keys: rng.between(1, 4) as usize,
            lookup_page: rng.between(1, 12) as usize,
            full_page: rng.between(1, 20) as usize,
            save_interval: rng.between(200, 10_000),
            max_age: 30_000,
            landing: LAND_LIMIT,
            late_creates: false,
            late_answer: gc_deletes / 2,
            max_dead_letters: (if rng.chance(200) { 3 } else { 2 * mains + 10 }) as usize,
            repair: true,
            keep_on_change: false,
            sweep: true,
            ordered_commits: ordered,
            seed,
        }
    }

    /// The source is quiet and nothing breaks any longer.
    pub(crate) fn clears(&mut self) {
        (self.slow, self.read_fails, self.bulk_fails, self.item_fails) = (0, 0, 0, 0);
        (self.store_fails, self.crash, self.faults) = (0, 0, 0);
        self.letters_room = usize::MAX;
    }
}
