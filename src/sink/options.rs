//! What a sink is told: where, which index, whose it is, and how to get in.

use std::fmt;
use std::time::Duration;

/// Everything that a [`Sink`](super::Sink) is made from.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// `http://` or `https://` addresses of one cluster, path prefixes allowed. The first that answers is used.
    pub addresses: Vec<String>,
    /// The index, or an alias of exactly one.
    pub index: String,
    /// Who writes: `namespace/name` of the task. Recorded in the index.
    pub task: String,
    /// Several tasks write to this index (all of them must say so).
    pub shared: bool,
    /// Documents are written with a routing.
    pub routed: bool,
    /// How to log in.
    pub auth: Auth,
    /// How to trust.
    pub tls: Tls,
    /// Compress requests, and ask for compressed answers.
    pub gzip: bool,
    /// The `refresh` parameter of every bulk: `false`, `wait_for` or `true`.
    pub refresh: Option<String>,
    /// Time for name lookup, TCP and TLS.
    pub connect_timeout: Duration,
    /// Time for a whole request.
    pub request_timeout: Duration,
    /// Whether a missing index is created.
    pub create: CreateIndex,
    /// Settings of an index that we create.
    pub settings: Option<serde_json::Value>,
    /// Mappings of an index that we create.
    pub mappings: Option<serde_json::Value>,
    /// Aliases of an index that we create.
    pub aliases: Option<serde_json::Value>,
}

impl SinkOptions {
    /// Options with the defaults: no login, no compression, 5 s to connect, 60 s per request, create if missing.
    pub fn new(addresses: Vec<String>, index: impl Into<String>, task: impl Into<String>) -> Self {
        Self {
            addresses,
            index: index.into(),
            task: task.into(),
            shared: false,
            routed: false,
            auth: Auth::None,
            tls: Tls::default(),
            gzip: false,
            refresh: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            create: CreateIndex::IfMissing,
            settings: None,
            mappings: None,
            aliases: None,
        }
    }
}

/// Whether a missing index is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CreateIndex {
    /// At start and by a Full.
    #[default]
    IfMissing,
    /// A missing index is an error.
    Never,
}

/// Credentials. Never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// HTTP basic authentication.
    Basic {
        /// User.
        username: String,
        /// Password.
        password: String,
    },
    /// An API key in its encoded form (`Authorization: ApiKey ...`).
    ApiKey(String),
    /// A bearer token.
    Bearer(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(redacted)",
            Self::ApiKey(_) => "ApiKey(redacted)",
            Self::Bearer(_) => "Bearer(redacted)",
        })
    }
}

/// TLS material, all PEM. Never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The only certificate authorities to trust; the system's where absent.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain; needs `client_key`.
    pub client_certificate: Option<Vec<u8>>,
    /// The client's private key.
    pub client_key: Option<Vec<u8>>,
    /// Trust anybody. For trying things out only.
    pub insecure_skip_verify: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca.is_some())
            .field("client_certificate", &self.client_certificate.is_some())
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Invariant 12.
    #[test]
    fn debug_shows_no_secret() {
        let mut options = SinkOptions::new(vec!["http://a:9200".into()], "orders", "shop/orders");
        options.tls.client_key = Some(b"hunter2".to_vec());
        for auth in [
            Auth::Basic { username: "u".into(), password: "hunter2".into() },
            Auth::ApiKey("hunter2".into()),
            Auth::Bearer("hunter2".into()),
        ] {
            options.auth = auth;
            assert!(!format!("{options:?}").contains("hunter2"));
            assert!(!format!("{options:?}").contains("104, 117")); // "hu" as bytes
        }
    }
}
