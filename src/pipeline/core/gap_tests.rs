//! Gaps that come back at once.

use super::xa_tests::answered;
use super::*;

/// A server whose binlog is damaged streams from no place: it is asked less and less often, until it does.
#[test]
fn a_server_that_streams_from_no_place_is_not_hammered() {
    let identity = Identity { owner: "o".into(), initial_full: true, ..Identity::default() };
    let mut core =
        Core::new(Config::default(), identity, None, Vec::new(), Now { millis: 0, unix_micros: 0 });
    let (mut places, mut is_healed) = (Vec::new(), false);
    for second in 0..1_000 {
        is_healed |= second == 700;
        let input = if second == 980 { Input::Gap("another".into()) } else { Input::Tick };
        answered(&mut core, second * 1_000, vec![input], |command| match command {
            Command::TakePlace => {
                places.push(second);
                Some(Input::PlaceTaken(Ok(Box::default())))
            }
            Command::OpenStream { .. } if !is_healed => Some(Input::Gap("1236".into())),
            _ => None,
        });
    }
    assert_eq!(places, [0, 5, 15, 35, 75, 155, 315, 635, 955, 980], "and is asked soon once it streamed");
    assert_eq!(core.view().counts.gaps, 9);
}

/// Reads may have seen what the server had and has no more, though the stream never delivered it.
#[test]
fn a_server_that_lost_what_was_not_delivered_is_a_gap() {
    let set = |end: u64| format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-{end}").parse().ok();
    let position = |end: u64| StreamPosition { gtids: set(end), ..StreamPosition::default() };
    let loaded = Checkpoint { epoch: 3, position: Some(position(5)), ..Checkpoint::default() };
    let now = Now { millis: 0, unix_micros: 0 };
    let mut core = Core::new(Config::default(), Identity::default(), Some(loaded), Vec::new(), now);
    let mut places = Vec::new();
    for (second, end) in [(0, 9), (10, 9), (20, 7), (25, 9), (30, 7), (39, 7), (40, 7), (50, 7), (60, 8)] {
        let executed = Input::Executed { position: position(end), asked: 0 };
        answered(&mut core, second * 1_000, vec![executed], |command| match command {
            Command::TakePlace => {
                places.push(second);
                Some(Input::PlaceTaken(Ok(Box::new(Place { position: position(end), ..Place::default() }))))
            }
            _ => None,
        });
    }
    assert_eq!((places.as_slice(), core.view().counts.gaps), ([40].as_slice(), 1));
    assert!(core.view().repairing.is_some_and(|cause| cause.contains("2 transactions")));
}
