//! The operator's service account may do what it needs and nothing else. That it suffices the other tests prove:
//! every operator in them has this token only.

use e2e::cluster::succeeded;
use e2e::scratch::project;
use e2e::{Cluster, Namespace, cluster};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// `GROUP/RESOURCE: VERBS` in a watched namespace, which is the release's own as well.
const OPERATOR: &[&str] = &[
    "/configmaps: create get update",
    "/secrets: get list watch",
    "apps/deployments: create delete get patch",
    "binlog-operator.io/reindexes: create delete get list watch",
    "binlog-operator.io/reindexes/finalizers: update",
    "binlog-operator.io/reindexes/status: patch",
    "binlog-operator.io/synctasks: get list patch watch",
    "binlog-operator.io/synctasks/finalizers: update",
    "binlog-operator.io/synctasks/status: patch",
    "coordination.k8s.io/leases [binlog-operator]: get update",
    "coordination.k8s.io/leases: create",
    "events.k8s.io/events: create patch",
];

const WORKER: &[&str] = &[
    "/configmaps: create get update",
    "/secrets: get list watch",
    "binlog-operator.io/reindexes/status: patch",
    "binlog-operator.io/reindexes: get list watch",
    "binlog-operator.io/synctasks/status: patch",
    "binlog-operator.io/synctasks: get list watch",
    "events.k8s.io/events: create patch",
];

/// What the API server says a service account may do in a namespace, without what every account may ask about itself.
async fn rules(cluster: &Cluster, account: (&str, &str), namespace: &str) -> BTreeSet<String> {
    let token = cluster.kubectl(&["create", "token", account.1, "--namespace", account.0]).await;
    let kube = cluster.kube_as(succeeded("kubectl create token", &token).trim());
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace}});
    let answer = kube.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &review).await;
    let rules = answer["status"]["resourceRules"].as_array().unwrap();
    rules.iter().flat_map(lines).filter(|line| !line.contains("k8s.io/self")).collect()
}

fn lines(rule: &Value) -> Vec<String> {
    let list = |member: &str| {
        let values = rule[member].as_array().into_iter().flatten();
        let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
        values.sort_unstable();
        values
    };
    let (verbs, names) = (list("verbs").join(" "), list("resourceNames").join(" "));
    let names = if names.is_empty() { names } else { format!(" [{names}]") };
    let one = |group: &str, resource: &str| format!("{group}/{resource}{names}: {verbs}");
    let groups = list("apiGroups");
    groups.iter().flat_map(|group| list("resources").into_iter().map(move |r| one(group, r))).collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_end_at_the_namespace() {
    let cluster = cluster::shared().await;
    let space = cluster.namespace("rights").await;
    let operator = (space.name.as_str(), Namespace::RELEASE);
    assert_eq!(rules(cluster, operator, &space.name).await, set(OPERATOR));
    assert_eq!(rules(cluster, operator, "default").await, BTreeSet::new());
    let worker = (space.name.as_str(), "binlog-operator-worker");
    assert_eq!(rules(cluster, worker, &space.name).await, set(WORKER));
    assert_eq!(rules(cluster, worker, "default").await, BTreeSet::new());
    for (question, allowed) in [
        (&["list", "secrets"][..], true),
        (&["list", "secrets", "--namespace", "default"], false),
        (&["get", "secrets/x", "--namespace", "kube-system"], false),
        (&["create", "synctasks.binlog-operator.io"], false),
        (&["delete", "synctasks.binlog-operator.io"], false),
        (&["create", "secrets"], false),
        (&["create", "pods"], false),
        (&["create", "pods/exec"], false),
        (&["create", "serviceaccounts/token"], false),
        (&["create", "rolebindings"], false),
        (&["update", "leases/other"], false),
        (&["patch", "customresourcedefinitions"], false),
        (&["list", "nodes"], false),
    ] {
        let user = format!("--as={}", space.user());
        let mut args = vec!["auth", "can-i", user.as_str()];
        args.extend(question);
        let output = if question.contains(&"--namespace") {
            cluster.kubectl(&args).await
        } else {
            space.kubectl(&args).await
        };
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(answer, if allowed { "yes" } else { "no" }, "{question:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_value_makes_the_rights_cluster_wide() {
    let cluster = cluster::shared().await;
    let chart = project("charts/binlog-operator").display().to_string();
    let args = ["install", "wide", &chart, "--namespace", "wide", "--create-namespace"];
    let values = ["--set", "replicas=0,crds.install=false,dedicated.enabled=false,watchNamespaces={*}"];
    succeeded("helm install", &cluster.helm(&[&args[..], &values].concat()).await);
    let account = ("wide", "wide-binlog-operator");
    let everywhere: BTreeSet<String> = set(OPERATOR)
        .into_iter()
        .filter(|line| !line.contains("leases") && !line.starts_with("apps"))
        .collect();
    assert_eq!(rules(cluster, account, "default").await, everywhere);
    succeeded("helm uninstall", &cluster.helm(&["uninstall", "wide", "--namespace", "wide", "--wait"]).await);
    assert_eq!(rules(cluster, account_after_uninstall(cluster).await, "default").await, BTreeSet::new());
}

/// The release's account is gone; a new one of its name has none of its rights.
async fn account_after_uninstall(cluster: &Cluster) -> (&'static str, &'static str) {
    let body =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "wide-binlog-operator"}});
    cluster.kube().post("/api/v1/namespaces/wide/serviceaccounts", &body).await;
    ("wide", "wide-binlog-operator")
}
