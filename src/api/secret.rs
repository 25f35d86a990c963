//! Secrets by reference: what a task names, and what it is given. Values never print.

use std::collections::BTreeMap;
use std::fmt;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{ElasticsearchAuth, Finding, SyncTaskSpec};

/// A Secret in the task's namespace, whose keys are given by what it is for.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a Secret that holds certificates in PEM.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaSecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[serde(default = "ca_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn ca_key() -> String {
    "ca.crt".to_owned()
}

/// A value that never prints: neither Debug nor Display nor serde show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides this value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, to be handed to the client that needs it and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Secrets by name, each with its values by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, BTreeMap<String, Hidden>>);

impl Secrets {
    /// Adds a Secret; false where one of that name is there already.
    pub fn insert(&mut self, name: impl Into<String>, values: BTreeMap<String, Hidden>) -> bool {
        self.0.insert(name.into(), values).is_none()
    }

    fn value(&self, field: &str, name: &str, key: &str) -> Result<Hidden, Finding> {
        let Some(secret) = self.0.get(name) else {
            let known: Vec<_> = self.0.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Finding::new(
                format!("{field}.name"),
                format!("there is no Secret {name:?} (Secrets found: {known})"),
                format!("add a Secret of that name with the key {key:?}, or name another one"),
            ));
        };
        let keys: Vec<_> = secret.keys().map(String::as_str).collect();
        match secret.get(key) {
            Some(value) if !value.expose().is_empty() => Ok(value.clone()),
            Some(_) => Err(Finding::new(
                field,
                format!("the key {key:?} of Secret {name:?} is empty"),
                "give it a value",
            )),
            None => Err(Finding::new(
                field,
                format!("Secret {name:?} has no key {key:?} (its keys: {})", keys.join(", ")),
                format!("add {key:?} to stringData of the Secret"),
            )),
        }
    }

    fn certificates(&self, field: &str, of: Option<&CaSecretRef>) -> Result<Option<String>, Finding> {
        let Some(of) = of else { return Ok(None) };
        self.pem(field, &of.name, &of.key, "CERTIFICATE").map(|pem| Some(pem.expose().to_owned()))
    }

    fn client(&self, field: &str, of: Option<&SecretRef>) -> Result<Option<ClientCertificate>, Finding> {
        let Some(of) = of else { return Ok(None) };
        let certificate = self.pem(field, &of.name, "tls.crt", "CERTIFICATE")?.expose().to_owned();
        let key = self.pem(field, &of.name, "tls.key", "PRIVATE KEY")?;
        Ok(Some(ClientCertificate { certificate, key }))
    }

    fn pem(&self, field: &str, name: &str, key: &str, what: &str) -> Result<Hidden, Finding> {
        let pem = self.value(field, name, key)?;
        if pem.expose().contains("-----BEGIN ") && pem.expose().contains(&format!("{what}-----")) {
            return Ok(pem);
        }
        Err(Finding::new(
            field,
            format!("the key {key:?} of Secret {name:?} holds no {}", what.to_lowercase()),
            format!("put it there in PEM (it begins with -----BEGIN {what}-----)"),
        ))
    }
}

/// Everything that a task takes from Secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The MySQL account.
    pub username: String,
    /// Its password.
    pub password: Hidden,
    /// Certificates that the MySQL server's must come from, in PEM.
    pub source_ca: Option<String>,
    /// The certificate to show to the MySQL server.
    pub source_client: Option<ClientCertificate>,
    /// How to log in at Elasticsearch; absent: without.
    pub sink: Option<SinkCredentials>,
    /// Certificates that Elasticsearch's must come from, in PEM.
    pub sink_ca: Option<String>,
    /// The certificate to show to Elasticsearch.
    pub sink_client: Option<ClientCertificate>,
}

/// A certificate of ours, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, with its chain.
    pub certificate: String,
    /// Its private key.
    pub key: Hidden,
}

/// A login at Elasticsearch or OpenSearch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkCredentials {
    /// HTTP basic.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Hidden,
    },
    /// `Authorization: ApiKey ...`, encoded as Elasticsearch hands it out.
    ApiKey(Hidden),
    /// `Authorization: Bearer ...`.
    Bearer(Hidden),
}

impl SyncTaskSpec {
    /// Takes what the task refers to out of the Secrets; every missing Secret and key is a finding.
    pub fn credentials(&self, secrets: &Secrets) -> Result<Credentials, Vec<Finding>> {
        let (source, sink) = (&self.source, &self.sink.elasticsearch);
        let mut found = Vec::new();
        let (field, account) = ("spec.source.credentials.secretRef", &source.credentials.secret_ref);
        let account = keep(&mut found, login(secrets, field, account));
        let auth = sink.auth.as_ref().map(|auth| auth.credentials(secrets)).transpose();
        let auth = keep(&mut found, auth).flatten();
        let (source, sink) = (source.tls.as_ref(), sink.tls.as_ref());
        let ca = source.and_then(|t| t.ca_secret_ref.as_ref());
        let source_ca = keep(&mut found, secrets.certificates("spec.source.tls.caSecretRef", ca));
        let client = source.and_then(|t| t.client_secret_ref.as_ref());
        let source_client = keep(&mut found, secrets.client("spec.source.tls.clientSecretRef", client));
        let (tls, ca) = ("spec.sink.elasticsearch.tls", sink.and_then(|t| t.ca_secret_ref.as_ref()));
        let sink_ca = keep(&mut found, secrets.certificates(&format!("{tls}.caSecretRef"), ca));
        let client = sink.and_then(|t| t.client_secret_ref.as_ref());
        let sink_client = keep(&mut found, secrets.client(&format!("{tls}.clientSecretRef"), client));
        match account {
            Some((username, password)) if found.is_empty() => Ok(Credentials {
                username,
                password,
                source_ca: source_ca.flatten(),
                source_client: source_client.flatten(),
                sink: auth,
                sink_ca: sink_ca.flatten(),
                sink_client: sink_client.flatten(),
            }),
            _ => Err(found),
        }
    }
}

