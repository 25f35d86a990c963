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
