//! A resource as it was seen, well-formed or not: one that cannot be read must not keep others from being seen.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::{self, Finding};

/// An object of the watch. Its numbers are exact (see CONTRIBUTING, traps), so it is read by way of a
/// [`Value`], not by kube's `DeserializeGuard`.
#[derive(Debug, Clone)]
pub(super) struct Observed<R> {
    metadata: ObjectMeta,
    /// The resource, or all that is wrong with it.
    pub(super) resource: Result<R, Vec<Finding>>,
    /// Its status as it stands there, as JSON text: a tree takes ten times the room.
    status: Box<str>,
}

impl<'de, R: api::Resource> Deserialize<'de> for Observed<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let metadata = value.get("metadata").cloned().unwrap_or_default();
        let metadata = serde_json::from_value(metadata).map_err(serde::de::Error::custom)?;
        let resource = api::check(&value);
        let status = value.get("status").map(Value::to_string).unwrap_or_default().into();
        Ok(Self { metadata, resource, status })
    }
}

impl<R: Resource> Resource for Observed<R> {
    type DynamicType = R::DynamicType;
    type Scope = R::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        R::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        R::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        R::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        R::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<R> Observed<R> {
    /// Its status in its own type; what cannot be read is as if it were not there.
    pub(super) fn status<S: serde::de::DeserializeOwned + Default>(&self) -> S {
        serde_json::from_str(&self.status).unwrap_or_default()
    }

    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn generation(&self) -> Option<i64> {
        self.metadata.generation
    }

    /// Somebody deleted it; only a finalizer keeps it.
    pub(super) fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
