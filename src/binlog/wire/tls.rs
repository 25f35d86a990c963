//! TLS over the line, by rustls with ring, in MySQL's modes. `source` asks the same of mysql_async.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::BufReader;
use tokio_rustls::TlsConnector;

use super::WireError;
use super::packets::{BUFFER, Line};
use crate::model::{ServerOptions, TlsMode, TlsOptions};

/// Changes a line to TLS.
pub(super) async fn encrypt(
    line: Box<dyn Line>,
    options: &ServerOptions,
) -> Result<Box<dyn Line>, WireError> {
    let name = server_name(options)?;
    let connector = TlsConnector::from(Arc::new(config(&options.tls)?));
    // rustls reads 4 KiB at a time
    let line = BufReader::with_capacity(BUFFER, line);
    Ok(Box::new(connector.connect(name, line).await?))
}

/// The name to expect. Where none is checked, one that cannot be written in TLS must not stand in the way.
fn server_name(options: &ServerOptions) -> Result<ServerName<'static>, WireError> {
    let name = options.tls.server_name.as_ref().unwrap_or(&options.host);
    match ServerName::try_from(name.clone()) {
        Ok(name) => Ok(name),
        Err(_) if options.tls.mode != TlsMode::VerifyIdentity => {
            Ok(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0]))))
        }
        Err(_) => Err(refused(format!("{name:?} is no name for a certificate; set source.tls.serverName"))),
    }
}

fn config(tls: &TlsOptions) -> Result<ClientConfig, WireError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier { roots: roots(tls)?, mode: tls.mode, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&tls.client_certificate, &tls.client_key) {
        (None, None) => config.with_no_client_auth(),
        (Some(chain), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| refused("the client's key holds no PEM key"))?;
            config
                .with_client_auth_cert(certificates("the client's certificate", chain)?, key)
                .map_err(|error| refused(format!("the client's certificate and key: {error}")))?
        }
        _ => {
            return Err(refused("a client certificate needs its key and the key its certificate: give both"));
        }
    };
    // a configuration signs in once; the memory of sessions would take 40 KiB of every task
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The authorities that were given, or the public ones.
fn roots(tls: &TlsOptions) -> Result<RootCertStore, WireError> {
    if !matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity) {
        return Ok(RootCertStore::empty()); // nobody asks them
    }
    let Some(ca) = &tls.ca else { return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the CA", ca)? {
        roots.add(certificate).map_err(|error| refused(format!("the CA: {error}")))?;
    }
    Ok(roots)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, WireError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.unwrap_or_default();
    if found.is_empty() { Err(refused(format!("{what} holds no PEM certificate"))) } else { Ok(found) }
}

/// Whether it is the two sides that disagree, and not the line that broke.
pub(super) fn is_about_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>)
}

fn refused(why: impl Display) -> WireError {
    WireError::Refused(format!("TLS: {why}"))
}

/// Checks of the server's certificate what the mode asks for, and always that the server has its key.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    mode: TlsMode,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if matches!(self.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity) {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
            if self.mode == TlsMode::VerifyIdentity {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const CA: &[u8] = include_bytes!("../../../tests/data/tls/ca.pem");
    const OTHER_CA: &[u8] = include_bytes!("../../../tests/data/tls/other-ca.pem");
    /// Of `CA`, for mysql.test.
    const CERTIFICATE: &[u8] = include_bytes!("../../../tests/data/tls/server-cert.pem");
    const KEY: &[u8] = include_bytes!("../../../tests/data/tls/server-key.pem");

    /// Whether a byte of a server with that certificate comes through.
    async fn accepted(host: &str, tls: TlsOptions) -> bool {
        let (ours, theirs) = duplex(1 << 16);
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates("test", CERTIFICATE).unwrap(), key)
            .unwrap();
        let server = tokio::spawn(async move {
            let mut line = TlsAcceptor::from(Arc::new(server)).accept(theirs).await?;
            line.write_all(&[7]).await?;
            line.flush().await
        });
        let options = ServerOptions { host: host.into(), tls, ..ServerOptions::default() };
        let line = encrypt(Box::new(ours), &options).await;
        let came = match line {
            Ok(mut line) => line.read_u8().await.unwrap() == 7,
            Err(WireError::Io(error)) if is_about_tls(&error) => false,
            Err(WireError::Refused(_)) => false,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(server.await.unwrap().is_ok(), came);
        came
    }

    #[tokio::test]
    async fn certificates_are_checked_as_the_mode_says() {
        use TlsMode::{Preferred, Required, VerifyCa, VerifyIdentity};
        for (mode, ca, host, server_name, expected) in [
            (Preferred, None, "mysql.test", None, true),
            (Required, Some(OTHER_CA), "other.test", None, true),
            (Required, None, "no name at all", None, true),
            (VerifyCa, None, "mysql.test", None, false),
            (VerifyCa, Some(OTHER_CA), "mysql.test", None, false),
            (VerifyCa, Some(CA), "other.test", None, true),
            (VerifyCa, Some(CA), "127.0.0.1", None, true),
            (VerifyIdentity, Some(CA), "mysql.test", None, true),
            (VerifyIdentity, Some(CA), "other.test", None, false),
            (VerifyIdentity, Some(CA), "127.0.0.1", Some("mysql.test"), true),
            (VerifyIdentity, Some(OTHER_CA), "mysql.test", None, false),
            (VerifyIdentity, None, "mysql.test", None, false),
        ] {
            let (ca, server_name) = (ca.map(<[u8]>::to_vec), server_name.map(str::to_owned));
            let tls = TlsOptions { mode, ca, server_name, ..TlsOptions::default() };
            assert_eq!(accepted(host, tls.clone()).await, expected, "{host} {tls:?}");
        }
    }
}
