//! A seeded simulator of the worker: the same core, on virtual time, in a world where anything may be late,
//! lost, doubled or in another order.
//!
//! `SIM_SEEDS=n` runs so many seeds (default 2,000), `SIM_FROM=n` begins there; `SIM_SEED=n` runs one with a
//! trace of `SIM_TRACE=n` lines (default 300). A run is a pure function of its seed: a failing one replays exactly.

// helpers of a test may index and panic; the lint exempts only #[test] functions themselves
#![allow(clippy::indexing_slicing, clippy::panic)]

mod bulk;
mod checks;
mod commands;
mod faults;
mod index;
mod mutation;
mod mysql;
mod owner;
mod queries;
mod rng;
mod run;
mod store;
mod stream;
mod tables;
mod weather;
mod workload;
mod world;

use mutation::Mutation;

const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs a seed once more with a trace, and says all that is known.
fn report(seed: u64, mutation: Option<Mutation>, what: &str) -> String {
    let (outcome, trace) = run::traced(seed, mutation);
    assert!(outcome.is_err(), "seed {seed} passes now: the run is no function of its seed; before: {what}");
    format!("{trace}\nseed {seed}: {what}\nreplay: SIM_SEED={seed} cargo test --test simulator converges\n")
}

/// Invariants 1, 2, 4, 5 and 9 (DESIGN) hold in every world.
#[test]
fn converges() {
    if let Some(seed) = number("SIM_SEED") {
        let (outcome, trace) = run::traced(seed, None);
        println!("{trace}\n{outcome:?}");
        assert!(outcome.is_ok(), "seed {seed}");
        return;
    }
    let from = number("SIM_FROM").unwrap_or(0);
    let to = from + number("SIM_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let share = |first: u64| {
        let (mut steps, mut time) = (0, 0);
        for seed in (first..to).step_by(threads as usize) {
            match run::plain(seed, None) {
                Ok(ran) => (steps, time) = (steps + ran.steps, time + ran.time),
                Err(what) => return Err((seed, what)),
            }
        }
        Ok((steps, time))
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|n| scope.spawn(move || share(from + n))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    if let Some((seed, what)) = shares.iter().filter_map(|share| share.as_ref().err()).min() {
        panic!("{}", report(*seed, None, what));
    }
    let steps: u64 = shares.iter().flatten().map(|(steps, _)| *steps).sum();
    let time: u64 = shares.iter().flatten().map(|(_, time)| *time).sum();
    println!("{steps} steps in {} hours of virtual time", time / 3_600_000);
}

/// Every mutation of the shell breaks an invariant in some world: the checks can fail.
#[test]
fn mutations_are_caught() {
    for mutation in Mutation::ALL {
        let caught =
            (0..SEEDS).find_map(|seed| run::plain(seed, Some(mutation)).err().map(|what| (seed, what)));
        let Some((seed, what)) = caught else { panic!("{mutation:?} was not caught in {SEEDS} seeds") };
        assert!(run::plain(seed, None).is_ok(), "seed {seed} fails without the mutation too");
        println!("{mutation:?}: caught by seed {seed}: {what}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 77, 4_711] {
        let once = run::traced(seed, None);
        assert_eq!(once, run::traced(seed, None), "seed {seed}");
    }
}