fn keep<T>(found: &mut Vec<Finding>, result: Result<T, Finding>) -> Option<T> {
    result.map_err(|finding| found.push(finding)).ok()
}

fn login(secrets: &Secrets, field: &str, of: &SecretRef) -> Result<(String, Hidden), Finding> {
    let username = secrets.value(field, &of.name, "username")?;
    let password = secrets.value(field, &of.name, "password")?;
    Ok((username.expose().to_owned(), password))
}

impl ElasticsearchAuth {
    fn credentials(&self, secrets: &Secrets) -> Result<SinkCredentials, Finding> {
        let field = |kind: &str| format!("spec.sink.elasticsearch.auth.{kind}.secretRef");
        match self {
            Self::Basic { secret_ref } => login(secrets, &field("basic"), secret_ref)
                .map(|(username, password)| SinkCredentials::Basic { username, password }),
            Self::ApiKey { secret_ref } => {
                header(secrets, &field("apiKey"), secret_ref, "apiKey").map(SinkCredentials::ApiKey)
            }
            Self::Bearer { secret_ref } => {
                header(secrets, &field("bearer"), secret_ref, "token").map(SinkCredentials::Bearer)
            }
        }
    }
}

/// A value that goes into an HTTP header, where a line break at its end would break every request.
fn header(secrets: &Secrets, field: &str, of: &SecretRef, key: &str) -> Result<Hidden, Finding> {
    let value = secrets.value(field, &of.name, key)?;
    if value.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(value);
    }
    Err(Finding::new(
        field,
        format!(
            "the key {key:?} of Secret {:?} has blanks, line breaks or non-ASCII characters in it",
            of.name
        ),
        "write the value as it was handed out, without a line break at its end",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(of: &[(&str, &[(&str, &str)])]) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, values) in of {
            let values = values.iter().map(|(k, v)| ((*k).to_owned(), Hidden::new(*v))).collect();
            assert!(secrets.insert(*name, values));
        }
        secrets
    }

    fn spec(auth: serde_json::Value) -> SyncTaskSpec {
        let mut spec = super::super::rules::tests::task();
        spec["source"]["tls"] = serde_json::json!({"mode": "VerifyCa", "caSecretRef": {"name": "ca"}, "clientSecretRef": {"name": "me"}});
        spec["sink"]["elasticsearch"]["auth"] = auth;
        serde_json::from_value(spec).unwrap()
    }

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

    const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nplanted\n-----END EC PRIVATE KEY-----\n";

    #[test]
    fn everything_found() {
        let spec = spec(serde_json::json!({"apiKey": {"secretRef": {"name": "es"}}}));
        let given = secrets(&[
            ("shop-mysql", &[("username", "sync"), ("password", "planted")]),
            ("es", &[("apiKey", "a2V5")]),
            ("ca", &[("ca.crt", PEM)]),
            ("me", &[("tls.crt", PEM), ("tls.key", KEY)]),
        ]);
        let credentials = spec.credentials(&given).unwrap();
        assert_eq!(credentials.sink, Some(SinkCredentials::ApiKey(Hidden::new("a2V5"))));
        assert_eq!(credentials.source_ca.as_deref(), Some(PEM));
        let shown = format!("{given:?} {credentials:?}");
        assert!(!shown.contains("planted") && !shown.contains("a2V5"), "{shown}");
    }

    #[test]
    fn everything_missing_is_named_and_no_value_is_shown() {
        let spec = spec(serde_json::json!({"bearer": {"secretRef": {"name": "es"}}}));
        let given = secrets(&[
            ("shop-mysql", &[("user", "planted")]),
            ("es", &[("token", "planted\n")]),
            ("ca", &[("ca.crt", "planted")]),
            ("me", &[("tls.crt", PEM), ("tls.key", PEM)]),
        ]);
        let findings = spec.credentials(&given).unwrap_err();
        let shown: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 4, "{shown:#?}");
        assert!(
            shown[0].starts_with(
                "spec.source.credentials.secretRef: Secret \"shop-mysql\" has no key \"username\""
            )
        );
        assert!(shown[2].contains("holds no certificate") && shown[3].contains("holds no private key"));
        assert!(shown[1].starts_with("spec.sink.elasticsearch.auth.bearer.secretRef: "));
        assert!(!shown.concat().contains("planted"));
        let findings = spec.credentials(&Secrets::default()).unwrap_err();
        assert_eq!(findings.len(), 4);
        assert!(findings[0].to_string().contains("Secrets found: none"));
    }
}
