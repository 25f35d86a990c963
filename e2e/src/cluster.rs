//! A Kubernetes control plane of a test binary's own: etcd, API server, controller manager; no nodes, so that pods are
//! made and never run. The operator runs on this machine with the token of the chart's own service account.

use crate::kube::Kube;
use crate::process::{Process, script};
use crate::scratch::{Port, Scratch, project};
use crate::wait::poll;
use rustix::process::Signal;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// Seconds on a machine at rest.
const START: Duration = Duration::from_secs(240);

static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// The control plane that the tests of a binary share; each takes a namespace of its own.
pub async fn shared() -> &'static Cluster {
    SHARED.get_or_init(Cluster::start).await
}

/// A running control plane. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Cluster {
    api: Mutex<Option<Process>>,
    _others: Vec<Process>,
    node: Option<Node>,
    kube: Kube,
    port: Port,
    programs: PathBuf,
    scratch: Scratch,
}

impl Cluster {
    /// The namespace of the release that brings the CRDs.
    pub const CRDS: &'static str = "crds";

    /// Starts one, and installs the chart's CRDs.
    pub async fn start() -> Self {
        let programs = PathBuf::from(script("kubernetes.sh", &["install"]).trim());
        let (scratch, port) = (Scratch::new("cluster"), Port::claim());
        let (folder, number) = (scratch.path().display().to_string(), port.number().to_string());
        script("kubernetes.sh", &["prepare", &folder, &number]);
        let run = |program: &str| run(program, scratch.path(), port.number());
        let (etcd, mut api) = (run("etcd"), run("apiserver"));
        let kube = administrator(scratch.path(), port.number());
        wait_for(&kube, &mut api, "/api/v1/namespaces/default").await;
        // it ends when it finds no API server within 30 seconds
        let controllers = run("controller-manager");
        wait_for(&kube, &mut api, "/api/v1/namespaces/default/serviceaccounts/default").await;
        let api = Mutex::new(Some(api));
        let cluster =
            Self { api, _others: vec![etcd, controllers], node: None, kube, port, programs, scratch };
        cluster.install_crds().await;
        cluster
    }

    /// Starts one with a node that runs pods. Needs root; one at a time on a machine.
    pub async fn with_node() -> Self {
        let programs = PathBuf::from(script("kubernetes.sh", &["install"]).trim());
        let (scratch, port) = (Scratch::new("node"), Port::claim());
        let folder = scratch.path().display().to_string();
        let node = Node { folder: scratch.path().to_owned() };
        script("kubernetes-node.sh", &["start", &folder, &port.number().to_string()]);
        let kube = administrator(scratch.path(), port.number());
        let api = Mutex::new(None);
        let cluster = Self { api, _others: Vec::new(), node: Some(node), kube, port, programs, scratch };
        cluster.install_crds().await;
        cluster
    }

    /// Imports an image with a program and its libraries into the node.
    pub fn import(&self, image: &str, program: &Path) {
        let node = self.node.as_ref().expect("a cluster with a node");
        let (folder, program) = (node.folder.display().to_string(), program.display().to_string());
        script("kubernetes-node.sh", &["image", &folder, image, &program]);
    }

    /// A release of the chart with the CRDs, which belong to one release only.
    async fn install_crds(&self) {
        let chart = project("charts/binlog-operator").display().to_string();
        let release =
            ["install", Namespace::RELEASE, &chart, "--namespace", Self::CRDS, "--create-namespace"];
        let args = [&release[..], &["--set", "replicas=0"]].concat();
        succeeded("helm install", &self.helm(&args).await);
        let crds = project("crds").display().to_string();
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "-f", &crds];
        succeeded("kubectl wait", &self.kubectl(&wait).await);
    }

    /// The administrator's client.
    pub fn kube(&self) -> &Kube {
        &self.kube
    }

    /// A client with another token.
    pub fn kube_as(&self, token: &str) -> Kube {
        let authority = std::fs::read(self.scratch.path().join("ca.crt")).expect("prepared");
        Kube::new(self.port.number(), &authority, token)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("kubeconfig")
    }

    /// `kubectl` as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> Output {
        self.program("kubectl", args).await
    }

    /// `helm` as the administrator.
    pub async fn helm(&self, args: &[&str]) -> Output {
        self.program("helm", args).await
    }

    async fn program(&self, name: &str, args: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join(name));
        command.args(args).stdin(Stdio::null()).env("KUBECONFIG", self.kubeconfig());
        // helm and kubectl keep what they have discovered: here, and not in the user's home
        command.env("HOME", self.scratch.path());
        tokio::task::spawn_blocking(move || command.output().expect("kubectl and helm are installed"))
            .await
            .expect("no panic")
    }

    /// `kill -9` of the API server; [`Cluster::boot_api`] starts it again.
    pub async fn kill_api(&self) {
        *self.api.lock().await = None;
    }

    /// Starts a killed API server and waits until it is ready.
    pub async fn boot_api(&self) {
        let mut api = self.api.lock().await;
        assert!(api.is_none(), "the API server runs already");
        *api = Some(run("apiserver", self.scratch.path(), self.port.number()));
        let ready = poll(START, async || {
            let answer = self.kube.call("GET", "/readyz", None).await?;
            if answer.status == 200 { Ok(()) } else { Err(answer.body) }
        });
        ready.await.expect("the API server is ready again");
    }

    /// Freezes the API server: connections stay open and nothing answers.
    pub async fn freeze_api(&self) {
        self.api.lock().await.as_ref().expect("it runs").signal(Signal::STOP);
    }

    /// Lets a frozen API server go on.
    pub async fn resume_api(&self) {
        self.api.lock().await.as_ref().expect("it runs").signal(Signal::CONT);
    }

    /// What `user` has asked the API server so far, one line `VERB PATH CODE` each, oldest first.
    pub fn requests_of(&self, user: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.scratch.path().join("audit.log")).expect("the audit log");
        log.lines().filter_map(|line| request(line, user)).collect()
    }

    /// A new namespace with the chart installed for it alone.
    pub async fn namespace(&self, name: &str) -> Namespace<'_> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.kube.post("/api/v1/namespaces", &body).await;
        let namespace =
            Namespace { cluster: self, name: name.to_owned(), scratch: Scratch::new("namespace") };
        namespace.install().await;
        namespace
    }
}

