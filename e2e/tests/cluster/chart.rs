//! The chart: lint, what it renders, install, upgrade and uninstall on a real API server.

use e2e::cluster::succeeded;
use e2e::scratch::project;
use e2e::{Cluster, Scratch, cluster};
use serde_json::json;
use std::collections::BTreeSet;

const FOLDER: &str = "charts/binlog-operator";

/// Values that switch everything on or off once.
const VALUES: &[&str] = &[
    "replicas=1",
    "watchNamespaces={*},replicas=2,dedicated.namespaces={shop,team-a},serviceAccount.name=own",
    "watchNamespaces={shop,team-a},crds.install=false,dedicated.enabled=false,podDisruptionBudget.enabled=false",
    "crds.keep=false,rbac.create=false,serviceAccount.create=false,image.tag=v1,fullnameOverride=sync",
    "podLabels.a=b,podAnnotations.c=d,commonLabels.e=f,priorityClassName=system-cluster-critical,nodeSelector.disk=ssd,\
     imagePullSecrets[0].name=pull,tolerations[0].operator=Exists,extraEnv[0].name=X,extraEnv[0].value=y,\
     topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone,\
     topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway,metrics.dashboard.enabled=true",
];
const PROMETHEUS: &str = "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,\
                          metrics.serviceMonitor.labels.release=prometheus";

fn chart() -> String {
    project(FOLDER).display().to_string()
}

