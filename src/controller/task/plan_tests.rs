use serde_json::{Value, json};

use super::*;
use crate::api::{Hidden, Secrets};

const OPERATOR: Mode = Mode::Operator { image: None, service_account: String::new() };

fn task(change: impl FnOnce(&mut Value)) -> Observed<SyncTask> {
    let mut object = json!({
        "apiVersion": crate::api::API_VERSION, "kind": "SyncTask",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "u1", "generation": 3},
        "spec": {
            "source": {"host": "mysql", "port": 3306, "credentials": {"secretRef": {"name": "mysql"}}},
            "query": {"sql": "SELECT id FROM shop.orders WHERE id IN (:ids)", "key": "id"},
            "sink": {"elasticsearch": {"addresses": ["http://es:9200"], "index": "orders"}},
        },
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn credentials(password: &str) -> Result<Credentials, Vec<Finding>> {
    let mut secrets = Secrets::default();
    let values = [("username", "sync"), ("password", password)];
    secrets.insert("mysql", values.iter().map(|(k, v)| ((*k).to_owned(), Hidden::new(*v))).collect());
    task(|_| {}).resource.unwrap().spec.credentials(&secrets)
}

fn aimed(task: &Observed<SyncTask>) -> Aim {
    aim(Some(task), &credentials("pw"), None, &OPERATOR)
}

fn wanted(task: &Observed<SyncTask>, password: &str) -> Wanted {
    match aim(Some(task), &credentials(password), None, &OPERATOR) {
        Aim::Run(wanted) => *wanted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_worker_is_wanted_for_what_a_worker_is_made_of() {
    let before = wanted(&task(|_| {}), "pw");
    assert!(before.same(&wanted(&task(|_| {}), "pw")));
    assert!(!before.same(&wanted(&task(|_| {}), "rotated")));
    for (pointer, value, same) in [
        ("/spec/source/host", json!("other"), false),
        ("/spec/query/sql", json!("SELECT id, a FROM shop.orders WHERE id IN (:ids)"), false),
        ("/spec/sink/elasticsearch/index", json!("orders-2"), false),
        ("/metadata/uid", json!("u2"), false),
        ("/metadata/annotations", json!({"binlog-operator.io/restartedAt": "now"}), false),
        ("/metadata/annotations", json!({"somebody": "else"}), true),
        ("/spec/deletionPolicy", json!("DeleteIndex"), true),
        ("/spec/reindexHistoryLimit", json!(3), true),
        ("/spec/onChange", json!("Keep"), true),
    ] {
        let after = task(|object| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[name] = value;
        });
        assert_eq!(before.same(&wanted(&after, "pw")), same, "{pointer}");
    }
}

#[test]
fn the_users_word_wins() {
    assert!(matches!(aim(None, &credentials("pw"), None, &OPERATOR), Aim::Gone));
    let paused = task(|object| object["spec"]["state"] = "Paused".into());
    // over a Secret that is missing too
    let missing = Err(vec![Finding::new("spec", "missing", "add it")]);
    assert!(matches!(aim(Some(&paused), &missing, None, &OPERATOR), Aim::Rest(State::Paused)));
    let stopped = task(|object| object["spec"]["state"] = "Stopped".into());
    assert!(matches!(aimed(&stopped), Aim::Rest(State::Stopped)));
    let bad = task(|object| object["spec"]["query"]["sql"] = "SELECT 1".into());
    assert!(matches!(aimed(&bad), Aim::Refused(findings) if findings[0].field == "spec.query.sql"));
    let broken = task(|object| object["spec"]["source"] = 7.into());
    assert!(matches!(aimed(&broken), Aim::Refused(_)));
}

#[test]
fn a_missing_secret_stops_nothing_that_runs_as_written() {
    let missing = Err(vec![Finding::new("spec.source.credentials.secretRef", "missing", "add it")]);
    let running = wanted(&task(|_| {}), "pw");
    let same = aim(Some(&task(|_| {})), &missing, Some(&running), &OPERATOR);
    assert!(matches!(same, Aim::Run(wanted) if wanted.same(&running)));
    let edited = task(|object| object["spec"]["source"]["host"] = "other".into());
    assert!(matches!(aim(Some(&edited), &missing, Some(&running), &OPERATOR), Aim::Refused(_)));
}

#[test]
fn one_process_runs_it() {
    let dedicated = task(|object| object["spec"]["isolation"] = "Dedicated".into());
    let pod = Mode::Worker { task: "orders".into() };
    assert!(matches!(aimed(&dedicated), Aim::Elsewhere));
    assert!(!runs_here(&dedicated, &OPERATOR) && runs_here(&dedicated, &pod));
    assert!(matches!(aim(Some(&dedicated), &credentials("pw"), None, &pod), Aim::Run(_)));
    assert!(matches!(aim(Some(&task(|_| {})), &credentials("pw"), None, &pod), Aim::Elsewhere));
}

#[test]
fn the_finalizer_is_there_for_the_index_only() {
    let delete = |object: &mut Value| object["spec"]["deletionPolicy"] = "DeleteIndex".into();
    assert_eq!(finalizers(&task(|_| {})), None);
    assert_eq!(finalizers(&task(delete)), Some(vec![FINALIZER.to_owned()]));
    let held = |object: &mut Value| object["metadata"]["finalizers"] = json!(["a/b", FINALIZER]);
    assert_eq!(finalizers(&task(held)), Some(vec!["a/b".to_owned()]));
    let going = task(|object| {
        held(object);
        delete(object);
        object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    });
    assert!(finalizers(&going).is_none() && matches!(aimed(&going), Aim::Delete));
    let going = task(|object| object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into());
    assert!(matches!(aimed(&going), Aim::Gone));
}

fn reindex(name: &str, uid: &str, change: impl FnOnce(&mut Value)) -> Arc<Observed<Reindex>> {
    let mut object = json!({
        "apiVersion": crate::api::API_VERSION, "kind": "Reindex",
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"taskRef": {"name": "orders"}},
    });
    change(&mut object);
    Arc::new(serde_json::from_value(object).unwrap())
}

#[test]
fn builds_are_those_that_are_asked_for_and_not_finished() {
    let complete = json!([{"type": "Complete", "status": "True", "reason": "Complete", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let owner = json!([{"apiVersion": crate::api::API_VERSION, "kind": "SyncTask", "name": "orders", "uid": "u1", "controller": true}]);
    let all = [
        reindex("b", "2", |_| {}),
        reindex("a", "1", |object| object["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z".into()),
        reindex("done", "3", |object| object["status"] = json!({"conditions": complete})),
        reindex("going", "4", |object| {
            object["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z".into();
        }),
        reindex("orders-initial", "5", |object| object["metadata"]["ownerReferences"] = owner),
    ];
    let asked = asked("u1", &all);
    assert_eq!(asked.iter().map(|build| build.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    let known = |of: &[(&str, &str)]| of.iter().map(|(n, u)| ((*n).to_owned(), (*u).to_owned())).collect();
    let names =
        |orders: &BuildOrders| orders.build.iter().map(|build| build.name.clone()).collect::<Vec<_>>();
    let first = orders(&asked, &known(&[]));
    assert_eq!((names(&first), first.cancel.len()), (vec!["b".into(), "a".into()], 0));
    // b was made anew, gone is gone
    let later = orders(&asked, &known(&[("a", "1"), ("b", "1"), ("gone", "9")]));
    assert_eq!((names(&later), later.cancel), (vec!["b".into()], vec!["b".to_owned(), "gone".to_owned()]));
    assert_eq!(orders(&asked, &known(&[("a", "1"), ("b", "2")])), BuildOrders::default());
}
