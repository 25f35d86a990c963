//! The Secrets of a task: read when they are needed, known by their versions otherwise.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::world::{Place, World};
use super::{Cluster, ControllerError};
use crate::api::{Credentials, ElasticsearchAuth, Finding, Hidden, Secrets, SyncTaskSpec};

/// The names of the Secrets that a task refers to, each once.
pub(super) fn names(spec: &SyncTaskSpec) -> Vec<&str> {
    let (source, sink) = (&spec.source, &spec.sink.elasticsearch);
    let mut names = vec![source.credentials.secret_ref.name.as_str()];
    if let Some(tls) = &source.tls {
        names.extend(tls.ca_secret_ref.as_ref().map(|of| of.name.as_str()));
        names.extend(tls.client_secret_ref.as_ref().map(|of| of.name.as_str()));
    }
    if let Some(tls) = &sink.tls {
        names.extend(tls.ca_secret_ref.as_ref().map(|of| of.name.as_str()));
        names.extend(tls.client_secret_ref.as_ref().map(|of| of.name.as_str()));
    }
    names.extend(sink.auth.as_ref().map(|auth| match auth {
        ElasticsearchAuth::Basic { secret_ref }
        | ElasticsearchAuth::ApiKey { secret_ref }
        | ElasticsearchAuth::Bearer { secret_ref } => secret_ref.name.as_str(),
    }));
    names.sort_unstable();
    names.dedup();
    names
}

/// What tells whether a task's Secrets are still those that were read.
pub(super) fn versions(world: &World, namespace: &str, spec: &SyncTaskSpec) -> Vec<(String, Option<String>)> {
    let version = |name: &str| -> Option<String> {
        let place: Place = (namespace.to_owned(), name.to_owned());
        world.secrets.get(&place)?.metadata.resource_version.clone()
    };
    names(spec).into_iter().map(|name| (name.to_owned(), version(name))).collect()
}

/// Reads the Secrets; what is missing in them is a finding, what cannot be asked is an error.
pub(super) async fn read(
    cluster: &Cluster,
    namespace: &str,
    spec: &SyncTaskSpec,
) -> Result<Result<Credentials, Vec<Finding>>, ControllerError> {
    let mut secrets = Secrets::default();
    for name in names(spec) {
        let api = cluster.api::<Secret>(namespace);
        let what = format!("reading Secret {namespace}/{name}");
        match cluster.call(what, api.get(name)).await {
            Ok(secret) => {
                secrets.insert(name, values(secret));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(spec.credentials(&secrets))
}

/// The values that are texts; what is none cannot be a password or a certificate in PEM.
fn values(secret: Secret) -> BTreeMap<String, Hidden> {
    let data = secret.data.unwrap_or_default().into_iter();
    data.filter_map(|(key, value)| Some((key, Hidden::new(String::from_utf8(value.0).ok()?)))).collect()
}
