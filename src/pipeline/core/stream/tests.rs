use super::super::{Config, Identity, Input, Now, SaveResult};
use super::*;
use crate::model::{Build, BuildPhase, Checkpoint, StreamPosition};

fn build(phase: BuildPhase) -> Build {
    Build {
        cause: "reindex".into(),
        selection_hash: "hash".into(),
        phase,
        cursor: None,
        first_version: 1,
        keys_done: 0,
        documents: 0,
        keys_estimate: 0,
        failed: String::new(),
    }
}

/// A worker that finds a checkpoint of another query, after its claim.
fn claimed(keep_on_change: bool) -> (Core, Vec<Command>) {
    claimed_with("b", BuildPhase::Walking, keep_on_change)
}

fn claimed_with(name: &str, phase: BuildPhase, keep_on_change: bool) -> (Core, Vec<Command>) {
    let loaded = Checkpoint {
        epoch: 4,
        position: Some(StreamPosition::default()),
        query_hash: "old".into(),
        builds: [(name.to_owned(), build(phase))].into(),
        ..Checkpoint::default()
    };
    let identity = Identity { query_hash: "new".into(), initial_full: true, ..Identity::default() };
    let config = Config { keep_on_change, ..Config::default() };
    let mut core = Core::new(config, identity, Some(loaded), Vec::new(), Now::default());
    assert!(matches!(core.step(Now::default(), [])[..], [Command::Save { .. }]));
    let commands = core.step(Now::default(), [Input::Saved(SaveResult::Done)]);
    (core, commands)
}

fn saved(core: &mut Core, millis: u64) -> Option<Checkpoint> {
    let commands = core.step(Now { millis, unix_micros: 0 }, []);
    commands.into_iter().find_map(|command| match command {
        Command::Save { checkpoint, .. } => Some(*checkpoint),
        _ => None,
    })
}

#[test]
fn a_changed_query_is_a_full_unless_it_is_to_be_kept() {
    let (_, commands) = claimed(false);
    assert!(commands.iter().any(|command| matches!(command, Command::TakePlace)), "{commands:?}");
    let (mut core, commands) = claimed(true);
    assert!(matches!(commands[..], [Command::OpenStream { .. }]), "{commands:?}");
    let checkpoint = saved(&mut core, 20_000).unwrap();
    assert_eq!((checkpoint.query_hash.as_str(), checkpoint.epoch), ("new", 5));
    assert_eq!((core.view().repairing, core.view().counts.gaps), (None, 0));
}

#[test]
fn a_full_is_the_same_under_a_query_that_was_to_be_kept() {
    let (core, commands) = claimed_with(FULL, BuildPhase::Complete, true);
    assert!(matches!(commands[..], [Command::OpenStream { .. }]), "{commands:?}");
    assert_eq!(core.view().repairing, None);
    let (mut core, commands) = claimed_with(FULL, BuildPhase::Sweeping, true);
    let sweeps = |command: &Command| matches!(command, Command::Sweep { below: 1, .. });
    let later = core.step(Now { millis: 200_000, unix_micros: 0 }, []);
    assert!(commands.iter().chain(&later).any(sweeps), "{commands:?} {later:?}");
}

#[test]
fn what_is_cancelled_is_forgotten() {
    let (mut core, _) = claimed(true);
    let spec = |name: &str| BuildSpec {
        name: name.into(),
        selection: Selection::Part,
        selection_hash: "hash".into(),
        page_size: 10,
    };
    let walks = core.step(Now::default(), [Input::Build(spec("b")), Input::Build(spec("c"))]);
    assert!(walks.iter().any(|command| matches!(command, Command::Walk { build, .. } if build == "b")));
    let walks = core.step(Now::default(), [Input::Cancel("b".into())]);
    assert!(walks.iter().any(|command| matches!(command, Command::Walk { build, .. } if build == "c")));
    // its page comes late, and is nobody's trouble
    let failure = Failure { class: crate::model::Class::Config, message: "cancelled".into() };
    core.step(Now::default(), [Input::Walked { build: "b".into(), run: 1, page: Err(failure) }]);
    assert_eq!(core.view().source_error, None);
    core.step(Now::default(), [Input::Saved(SaveResult::Done)]);
    let checkpoint = saved(&mut core, 20_000).unwrap();
    assert_eq!(checkpoint.builds.keys().collect::<Vec<_>>(), ["c"]);
}

/// A gap that is found at the start and not repaired before the next one is found again there.
#[test]
fn a_replaced_index_is_not_forgotten_before_its_repair() {
    for repair in [true, false] {
        let mut loaded = Checkpoint {
            epoch: 4,
            position: Some(StreamPosition::default()),
            index_uuid: "before".into(),
            server_uuid: "one".into(),
            builds: [(FULL.to_owned(), build(BuildPhase::Complete))].into(),
            ..Checkpoint::default()
        };
        for owner in 1..3 {
            let identity =
                Identity { index_uuid: "now".into(), server_uuid: "other".into(), ..Identity::default() };
            let config = Config { repair, ..Config::default() };
            let mut core = Core::new(config, identity, Some(loaded.clone()), Vec::new(), Now::default());
            core.step(Now::default(), []);
            let commands = core.step(Now::default(), [Input::Saved(SaveResult::Done)]);
            assert_eq!(core.view().counts.gaps, 1, "owner {owner}");
            let places = commands.iter().any(|command| matches!(command, Command::TakePlace));
            assert_eq!(places, repair, "{commands:?}");
            let commands = core.step(Now::default(), [Input::Stop]);
            loaded = commands.into_iter().find_map(checkpoint_of).unwrap();
            assert_eq!((loaded.index_uuid.as_str(), loaded.server_uuid.as_str()), ("before", "one"));
        }
    }
}

fn checkpoint_of(command: Command) -> Option<Checkpoint> {
    match command {
        Command::Save { checkpoint, .. } => Some(*checkpoint),
        _ => None,
    }
}
