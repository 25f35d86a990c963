//! Turns options into what the HTTP client needs; every fault names its field.

use std::io::Write;

use base64::Engine;
use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, ClientBuilder, Identity, Url};

use super::error::{Result, SinkError};
use super::{Auth, SinkOptions, Tls};

pub(super) fn fault(field: &str, found: &str, remedy: &str) -> SinkError {
    SinkError::Options { field: field.to_owned(), found: found.to_owned(), remedy: remedy.to_owned() }
}

/// Refuses names that could mean something else than one index or alias.
pub(super) fn check_names(options: &SinkOptions) -> Result<()> {
    let field = "sink.elasticsearch.index";
    let index = options.index.as_str();
    let wrong = |found: &str| Err(fault(field, &format!("{index:?}: {found}"), "name one index or alias"));
    if index.is_empty() || index == "." || index == ".." || index == "_all" {
        return wrong("not a name");
    }
    if index.len() > 255 {
        return wrong("longer than 255 bytes");
    }
    if index.starts_with(['-', '_', '+']) {
        return wrong("begins with -, _ or +");
    }
    match index.chars().find(|c| r#"\/*?"<>| ,#:"#.contains(*c) || c.is_control()) {
        Some(c) => wrong(&format!("holds {c:?}")),
        None => Ok(()),
    }
}

/// Why no index of this name can be created; aliases are freer.
pub(super) fn illegal_index_name(index: &str) -> Option<&'static str> {
    index.chars().any(char::is_uppercase).then_some("index names are lower-case")
}

/// The addresses without credentials, and the login: the options' own or the one written in an address.
pub(super) fn addresses(options: &SinkOptions) -> Result<(Vec<Url>, Auth)> {
    let mut auth = options.auth.clone();
    let mut out = Vec::with_capacity(options.addresses.len());
    for (i, text) in options.addresses.iter().enumerate() {
        let field = format!("sink.elasticsearch.addresses[{i}]");
        let wrong = |found: &str| fault(&field, found, "write it as https://host:9200 or http://host:9200");
        let mut url = Url::parse(text.trim()).map_err(|e| wrong(&format!("not an address ({e})")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("not an http(s) address"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            if matches!(options.auth, Auth::None) {
                auth = login_of(&url);
            } else {
                let remedy = "remove those of the address";
                return Err(fault(&field, "credentials both here and in sink.elasticsearch.auth", remedy));
            }
            url.set_username("").ok();
            url.set_password(None).ok();
        }
        out.push(url);
    }
    if out.is_empty() {
        return Err(fault("sink.elasticsearch.addresses", "empty", "name at least one address"));
    }
    Ok((out, auth))
}

fn login_of(url: &Url) -> Auth {
    let decode = |text: &str| percent_decode(text.as_bytes());
    Auth::Basic { username: decode(url.username()), password: decode(url.password().unwrap_or_default()) }
}

fn percent_decode(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |b: &u8| char::from(*b).to_digit(16);
        match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                out.push((digit(high).unwrap_or(0) * 16 + digit(low).unwrap_or(0)) as u8);
                rest = tail;
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes one segment of a path.
pub(super) fn path_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    out
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

pub(super) fn authorization(auth: &Auth) -> Result<Option<HeaderValue>> {
    let text = match auth {
        Auth::None => return Ok(None),
        Auth::Basic { username, password } => {
            let pair = format!("{username}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        Auth::ApiKey(key) => format!("ApiKey {}", key.trim()),
        Auth::Bearer(token) => format!("Bearer {}", token.trim()),
    };
    let wrong =
        |_| fault("sink.elasticsearch.auth", "characters that a header cannot carry", "check the Secret");
    let mut value = HeaderValue::from_str(&text).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

pub(super) fn tls(builder: ClientBuilder, tls: &Tls, encrypted: bool) -> Result<ClientBuilder> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Where main did not choose one the client could not be built; losing a race to another is fine.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    if !encrypted {
        // Without https the system's certificates need not even exist.
        return Ok(builder.tls_certs_only([]));
    }
    let mut builder = builder.tls_danger_accept_invalid_certs(tls.insecure_skip_verify);
    if let Some(pem) = &tls.ca {
        let field = "sink.elasticsearch.tls.ca";
        let wrong = |found: &str| fault(field, found, "give PEM certificates");
        let authorities = Certificate::from_pem_bundle(pem).map_err(|_| wrong("not PEM"))?;
        if authorities.is_empty() {
            return Err(wrong("no certificate in it"));
        }
        builder = builder.tls_certs_only(authorities);
    }
    let (certificate, key) = match (&tls.client_certificate, &tls.client_key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(builder),
        _ => {
            let found = "only one of certificate and key";
            return Err(fault("sink.elasticsearch.tls.clientCertificate", found, "give both"));
        }
    };
    let pem = [key.as_slice(), b"\n", certificate.as_slice()].concat();
    let wrong =
        |_| fault("sink.elasticsearch.tls.clientCertificate", "not a PEM certificate and key", "correct it");
    Ok(builder.identity(Identity::from_pem(&pem).map_err(wrong)?))
}

pub(super) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail; an unfinished stream would be refused by the server, not misread.
    encoder.write_all(bytes).ok();
    encoder.finish().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(addresses: &[&str], auth: Auth) -> Result<(Vec<Url>, Auth)> {
        let addresses = addresses.iter().map(|&a| a.to_owned()).collect();
        super::addresses(&SinkOptions { auth, ..SinkOptions::new(addresses, "orders", "shop/orders") })
    }

    /// Invariant 12.
    #[test]
    fn credentials_leave_the_address() {
        let (urls, auth) = of(&["https://elastic:p%40ss@es:9200/prefix"], Auth::None).unwrap();
        assert_eq!(urls[0].as_str(), "https://es:9200/prefix");
        assert!(
            matches!(auth, Auth::Basic { username, password } if username == "elastic" && password == "p@ss")
        );
        let error = of(&["https://elastic:hunter2@es:9200"], Auth::Bearer("t".into())).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        let error = of(&["https://elastic:hunter2@:99999"], Auth::None).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn faults_name_their_field() {
        for bad in ["", "es:9200", "ftp://es", "http://", "http://es/?pretty", "http://es/#x"] {
            let error = of(&["http://ok", bad], Auth::None).unwrap_err().to_string();
            assert!(error.starts_with("sink.elasticsearch.addresses[1]: "), "{bad}: {error}");
        }
        assert!(of(&[], Auth::None).is_err());
        let auth = Auth::Bearer("line\nbreak".into());
        assert!(authorization(&auth).unwrap_err().to_string().starts_with("sink.elasticsearch.auth: "));
        let bad = Tls { ca: Some(b"no pem".to_vec()), ..Tls::default() };
        let error = super::tls(ClientBuilder::new(), &bad, true).err().unwrap();
        assert!(error.to_string().starts_with("sink.elasticsearch.tls.ca: "), "{error}");
    }

    #[test]
    fn header_values_are_sensitive() {
        let basic = Auth::Basic { username: "u".into(), password: "p".into() };
        let value = authorization(&basic).unwrap().unwrap();
        assert!(value.is_sensitive());
        assert_eq!(value.to_str().unwrap(), "Basic dTpw");
        assert_eq!(path_segment("a/b c"), "a%2Fb%20c");
    }
}