/// What `kubernetes-node.sh` has started in a folder.
#[derive(Debug)]
struct Node {
    folder: PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        let folder = self.folder.display().to_string();
        let program = project("scripts/kubernetes-node.sh");
        let _ = Command::new("bash").arg(program).args(["stop", &folder]).stdin(Stdio::null()).status();
    }
}

/// A client for whom everything is allowed.
fn administrator(folder: &Path, port: u16) -> Kube {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("prepared");
    let tokens = read("tokens.csv");
    Kube::new(port, read("ca.crt").as_bytes(), tokens.split(',').next().unwrap_or_default())
}

/// Waits until the API server shows an object.
async fn wait_for(kube: &Kube, api: &mut Process, path: &str) {
    let shown = poll(START, async || {
        assert!(api.ended().is_none(), "the API server ended; log:\n{}", api.log_tail(30));
        kube.get(path).await
    });
    if let Err(error) = shown.await {
        panic!("Kubernetes did not come up: {error}\nlog:\n{}", api.log_tail(30));
    }
}

fn run(program: &str, folder: &Path, port: u16) -> Process {
    let args = [
        project("scripts/kubernetes.sh").display().to_string(),
        "run".to_owned(),
        program.to_owned(),
        folder.display().to_string(),
        port.to_string(),
    ];
    Process::spawn("bash", &args, &[], &folder.join(format!("{program}.log")))
}

fn request(line: &str, user: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    if event["user"]["username"].as_str()? != user {
        return None;
    }
    let (verb, path) = (event["verb"].as_str()?, event["requestURI"].as_str()?);
    Some(format!("{verb} {path} {}", event["responseStatus"]["code"]))
}

/// A namespace with a release of the chart in it: rights, no running pod.
#[derive(Debug)]
pub struct Namespace<'a> {
    /// Where it is.
    pub cluster: &'a Cluster,
    /// Its name.
    pub name: String,
    scratch: Scratch,
}

impl Namespace<'_> {
    /// The release's name, its full name, the service account's and the lease's.
    pub const RELEASE: &'static str = "binlog-operator";

    async fn install(&self) {
        let chart = project("charts/binlog-operator").display().to_string();
        let mut args = vec!["install", Self::RELEASE, &chart, "--namespace", &self.name];
        args.extend(["--set", "replicas=0,crds.install=false"]);
        succeeded("helm install", &self.cluster.helm(&args).await);
        let token = ["create", "token", Self::RELEASE, "--namespace", &self.name, "--duration", "2h"];
        let token = succeeded("kubectl create token", &self.cluster.kubectl(&token).await);
        self.write_kubeconfig(token.trim());
    }

    /// A kubeconfig with the service account's token and nothing else.
    fn write_kubeconfig(&self, token: &str) {
        let admin = std::fs::read_to_string(self.cluster.kubeconfig()).expect("the administrator's");
        let mut own = String::new();
        for line in admin.lines() {
            let line = match line.split_once("user: {token:") {
                Some((head, _)) => format!("{head}user: {{token: \"{token}\"}}}}]"),
                None => line.to_owned(),
            };
            let _ = writeln!(own, "{line}");
        }
        std::fs::write(self.kubeconfig(), own).expect("write the kubeconfig");
    }

    /// Where that is.
    pub fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("kubeconfig")
    }

    /// The user that the operator is for the API server.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.name, Self::RELEASE)
    }

    /// `kubectl --namespace NAME ARG...` as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> Output {
        let all = [&["--namespace", self.name.as_str()], args].concat();
        self.cluster.kubectl(&all).await
    }

    /// The same; fails the test when it fails. What it printed.
    pub async fn run(&self, args: &[&str]) -> String {
        succeeded(&args.join(" "), &self.kubectl(args).await)
    }

    /// The path of an object: `synctasks/orders`, `reindexes`, `configmaps/x`, `secrets`, `leases`, `events`.
    pub fn path(&self, object: &str) -> String {
        let kind = object.split('/').next().unwrap_or_default();
        let group = match kind {
            "synctasks" | "reindexes" => "apis/binlog-operator.io/v1alpha1",
            "leases" => "apis/coordination.k8s.io/v1",
            "deployments" => "apis/apps/v1",
            "events" => "apis/events.k8s.io/v1",
            _ => "api/v1",
        };
        format!("/{group}/namespaces/{}/{object}", self.name)
    }
}

/// What a command printed; fails the test when the command failed.
pub fn succeeded(what: &str, output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
