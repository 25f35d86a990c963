//! How the source's SQL connections are made.

use std::time::Duration;

use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts};

use super::{Result, SourceError};
use crate::api::{SourceSession, Types};
use crate::model::{ServerOptions, TlsMode};

/// A server, and how long to wait for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceOptions {
    /// How to reach it.
    pub server: ServerOptions,
    /// The schema of unqualified table names. Default none.
    pub database: Option<String>,
    /// How values of each type are written.
    pub types: Types,
    /// Variables of sessions.
    pub session: SourceSession,
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
            server: ServerOptions::default(),
            database: None,
            types: Types::default(),
            session: SourceSession::default(),
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(30),
            visibility_timeout: Duration::from_secs(10),
        }
    }
}

impl SourceOptions {
    /// The options as mysql_async takes them, with TLS unless it is disabled. Never print them: their
    /// `Debug` shows the password.
    ///
    /// # Errors
    /// [`SourceError::Options`] for a client certificate without its key, or the other way round.
    pub(super) fn mysql_opts(&self) -> Result<Opts> {
        Ok(self.builder(self.ssl_opts()?))
    }

    /// The same without TLS.
    pub(super) fn plain_opts(&self) -> Opts {
        self.builder(None)
    }

    /// `host:port`, for messages.
    pub fn address(&self) -> String {
        format!("{}:{}", self.server.host, self.server.port)
    }

    fn builder(&self, ssl: Option<SslOpts>) -> Opts {
        OptsBuilder::default()
            .ip_or_hostname(self.server.host.clone())
            .tcp_port(self.server.port)
            .user(Some(self.server.username.clone()))
            .pass(Some(self.server.password.expose().to_owned()))
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
        let tls = &self.server.tls;
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
    use crate::model::{Secret, TlsOptions};

    #[test]
    fn a_key_without_its_certificate_is_refused_and_not_shown() {
        let tls = TlsOptions { client_key: Some(b"hunter2".to_vec()), ..TlsOptions::default() };
        let server = ServerOptions { password: Secret::new("hunter2"), tls, ..ServerOptions::default() };
        let error = SourceOptions { server, ..SourceOptions::default() }.mysql_opts().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
