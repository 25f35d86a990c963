use super::*;

fn options(identity: &str) -> LeaseOptions {
    LeaseOptions {
        namespace: "ops".into(),
        name: "lead".into(),
        identity: identity.into(),
        duration: Duration::from_secs(10),
        grace: Duration::from_secs(60),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let first = claimed(&Lease::default(), &options("a"), false);
    assert_eq!((seen(&first).holder.as_str(), seen(&first).duration), ("a", Duration::from_secs(10)));
    let transitions = |lease: &Lease| lease.spec.as_ref().unwrap().lease_transitions;
    let renewed = claimed(&first, &options("a"), false);
    assert_eq!((transitions(&first), transitions(&renewed)), (Some(1), Some(1)));
    let acquired = |lease: &Lease| lease.spec.as_ref().unwrap().acquire_time.clone();
    assert_eq!(acquired(&renewed), acquired(&first));
    let taken = claimed(&renewed, &options("b"), false);
    assert_eq!(transitions(&taken), Some(2));
    let released = claimed(&taken, &options("b"), true);
    assert_eq!(Watch::default().judge(Some(seen(&released)), "c", Instant::now()), Move::Take);
}

#[test]
fn only_what_lasts_ends_the_wait() {
    let error = |code| kube::Error::Api(Box::new(kube::core::Status { code, ..<_>::default() }));
    assert!(refused(&error(403)).is_some() && refused(&error(404)).is_some());
    assert!(refused(&error(409)).is_none() && refused(&error(503)).is_none());
}
