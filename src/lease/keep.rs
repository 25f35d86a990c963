//! Takes a Lease, renews it, gives it back.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use tracing::{info, warn};

use super::Term;
use super::claim::{Move, Seen, Watch};

/// A standby looks so often.
const LOOK: Duration = Duration::from_secs(1);

/// A renewal that failed is tried again so soon.
const RETRY: Duration = Duration::from_millis(500);

/// Which Lease, and who wants it.
#[derive(Debug, Clone)]
pub struct LeaseOptions {
    /// The Lease's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Us, unique among all who may want it.
    pub identity: String,
    /// How long others let it count after a renewal.
    pub duration: Duration,
    /// How long after the end of its term a process that cannot renew may hope.
    pub grace: Duration,
}

/// The Lease cannot be had, and waiting does not help.
#[derive(Debug, thiserror::Error)]
#[error(
    "Lease {namespace}/{name}: {message}; the ServiceAccount needs get, create and update on leases there"
)]
pub struct LeaseError {
    namespace: String,
    name: String,
    message: String,
}

impl LeaseError {
    /// What it means for the work in hand.
    pub fn class(&self) -> crate::model::Class {
        crate::model::Class::Config
    }
}

/// Holds a Lease.
pub struct Keeper {
    api: Api<Lease>,
    options: LeaseOptions,
    held: Lease,
    term: Term,
}

impl Keeper {
    /// Waits until the Lease is ours. The client must not retry by itself.
    ///
    /// # Errors
    /// The API server refuses to show or to give it.
    pub async fn acquire(client: kube::Client, options: LeaseOptions) -> Result<Self, LeaseError> {
        let api = Api::namespaced(client, &options.namespace);
        let (mut watch, mut told) = (Watch::default(), String::new());
        loop {
            let begun = Instant::now();
            match look(&api, &options, &mut watch).await {
                Ok(Ok(held)) => {
                    let term = Term::until(begun + options.duration * 2 / 3);
                    info!(lease = options.name, identity = options.identity, "leading");
                    return Ok(Self { api, options, held, term });
                }
                Ok(Err(holder)) if holder != told => {
                    info!(lease = options.name, holder, "standing by");
                    told = holder;
                }
                Ok(Err(_)) => {}
                Err(error) => {
                    if let Some(message) = refused(&error) {
                        let LeaseOptions { namespace, name, .. } = options;
                        return Err(LeaseError { namespace, name, message });
                    }
                    warn!(lease = options.name, "the Lease cannot be looked at: {error}");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How long we lead.
    pub fn term(&self) -> Term {
        self.term.clone()
    }

    /// Renews until the Lease is lost, or until this is dropped.
    pub async fn renew(&mut self) {
        let every = self.options.duration / 3;
        let mut next = every;
        while !self.term.is_lost() {
            tokio::time::sleep(next).await;
            let begun = Instant::now();
            next = match self.try_renew(every).await {
                Ok(()) => {
                    self.term.extend(begun + self.options.duration * 2 / 3);
                    every
                }
                Err(words) => {
                    warn!(lease = self.options.name, "the Lease could not be renewed: {words}");
                    RETRY
                }
            };
            if self.term.since_end() > self.options.grace {
                warn!(
                    lease = self.options.name,
                    "the Lease could not be renewed for {:?}", self.options.grace
                );
                self.term.lose();
            }
        }
    }

    async fn try_renew(&mut self, patience: Duration) -> Result<(), String> {
        let new = claimed(&self.held, &self.options, false);
        let how = PostParams::default();
        let renewal = self.api.replace(&self.options.name, &how, &new);
        match tokio::time::timeout(patience, renewal).await {
            Ok(Ok(held)) => {
                self.held = held;
                Ok(())
            }
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_not_found() => {
                self.read_again(patience).await
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the API server does not answer".to_owned()),
        }
    }

    /// A renewal met another version: one of ours whose answer was lost, or somebody else's.
    async fn read_again(&mut self, patience: Duration) -> Result<(), String> {
        let read = tokio::time::timeout(patience, self.api.get_opt(&self.options.name)).await;
        let Ok(Ok(found)) = read else {
            return Err("it is another one than ours, and cannot be read".to_owned());
        };
        match found {
            Some(found) if seen(&found).holder == self.options.identity => self.held = found,
            found => {
                let holder = found.as_ref().map(seen).unwrap_or_default().holder;
                warn!(lease = self.options.name, holder, "the Lease is not ours any more");
                self.term.lose();
            }
        }
        Err("it had another version".to_owned())
    }

    /// Gives the Lease back, so that another need not wait for it to expire.
    pub async fn release(mut self) {
        let patience = Duration::from_secs(2);
        for _ in 0..2 {
            let new = claimed(&self.held, &self.options, true);
            let how = PostParams::default();
            let released = self.api.replace(&self.options.name, &how, &new);
            let conflict = match tokio::time::timeout(patience, released).await {
                Ok(Err(kube::Error::Api(status))) => status.is_conflict(),
                // where it does not come off, it expires
                _ => false,
            };
            // a renewal may have been under way
            if !conflict || self.read_again(patience).await.is_ok() || self.term.is_lost() {
                break;
            }
        }
        self.term.lose();
    }
}

/// Reads the Lease and takes it where it may be taken; otherwise tells who holds it.
async fn look(
    api: &Api<Lease>,
    options: &LeaseOptions,
    watch: &mut Watch,
) -> Result<Result<Lease, String>, kube::Error> {
    let patience = options.duration / 3;
    let late = || kube::Error::Service("no answer in time".into());
    let found = tokio::time::timeout(patience, api.get_opt(&options.name)).await.map_err(|_| late())??;
    let now = found.as_ref().map(seen);
    if watch.judge(now.clone(), &options.identity, Instant::now()) == Move::Wait {
        return Ok(Err(now.unwrap_or_default().holder));
    }
    let new = claimed(&found.clone().unwrap_or_default(), options, false);
    let how = PostParams::default();
    let taken = match found {
        Some(_) => tokio::time::timeout(patience, api.replace(&options.name, &how, &new)).await,
        None => tokio::time::timeout(patience, api.create(&how, &new)).await,
    };
    match taken.map_err(|_| late())? {
        Ok(held) => Ok(Ok(held)),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(Err("somebody who was faster".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// Why it will not be had by waiting.
fn refused(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else { return None };
    let lasting = [401, 403, 404, 422].contains(&status.code);
    lasting.then(|| status.message.clone())
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
    Seen {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: spec.renew_time.map(|time| time.0.to_string()).unwrap_or_default(),
        duration: Duration::from_secs(seconds),
    }
}

/// The Lease with our name in it, renewed now; with nobody's where it is given back.
fn claimed(lease: &Lease, options: &LeaseOptions, released: bool) -> Lease {
    let before = lease.spec.clone().unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(&options.identity);
    let now = MicroTime(Timestamp::now());
    let transitions = before.lease_transitions.unwrap_or(0);
    let spec = LeaseSpec {
        holder_identity: Some(if released { String::new() } else { options.identity.clone() }),
        lease_duration_seconds: Some(if released { 1 } else { options.duration.as_secs() as i32 }),
        acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
        renew_time: Some(now),
        lease_transitions: Some(if ours { transitions } else { transitions + 1 }),
        ..before
    };
    let metadata = ObjectMeta {
        name: Some(options.name.clone()),
        namespace: Some(options.namespace.clone()),
        ..lease.metadata.clone()
    };
    Lease { metadata, spec: Some(spec) }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
