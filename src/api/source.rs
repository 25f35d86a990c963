//! `spec.source`: the MySQL server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CaSecretRef, SecretRef, SourceReader, SourceSession};

/// The MySQL server whose changes are followed and whose rows are read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Host name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The schema of table names without one in the query and the mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub database: Option<String>,
    /// The account.
    pub credentials: SourceCredentials,
    /// TLS. Without it the connection is encrypted where the server offers it (mode Preferred).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SourceTls>,
    /// The server_id this task shows to MySQL, which no other client of the server may use. Without it one is
    /// derived from the task's name and checked against the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub server_id: Option<i64>,
    /// A replica that rows are read from instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<SourceReader>,
    /// Variables of the sessions that read rows.
    #[serde(default)]
    pub session: SourceSession,
}

fn default_port() -> i32 {
    3306
}

impl Source {
    /// The port as a socket has it.
    pub fn port(&self) -> u16 {
        u16::try_from(self.port).unwrap_or_default()
    }

    /// The TLS mode in effect.
    pub fn tls_mode(&self) -> TlsMode {
        self.tls.as_ref().map_or(TlsMode::default(), |t| t.mode)
    }
}

/// The MySQL account.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceCredentials {
    /// A Secret with the keys `username` and `password`.
    pub secret_ref: SecretRef,
}

/// TLS to MySQL.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.caSecretRef) || self.mode in ['VerifyCa', 'VerifyIdentity']")
        .message("caSecretRef needs mode VerifyCa or VerifyIdentity"),
    validation = Rule::new("!has(self.serverName) || self.mode == 'VerifyIdentity'")
        .message("serverName needs mode VerifyIdentity"),
    validation = Rule::new("!has(self.clientSecretRef) || self.mode != 'Disabled'")
        .message("clientSecretRef does nothing with mode Disabled")
)]
pub struct SourceTls {
    /// Disabled; Preferred: encrypted where the server offers it; Required: encrypted, the certificate is not
    /// checked; VerifyCa: it must come from the CA; VerifyIdentity: it must also name the host.
    #[serde(default)]
    pub mode: TlsMode,
    /// The CA; without it the well-known public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
    /// A Secret with the keys `tls.crt` and `tls.key`: the certificate to show to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretRef>,
    /// The name to expect in the certificate instead of the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
}

/// How far TLS goes; the names are MySQL's.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum TlsMode {
    /// No TLS.
    Disabled,
    /// Encrypted where the server offers it, whoever answers.
    #[default]
    Preferred,
    /// Encrypted, whoever answers.
    Required,
    /// The certificate must come from the CA.
    VerifyCa,
    /// The certificate must come from the CA and name the host.
    VerifyIdentity,
}
