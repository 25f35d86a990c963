//! Calls to the API server: each within a time, none once the lease is lost.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Config, Resource};

use super::ControllerError;
use crate::lease::Term;

/// kube has no timeout of its own for ordinary calls.
const CALL: Duration = Duration::from_secs(10);

/// The API server, as long as this process may write.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    term: Term,
}

impl Cluster {
    /// A client of KUBECONFIG's cluster, or of the one that this pod runs in. It does not retry by itself.
    ///
    /// # Errors
    /// There is neither, or it cannot be read.
    pub async fn client() -> Result<Client, ControllerError> {
        let failed = |error: &dyn std::fmt::Display| ControllerError::NoCluster(error.to_string());
        let mut config = Config::infer().await.map_err(|error| failed(&error))?;
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        Client::try_from(config).map_err(|error| failed(&error))
    }

    /// Calls by this client while the term lasts.
    pub fn new(client: Client, term: Term) -> Self {
        Self { client, term }
    }

    pub(super) fn raw(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Waits for a call's answer.
    pub(super) async fn call<T>(
        &self,
        what: impl Into<String>,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ControllerError> {
        let what = what.into();
        let answer = tokio::select! {
            biased;
            () = self.term.ended() => return Err(ControllerError::NotLeader { what }),
            answer = tokio::time::timeout(CALL, call) => answer,
        };
        if let Ok(answer) = answer {
            return answer.map_err(|error| ControllerError::of(what, error));
        }
        let message = format!("no answer within {} s", CALL.as_secs());
        Err(ControllerError::Unavailable { what, message })
    }
}