async fn template(cluster: &Cluster, values: &str) -> String {
    let args = ["template", "binlog-operator", &chart(), "--namespace", "binlog-operator", "--set", values];
    succeeded(values, &cluster.helm(&args).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_switch_renders_what_the_api_server_takes() {
    let cluster = cluster::shared().await;
    let scratch = Scratch::new("chart");
    for namespace in ["binlog-operator", "shop", "team-a"] {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let answer = cluster.kube().call("POST", "/api/v1/namespaces", Some(&body)).await.unwrap();
        assert!([201, 409].contains(&answer.status), "{}", answer.body);
    }
    for values in VALUES {
        succeeded(values, &cluster.helm(&["lint", "--strict", &chart(), "--set", values]).await);
        let file = scratch.path().join("rendered.yaml");
        std::fs::write(&file, template(cluster, values).await).unwrap();
        let file = file.display().to_string();
        let args = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            &file,
        ];
        succeeded(values, &cluster.kubectl(&args).await);
    }
    let rendered = template(cluster, PROMETHEUS).await;
    assert!(
        rendered.contains("kind: ServiceMonitor") && rendered.contains("release: prometheus"),
        "{rendered}"
    );
    assert!(rendered.contains("{{ $labels.task }} is not ready"), "{rendered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_asked_for_is_rendered() {
    let cluster = cluster::shared().await;
    let kinds = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.strip_prefix("kind: ")).map(str::to_owned).collect()
    };
    let plain = kinds(&template(cluster, VALUES[0]).await);
    let expected =
        ["CustomResourceDefinition", "Deployment", "Role", "RoleBinding", "Service", "ServiceAccount"];
    assert_eq!(plain, expected.map(str::to_owned).into());
    let wide = kinds(&template(cluster, VALUES[1]).await);
    assert!(wide.contains("PodDisruptionBudget") && wide.contains("ClusterRole"), "{wide:?}");
    let bare = template(cluster, VALUES[2]).await;
    assert!(!kinds(&bare).contains("CustomResourceDefinition") && !bare.contains("deployments"), "{bare}");
    assert!(bare.contains("--namespace=team-a") && !bare.contains("--worker-image"), "{bare}");
    assert!(!template(cluster, VALUES[3]).await.contains("resource-policy"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_values_are_refused() {
    let cluster = cluster::shared().await;
    for (values, words) in [
        ("replica=2", "replica"),
        ("replicas=-1", "minimum"),
        ("watchNamespaces=shop", "array"),
        ("watchNamespaces={Shop}", "pattern"),
        ("watchNamespaces={*,shop}", "stands alone"),
        ("metrics.serviceMonitor.intervall=1s", "intervall"),
        ("image.digest=latest", "pattern"),
    ] {
        let output = cluster.helm(&["template", "x", &chart(), "--set", values]).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(words), "{values}: {error}");
    }
}

/// `UPDATE=1` writes it anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_committed_manifest_is_what_the_chart_renders() {
    let cluster = cluster::shared().await;
    let head = "# Written by `make manifests`: helm template of charts/binlog-operator for all namespaces.\n\
                ---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: binlog-operator\n";
    let rendered = template(cluster, "watchNamespaces={*}").await;
    let text = format!("{head}{rendered}");
    let path = project("manifests/install.yaml");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "manifests/install.yaml differs from the chart: make manifests");
    let path = path.display().to_string();
    let args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", &path];
    let output = cluster.kubectl(&args).await;
    // a dry run makes no namespace, so that only what lies in none can be tried
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("clusterrole.rbac.authorization.k8s.io/binlog-operator"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn install_upgrade_and_uninstall_keep_the_tasks() {
    let cluster = cluster::shared().await;
    let chart = chart();
    let task = json!({"apiVersion": "binlog-operator.io/v1alpha1", "kind": "SyncTask", "metadata": {"name": "kept"},
        "spec": {"source": {"host": "h", "credentials": {"secretRef": {"name": "s"}}},
            "query": {"sql": "SELECT id FROM a.b WHERE id IN (:ids)", "key": "id"},
            "sink": {"elasticsearch": {"addresses": ["http://h"], "index": "i"}}}});
    cluster.kube().post("/apis/binlog-operator.io/v1alpha1/namespaces/default/synctasks", &task).await;
    let release = ["binlog-operator", &chart, "--namespace", Cluster::CRDS, "--set", "replicas=0"];
    let upgrade = [&["upgrade"], &release[..], &["--set", "watchNamespaces={shop-a}"]].concat();
    let failed = cluster.helm(&upgrade).await;
    let error = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(error.contains("\"shop-a\" not found"), "a namespace that does not exist is named: {error}");
    let upgrade = [&["upgrade"], &release[..], &["--set", "logLevel=debug"]].concat();
    let notes = succeeded("helm upgrade", &cluster.helm(&upgrade).await);
    assert!(notes.contains(&format!("watches the namespace {}", Cluster::CRDS)), "{notes}");
    assert!(notes.contains("replicas is 0"), "{notes}");
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/binlog-operator", Cluster::CRDS);
    let deployment = cluster.kube().get(&path).await.unwrap();
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    assert!(env.to_string().contains("debug"), "{env}");

    let uninstall = ["uninstall", "binlog-operator", "--namespace", Cluster::CRDS, "--wait"];
    succeeded("helm uninstall", &cluster.helm(&uninstall).await);
    let path = "/apis/binlog-operator.io/v1alpha1/namespaces/default/synctasks/kept";
    cluster.kube().get(path).await.expect("the CRDs, and with them the tasks, are kept");
    let install = [&["install"], &release[..]].concat();
    succeeded("helm install again", &cluster.helm(&install).await);
    cluster.kube().get(path).await.expect("and the next release takes them over");
}

/// Alerts and dashboard ask for metrics that there are.
#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let metrics = binlog_operator::metrics::Metrics::new().unwrap();
    let task = metrics.task("orders").unwrap();
    task.retried("sink", 1);
    task.gap("purged");
    task.build("initial", 1, 2);
    task.condition("Ready", true);
    let rendered = metrics.render().unwrap();
    let mut seen = 0;
    for file in ["templates/prometheusrule.yaml", "dashboards/binlog-operator.json"] {
        let text = std::fs::read_to_string(project(FOLDER).join(file)).unwrap();
        for name in names(&text) {
            let there = rendered.lines().any(|line| line.starts_with(&format!("{name}{{")));
            assert!(there, "{file}: {name} is no metric");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} metrics only");
}

fn names(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices("binlog_operator_").map(|(at, _)| &text[at..]);
    starts.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()).collect()
}
