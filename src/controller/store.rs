//! A task's state in two ConfigMaps, `<task>-checkpoint` and `<task>-dead-letters`, replaced by
//! compare-and-swap on their resourceVersion.
//!
//! The dead letters carry the owner's epoch too. A new owner writes it there *before* it claims the checkpoint,
//! and only if they are still those that it read: so an owner of before can neither add a letter that the new
//! one does not know nor take one away, and what it stored until then was read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::{Resource as _, ResourceExt as _};
use tokio::sync::Mutex;

use super::letters::{self, Letters};
use super::{Cluster, ControllerError};
use crate::api::SyncTask;
use crate::model::{Checkpoint, Key};
use crate::pipeline::core::{DeadLetter, SaveResult};
use crate::pipeline::{Expect, StoreError, Stored, Stores, may_replace};

const CHECKPOINT: &str = "checkpoint";

/// A task's state.
pub struct ConfigMapStore {
    cluster: Cluster,
    namespace: String,
    task: String,
    uid: String,
    /// The resourceVersion of the stored checkpoint; `None` where there is none.
    checkpoint: Mutex<Option<String>>,
    letters: Mutex<(Option<String>, Letters)>,
}

/// A ConfigMap of ours as it was read: its data and its version.
type Found = Option<(BTreeMap<String, String>, Option<String>)>;

impl ConfigMapStore {
    /// The state of the task of this UID.
    pub fn new(cluster: Cluster, namespace: &str, task: &str, uid: &str) -> Self {
        let (namespace, task, uid) = (namespace.to_owned(), task.to_owned(), uid.to_owned());
        Self { cluster, namespace, task, uid, checkpoint: Mutex::default(), letters: Mutex::default() }
    }

    /// True where there is a checkpoint of ours; another owner's is waited out.
    pub(super) async fn is_there(&self) -> Result<bool, StoreError> {
        Ok(self.read(CHECKPOINT).await?.is_some())
    }

    fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.task)
    }

    /// Reads a ConfigMap. One of another owner is no state of ours: it is about to be garbage-collected.
    async fn read(&self, part: &str) -> Result<Found, StoreError> {
        let name = self.name(part);
        let here = format!("ConfigMap {}/{name}", self.namespace);
        let api = self.cluster.api::<ConfigMap>(&self.namespace);
        let read = self.cluster.call(format!("reading {here}"), api.get_opt(&name)).await;
        let Some(map) = read.map_err(|error| StoreError(error.to_string()))? else { return Ok(None) };
        if !map.owner_references().iter().any(|owner| owner.uid == self.uid) {
            let owners: Vec<_> = map.owner_references().iter().map(|owner| owner.uid.clone()).collect();
            let found =
                if owners.is_empty() { "nobody".to_owned() } else { format!("uid {}", owners.join(", ")) };
            return Err(StoreError(format!(
                "{here} belongs to {found}, not to this SyncTask (uid {}): waiting until it is gone; where nothing \
                 collects it, delete it and the task is repaired by a Full",
                self.uid
            )));
        }
        Ok(Some((map.data.unwrap_or_default(), map.metadata.resource_version)))
    }

    /// Replaces what has this version, or creates what is not there; gives the new version.
    async fn write(
        &self,
        part: &str,
        version: Option<&String>,
        data: BTreeMap<String, String>,
    ) -> Result<Option<String>, ControllerError> {
        let name = self.name(part);
        let map =
            ConfigMap { metadata: self.metadata(&name, version), data: Some(data), ..ConfigMap::default() };
        let what = format!("writing ConfigMap {}/{name}", self.namespace);
        let (api, how) = (self.cluster.api::<ConfigMap>(&self.namespace), PostParams::default());
        let written = match version {
            Some(_) => self.cluster.call(what, api.replace(&name, &how, &map)).await?,
            None => self.cluster.call(what, api.create(&how, &map)).await?,
        };
        Ok(written.metadata.resource_version)
    }

    fn metadata(&self, name: &str, version: Option<&String>) -> ObjectMeta {
        let kind = |text: std::borrow::Cow<'_, str>| text.into_owned();
        let owner = OwnerReference {
            api_version: kind(SyncTask::api_version(&())),
            kind: kind(SyncTask::kind(&())),
            name: self.task.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(super::labels(&self.uid)),
            owner_references: Some(vec![owner]),
            resource_version: version.cloned(),
            ..ObjectMeta::default()
        }
    }

    fn broken(&self, part: &str, error: &serde_json::Error) -> StoreError {
        let name = self.name(part);
        let advice = "restore the ConfigMap, or delete it to have the task repaired by a Full";
        StoreError(format!("ConfigMap {}/{name} cannot be read: {error}; {advice}", self.namespace))
    }

    /// The checkpoint and its version.
    async fn stored(&self) -> Result<(Option<Checkpoint>, Option<String>), StoreError> {
        let Some((data, version)) = self.read(CHECKPOINT).await? else { return Ok((None, None)) };
        let text = data.get(CHECKPOINT).map(String::as_str).unwrap_or_default();
        let checkpoint = serde_json::from_str(text).map_err(|error| self.broken(CHECKPOINT, &error))?;
        Ok((Some(checkpoint), version))
    }

    /// The dead letters and their version.
    async fn stored_letters(&self) -> Result<(Letters, Option<String>), StoreError> {
        let Some((data, version)) = self.read(letters::PART).await? else { return Ok(<_>::default()) };
        let letters = Letters::read(&data).map_err(|error| self.broken(letters::PART, &error))?;
        Ok((letters, version))
    }

    async fn try_save(&self, expect: Expect, new: &Checkpoint) -> Result<SaveResult, StoreError> {
        let words = |error: &dyn std::fmt::Display| StoreError(error.to_string());
        let text = serde_json::to_string(new).map_err(|error| words(&error))?;
        let data = BTreeMap::from([(CHECKPOINT.to_owned(), text)]);
        let mut version = self.checkpoint.lock().await;
        for _ in 0..3 {
            match self.write(CHECKPOINT, version.as_ref(), data.clone()).await {
                Ok(written) => {
                    *version = written;
                    return Ok(SaveResult::Done);
                }
                Err(error) if !(error.is_conflict() || error.is_not_found()) => return Err(words(&error)),
                Err(_) => {}
            }
            let (stored, now) = self.stored().await?;
            if let Err(why) = may_replace(stored.as_ref(), expect, new) {
                return Ok(SaveResult::Lost(why));
            }
            *version = now;
        }
        Err(StoreError("the checkpoint keeps being changed by somebody else".to_owned()))
    }

    /// Puts the new owner's name on the dead letters, if they are still those that were read.
    async fn fence(&self, new: &Checkpoint) -> Result<Option<SaveResult>, StoreError> {
        let mut letters = self.letters.lock().await;
        let claimed = letters.1.claimed_by(new.epoch, &new.owner);
        if letters.1 == claimed && letters.0.is_some() {
            return Ok(None);
        }
        let lost = self.store_letters(&mut letters, claimed).await?;
        Ok(lost.map(SaveResult::Lost))
    }

    /// Stores letters; the words say who else has changed them.
    async fn store_letters(
        &self,
        letters: &mut (Option<String>, Letters),
        new: Letters,
    ) -> Result<Option<String>, StoreError> {
        let words = |error: &dyn std::fmt::Display| StoreError(error.to_string());
        let data = new.data().map_err(|error| words(&error))?;
        for _ in 0..3 {
            match self.write(letters::PART, letters.0.as_ref(), data.clone()).await {
                Ok(version) => {
                    *letters = (version, new);
                    return Ok(None);
                }
                Err(error) if !(error.is_conflict() || error.is_not_found()) => return Err(words(&error)),
                Err(_) => {}
            }
            match self.stored_letters().await? {
                // deleted by hand: what is known here is all that there was
                (_, None) => letters.0 = None,
                (found, version) => {
                    // an attempt of ours whose answer was lost, or an edit by hand while they are ours
                    if !found.is_owned_like(&new) {
                        return Ok(Some(format!(
                            "the dead letters are at epoch {}, ours is {}",
                            found.epoch, new.epoch
                        )));
                    }
                    letters.0 = version;
                }
            }
        }
        Err(StoreError("the dead letters keep being changed by somebody else".to_owned()))
    }
}

