//! The chart's own pods on a real node: the operator installed by helm, a task in a pod of its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, and the helpers of tests"
)]

use e2e::cluster::succeeded;
use e2e::operator::binary;
use e2e::scratch::project;
use e2e::stage::PATIENCE;
use e2e::{Cluster, ClusterTask, Namespace, Size, TcpProxy, shared, wait_until};
use serde_json::{Value, json};

/// The bridge's address: what listens on it is reached by pods.
const HOST: &str = "10.244.0.1";
const IMAGE: &str = "localhost/binlog-operator:dev";

/// The release with one pod that runs our image.
async fn run_operator(space: &Namespace<'_>) {
    let chart = project("charts/binlog-operator").display().to_string();
    let mut args = vec!["upgrade", Namespace::RELEASE, &chart, "--namespace", &space.name];
    args.extend(["--set", "replicas=1,crds.install=false,image.repository=localhost/binlog-operator"]);
    args.extend(["--set", "image.tag=dev,image.pullPolicy=Never"]);
    succeeded("helm upgrade", &space.cluster.helm(&args).await);
    available(space, Namespace::RELEASE).await;
}

async fn available(space: &Namespace<'_>, deployment: &str) {
    wait_until(&format!("Deployment {deployment} available"), PATIENCE, async || {
        let found = space.cluster.kube().get(&space.path(&format!("deployments/{deployment}"))).await?;
        if found["status"]["availableReplicas"] == 1 {
            return Ok(());
        }
        let pods = space.kubectl(&["get", "pods", "-o", "wide"]).await;
        let told = space.kubectl(&["get", "events", "--field-selector", "type=Warning"]).await;
        Err([pods.stdout, told.stdout].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    })
    .await;
}

/// The pods of a Deployment that are not on their way out.
async fn pods(space: &Namespace<'_>, deployment: &str) -> Vec<Value> {
    let list = space.cluster.kube().get(&space.path("pods")).await.unwrap();
    let all = list["items"].as_array().into_iter().flatten();
    let of = |pod: &&Value| pod["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(deployment));
    all.filter(of).filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).cloned().collect()
}

/// Deletes the pod of a Deployment at once, as a node's death would, and waits for the next one.
async fn kill_pod(space: &Namespace<'_>, deployment: &str) {
    let before = pods(space, deployment).await;
    let name = before[0]["metadata"]["name"].as_str().unwrap();
    space.run(&["delete", "pod", name, "--grace-period=0", "--force"]).await;
    wait_until("another pod", PATIENCE, async || {
        let now = pods(space, deployment).await;
        let other = now.iter().any(|pod| pod["metadata"]["name"] != name);
        if other { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    available(space, deployment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_in_a_pod_of_its_own_stays_equal() {
    let cluster = Cluster::with_node().await;
    cluster.import(IMAGE, &binary());
    let space = cluster.namespace("pods").await;
    run_operator(&space).await;
    let (mysql, elastic) = shared::both().await;
    let search_port = elastic.url().rsplit(':').next().unwrap().parse().unwrap();
    let (to_mysql, to_elastic) =
        (TcpProxy::start_on(HOST, mysql.port()).await, TcpProxy::start_on(HOST, search_port).await);
    let mut task = ClusterTask::new(&space, mysql, elastic, Size::SMALL).await;
    task.file = task
        .file
        .set("source.host", HOST)
        .set("source.port", to_mysql.port())
        .set("sink.elasticsearch.addresses", json!([format!("http://{HOST}:{}", to_elastic.port())]))
        .set("isolation", "Dedicated")
        .set(
            "worker.resources",
            json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}),
        )
        .set("worker.nodeSelector", json!({"kubernetes.io/os": "linux"}));
    task.apply().await;
    task.wait_condition("Ready", "True").await;
    assert_eq!(task.equal().await, 200);
    let worker = format!("{}-worker", task.name);
    placed(&space, &task, &worker).await;

    let driver = task.shop.drive(21, 100);
    kill_pod(&space, &worker).await;
    task.wait_condition("Ready", "True").await;
    kill_pod(&space, Namespace::RELEASE).await;
    driver.stop().await;
    task.equal().await;

    let driver = task.shop.drive(22, 100);
    task.file = task.file.set("worker", Value::Null);
    task.edit("isolation", "Shared").await;
    gone(&space, &worker).await;
    task.wait_condition("Ready", "True").await;
    driver.stop().await;
    task.equal().await;

    task.edit("isolation", "Dedicated").await;
    available(&space, &worker).await;
    task.wait_condition("Ready", "True").await;
    task.equal().await;
    space.run(&["delete", "synctask", &task.name]).await;
    gone(&space, &worker).await;
}

/// The pod is as the task asks for, and says that it does the work.
async fn placed(space: &Namespace<'_>, task: &ClusterTask<'_>, worker: &str) {
    let pods = pods(space, worker).await;
    assert_eq!(pods.len(), 1, "{pods:#?}");
    let container = &pods[0]["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "256Mi", "{container:#}");
    assert_eq!(pods[0]["spec"]["nodeSelector"]["kubernetes.io/os"], "linux");
    let object = task.object().await.unwrap();
    let (said, name) = (&object["status"]["worker"], pods[0]["metadata"]["name"].as_str().unwrap());
    assert!(said.as_str().is_some_and(|said| said.starts_with(name)), "{said} is not {name}");
}

async fn gone(space: &Namespace<'_>, deployment: &str) {
    wait_until(&format!("no Deployment {deployment}"), PATIENCE, async || {
        let path = space.path(&format!("deployments/{deployment}"));
        let answer = space.cluster.kube().call("GET", &path, None).await?;
        if answer.status == 404 { Ok(()) } else { Err(answer.body) }
    })
    .await;
}
