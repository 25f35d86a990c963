//! `spec.sink`: where documents go.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CaSecretRef, Create, SecretRef};

/// Addresses. That no login may stand in them is a rule and not part of the pattern: the API server shows the text that
/// does not fit a pattern to whoever asks.
pub(crate) const ADDRESS: &str = r"^https?://[^/\s?#]+(/[^\s?#]*)?$";
/// Names that Elasticsearch and OpenSearch accept for indices that are not the system's. A rule too, for its words.
pub(crate) const INDEX: &str = r#"^[^A-Z\\/*?"<>|\s,#:_.+-][^A-Z\\/*?"<>|\s,#:]*$"#;

/// Where documents go.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sink {
    /// True: other tasks write to this index too, and say so as well. Documents that no query knows are then
    /// left alone by a build.
    #[serde(default)]
    pub shared: bool,
    /// Elasticsearch or OpenSearch.
    pub elasticsearch: Elasticsearch,
}

/// An index in Elasticsearch or OpenSearch.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.tls) || self.addresses.all(a, a.startsWith('https://'))")
        .message("tls needs addresses that begin with https://"),
    validation = Rule::new("self.addresses.all(a, !a.contains('@'))")
        .message("addresses carry a login: put the login into a Secret and name it in auth"),
    validation = Rule::new(format!("self.index.matches(r'{INDEX}')"))
        .message("index: use lower case, no blanks, no punctuation but - _ . and +, and begin with a letter or digit")
)]
pub struct Elasticsearch {
    /// Addresses of the cluster's nodes, or of a load balancer.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 1024), regex(pattern = ADDRESS)))]
    pub addresses: Vec<String>,
    /// The index or alias to write to.
    #[schemars(length(min = 1, max = 255))]
    pub index: String,
    /// Whether a missing index is created.
    #[serde(default)]
    pub create_index: CreateIndex,
    /// What a missing index is created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Create>,
    /// How a document is written.
    #[serde(default)]
    pub write: Write,
    /// The column of the query whose value is the document's routing. A column of the key costs nothing; with any
    /// other each write of a document also deletes it in every other shard, for its value may have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub routing: Option<String>,
    /// The document's `_id`, with the columns of the key in braces: `order-{id}`. Without it the key itself, several
    /// columns joined by `|`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255))]
    pub id_template: Option<String>,
    /// True: requests are compressed.
    #[serde(default)]
    pub gzip: bool,
    /// When writes can be searched: `""` as the index says, `"false"`, `"wait_for"` or `"true"` (slow).
    #[serde(default)]
    pub refresh: Refresh,
    /// How to log in; without it no login is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ElasticsearchAuth>,
    /// TLS beyond https:// with the well-known public CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ElasticsearchTls>,
}

/// Whether a missing index is created.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum CreateIndex {
    /// Created at start and by a build, if it is not there.
    #[default]
    IfMissing,
    /// A missing index halts the task.
    Never,
}

/// How a document is written.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Write {
    /// Whole: it is what the query returns.
    #[default]
    Index,
    /// The task's fields are put into the document, and those of others stay: several tasks can fill one document.
    /// Where the query returns nothing the task's fields are taken out; the last one takes the document with it.
    Upsert,
}

/// The parameter `refresh` of every bulk request.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Refresh {
    /// Not sent.
    #[default]
    #[serde(rename = "")]
    Unset,
    /// `false`.
    #[serde(rename = "false")]
    False,
    /// `wait_for`.
    #[serde(rename = "wait_for")]
    WaitFor,
    /// `true`.
    #[serde(rename = "true")]
    True,
}

impl Refresh {
    /// The parameter's value, where one is sent.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Unset => None,
            Self::False => Some("false"),
            Self::WaitFor => Some("wait_for"),
            Self::True => Some("true"),
        }
    }
}

/// How to log in: exactly one of basic, apiKey, bearer.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ElasticsearchAuth {
    /// User and password, from the Secret's keys `username` and `password`.
    Basic {
        /// The Secret.
        secret_ref: SecretRef,
    },
    /// An API key in its encoded form, from the Secret's key `apiKey`.
    ApiKey {
        /// The Secret.
        secret_ref: SecretRef,
    },
    /// A bearer token, from the Secret's key `token`.
    Bearer {
        /// The Secret.
        secret_ref: SecretRef,
    },
}

/// TLS to Elasticsearch.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.caSecretRef) && self.insecureSkipVerify)")
    .message("caSecretRef and insecureSkipVerify exclude each other"))]
pub struct ElasticsearchTls {
    /// The CA; without it the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
    /// A Secret with the keys `tls.crt` and `tls.key`: the certificate to show to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretRef>,
    /// True: any certificate is accepted. For development only.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}
