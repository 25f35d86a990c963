//! One run: a time of work and faults, then quiet, until the worker says that it has caught up.

use crate::mutation::Mutation;
use crate::mysql::Kind;
use crate::tables::{Change, Quality, Row};
use crate::world::World;

/// Virtual time that a worker may take to catch up once nothing breaks any longer, ms: much, as one with a
/// single lane and few places for waiting ids may have thousands of transactions before it.
const PATIENCE: u64 = 7_200_000;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) steps: u64,
    pub(crate) time: u64,
}

pub(crate) fn plain(seed: u64, mutation: Option<Mutation>) -> Result<Ran, String> {
    let mut world = World::new(seed, mutation, false);
    run(&mut world)
}

pub(crate) fn traced(seed: u64, mutation: Option<Mutation>) -> (Result<Ran, String>, String) {
    let mut world = World::new(seed, mutation, true);
    let outcome = run(&mut world);
    let trace: Vec<String> = world.trace.take().unwrap_or_default().into();
    (outcome, trace.join("\n"))
}

fn run(world: &mut World) -> Result<Ran, String> {
    world.run_until(world.weather.length);
    if world.violation.is_none() {
        calm(world);
        catch_up(world);
    }
    if world.violation.is_none() {
        // whatever was saved must be enough for the next owner
        for owner in 0..world.owners.len() {
            world.crash(owner);
        }
        world.replay_letters("letters-at-last");
        catch_up(world);
    }
    match world.violation.take() {
        Some(what) => Err(what),
        None => Ok(Ran { steps: world.steps, time: world.now }),
    }
}

/// Nothing breaks any longer, what is open is brought to an end, and the application stops.
fn calm(world: &mut World) {
    world.quiet = true;
    world.weather.clears();
    world.outages = crate::world::Outages::default();
    for owner in 0..world.owners.len() {
        world.owners[owner].frozen = 0;
        world.thaw(owner);
    }
    let narrow = world.weather.config.max_dead_letters <= 3;
    for _ in 0..200 {
        let open: Vec<u64> = world.mysql.prepared.keys().copied().collect();
        for xid in open {
            let commit = world.rng.chance(500);
            world.commit(Kind::Resolve(xid, commit));
        }
        world.run_until(world.now + 1_000);
        if world.mysql.quiet() {
            break;
        }
    }
    // an idle owner saves nothing, so it would not notice that it was fenced or that its state is gone
    world.commit(Kind::Commit(Vec::new()));
    if narrow {
        // the store of dead letters is too small for all of them: the application repairs its rows; where
        // the worker stands still already, people have the letters tried again
        let rows = world.mysql.tables.rows.iter().filter_map(|(pk, row)| match row {
            Row::Main { other, value, parent, quality: Quality::Poison | Quality::Bad } => {
                let row = Row::Main { other: *other, value: *value, parent: *parent, quality: Quality::Good };
                Some((*pk, row))
            }
            _ => None,
        });
        let changes = rows.map(|(pk, row)| {
            let before = world.mysql.tables.rows.get(&pk).cloned();
            Change { pk, before, after: Some(row) }
        });
        let changes: Vec<Change> = changes.collect();
        world.commit(Kind::Commit(changes));
        world.run_until(world.now + 10_000);
        world.replay_letters("letters-full");
    }
}

fn catch_up(world: &mut World) {
    let end = world.now + PATIENCE;
    // by then every owner has asked what the server executed
    world.run_until(world.now + 5_000);
    while world.violation.is_none() && !world.caught_up() {
        if world.now >= end {
            let states: Vec<_> = world.owners.iter().filter(|o| o.alive).map(|o| o.core.view()).collect();
            let landing = world.landing;
            world.violated(|| format!("not caught up after {PATIENCE} ms: {landing} landing, {states:#?}"));
            return;
        }
        world.run_until(world.now + 500);
    }
    if world.violation.is_none() {
        world.check_convergence();
    }
}
