//! How to reach a server, for whoever connects to it.

use std::fmt;

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
pub struct ServerOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port. Default 3306.
    pub port: u16,
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// TLS. Default: preferred.
    pub tls: TlsOptions,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 3306,
            username: String::new(),
            password: Secret::default(),
            tls: TlsOptions::default(),
        }
    }
}

/// Whether a server's error passes by itself, whatever was asked: too many connections (1040, 1203, 1226), shutdown
/// (1053, 1077, 1079), the network (1152, 1158 to 1161, 1184), locks (1205), kills (1317, 1927), offline and idle (3032, 4031).
/// 2002 to 2013 and 9001 are of MySQL Router and ProxySQL, while they have no server to ask.
pub fn passes(code: u16) -> bool {
    const PASSING: [u16; 22] = [
        1040, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1226, 1317, 1927, 2002, 2003,
        2006, 2013, 3032, 4031, 9001,
    ];
    PASSING.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let options = ServerOptions {
            password: Secret::new("hunter2"),
            tls: TlsOptions { client_key: Some(b"hunter2".to_vec()), ..TlsOptions::default() },
            ..ServerOptions::default()
        };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