fn failed(result: Result<SaveResult, StoreError>) -> SaveResult {
    result.unwrap_or_else(|error| SaveResult::Failed(error.to_string()))
}

impl Stores for ConfigMapStore {
    async fn load(&self) -> Result<Stored, StoreError> {
        let (checkpoint, version) = self.stored().await?;
        *self.checkpoint.lock().await = version;
        let (letters, version) = self.stored_letters().await?;
        let stored = Stored { checkpoint, letters: letters.all().cloned().collect() };
        *self.letters.lock().await = (version, letters);
        Ok(stored)
    }

    async fn save(&self, expect: Expect, checkpoint: &Checkpoint) -> SaveResult {
        if expect.epoch != checkpoint.epoch {
            match self.fence(checkpoint).await {
                Ok(None) => {}
                Ok(Some(lost)) => return lost,
                Err(error) => return SaveResult::Failed(error.to_string()),
            }
        }
        failed(self.try_save(expect, checkpoint).await)
    }

    async fn save_letters(&self, epoch: u64, add: &[DeadLetter], remove: &[Key]) -> SaveResult {
        let mut letters = self.letters.lock().await;
        if letters.1.epoch != epoch {
            return SaveResult::Lost(format!(
                "the dead letters are at epoch {}, ours is {epoch}",
                letters.1.epoch
            ));
        }
        let mut new = letters.1.clone();
        new.change(add, remove);
        let full = new.too_large();
        if full.is_some() {
            // what is healed makes room, whatever becomes of the rest
            new = letters.1.clone();
            new.change(&[], remove);
        }
        let stored = if new == letters.1 { Ok(None) } else { self.store_letters(&mut letters, new).await };
        failed(stored.map(|lost| match (lost, full) {
            (Some(lost), _) => SaveResult::Lost(lost),
            (None, Some(full)) => SaveResult::Full(full),
            (None, None) => SaveResult::Done,
        }))
    }

    async fn holds(&self, epoch: u64) -> Result<bool, StoreError> {
        Ok(self.stored().await?.0.is_some_and(|stored| stored.epoch == epoch))
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
