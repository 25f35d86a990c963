//! How to reach the server.

use std::fmt;
use std::time::Duration;

use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts};

use super::{Result, SourceError};

/// A text that is never printed: `Debug` shows `***` and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to hand to a library.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How much TLS is asked for; the names are MySQL's own `ssl-mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// Encrypted where the server offers TLS, plain where it does not; the certificate is not checked.
    #[default]
    Preferred,
    /// Encrypted or refused; the certificate is not checked.
    Required,
    /// The certificate must come from a trusted authority; its name is not checked.
    VerifyCa,
    /// The certificate must come from a trusted authority and name the host.
    VerifyIdentity,
}

/// TLS settings. All PEM.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// Default: [`TlsMode::Preferred`].
    pub mode: TlsMode,
    /// Authorities to trust instead of the public ones.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain; together with `client_key`.
    pub client_certificate: Option<Vec<u8>>,
    /// The client's private key.
    pub client_key: Option<Vec<u8>>,
    /// The name to expect in the certificate instead of the host's.
    pub server_name: Option<String>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("mode", &self.mode)
            .field("ca", &self.ca.is_some())
            .field("client_certificate", &self.client_certificate.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// How to reach a MySQL or MariaDB server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port. Default 3306.
    pub port: u16,
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The schema of unqualified table names. Default none.
    pub database: Option<String>,
    /// TLS. Default: preferred.
    pub tls: TlsOptions,
    /// Limit for a new connection, from TCP to the session's settings. Default 5 s.
    pub connect_timeout: Duration,
    /// Limit for one statement; what runs longer is killed on the server as well. Default 30 s.
    pub query_timeout: Duration,
    /// Limit for waiting until transactions or locked rows are visible. Default 10 s.
    pub visibility_timeout: Duration,
}

/// mysql_async lets a wrong name pass where the error's text has this in it. rustls names the expected name in
/// that text, and checks it after the chain; so expecting this very name skips the name's check and nothing else.
const ANY_NAME: &str = "NotValidForName";

/// Bytes that the client takes in one packet: the protocol's own limit, so that the server's decides.
const MAX_PACKET: usize = 1 << 30;

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 3306,
            username: String::new(),
            password: Secret::default(),
            database: None,
            tls: TlsOptions::default(),
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(30),
            visibility_timeout: Duration::from_secs(10),
        }
    }
}

impl SourceOptions {
    /// The options as mysql_async takes them, with TLS unless it is disabled. Never print them: their
    /// `Debug` shows the password. With [`TlsMode::Preferred`] take `Source::stream_opts`, which knows
    /// whether the server has TLS.
    ///
    /// # Errors
    /// [`SourceError::Options`] for a client certificate without its key, or the other way round.
    pub fn mysql_opts(&self) -> Result<Opts> {
        Ok(self.builder(self.ssl_opts()?))
    }

    /// The same without TLS.
    pub(super) fn plain_opts(&self) -> Opts {
        self.builder(None)
    }

    /// `host:port`, for messages.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn builder(&self, ssl: Option<SslOpts>) -> Opts {
        OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(self.username.clone()))
            .pass(Some(self.password.expose().to_owned()))
            .db_name(self.database.clone())
            .prefer_socket(false)
            .max_allowed_packet(Some(MAX_PACKET))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .stmt_cache_size(0)
            .connect_attribute("program_name", "binlog-operator")
            .ssl_opts(ssl)
            .into()
    }

    fn ssl_opts(&self) -> Result<Option<SslOpts>> {
        let tls = &self.tls;
        let identity = match (&tls.client_certificate, &tls.client_key) {
            (Some(chain), Some(key)) => Some(ClientIdentity::new(chain.clone().into(), key.clone().into())),
            (None, None) => None,
            _ => {
                return Err(SourceError::Options(
                    "a client certificate needs its key and the key its certificate: give both".into(),
                ));
            }
        };
        let (any_certificate, any_name) = match tls.mode {
            TlsMode::Disabled => return Ok(None),
            TlsMode::Preferred | TlsMode::Required => (true, true),
            TlsMode::VerifyCa => (false, true),
            TlsMode::VerifyIdentity => (false, false),
        };
        let mut ssl = SslOpts::default()
            .with_client_identity(identity)
            .with_danger_accept_invalid_certs(any_certificate)
            .with_danger_skip_domain_validation(any_name)
            .with_danger_tls_hostname_override(match tls.mode {
                TlsMode::VerifyCa => Some(ANY_NAME.to_owned()),
                _ => tls.server_name.clone(),
            });
        if let Some(ca) = &tls.ca {
            ssl = ssl.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true);
        }
        Ok(Some(ssl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let options = SourceOptions {
            password: Secret::new("hunter2"),
            tls: TlsOptions { client_key: Some(b"hunter2".to_vec()), ..TlsOptions::default() },
            ..SourceOptions::default()
        };
        assert!(!format!("{options:?}").contains("hunter2"));
        let error = options.mysql_opts().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
