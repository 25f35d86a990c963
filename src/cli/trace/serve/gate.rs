//! Who may ask: the page shows production data, and any page in the same browser can send requests to this machine.
//!
//! A page elsewhere can give its own name this machine's address (DNS rebinding) and would then read the answers; the
//! name still stands in the Host header, so only names that mean this machine are answered.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use crate::trace::TraceError;

/// Names that always mean this machine.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names by which it may be called.
#[derive(Debug)]
pub(super) struct Gate {
    names: Vec<String>,
}

impl Gate {
    /// Refuses an address that others can reach where nobody has said that they may.
    pub(super) fn new(listen: SocketAddr, allowed: &[String]) -> Result<Self, TraceError> {
        if !listen.ip().is_loopback() && allowed.is_empty() {
            return Err(TraceError::Option(format!(
                "--listen {listen} can be reached from other machines, and whoever reaches it sees the data: listen on \
                 127.0.0.1 and come through `ssh -L`, or say with --allow-host NAME by which name browsers may call it"
            )));
        }
        let own = match listen {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        let mut names: Vec<String> = allowed.iter().map(|name| host(name).to_ascii_lowercase()).collect();
        names.push(own);
        names.extend(OWN.map(str::to_owned));
        Ok(Self { names })
    }

    /// Why a request is not answered.
    pub(super) fn refuses(&self, request: &Request) -> Option<(StatusCode, String)> {
        let said = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
        let named = request.uri().authority().map(axum::http::uri::Authority::as_str);
        let Some(called) = said.or(named) else {
            return Some((StatusCode::BAD_REQUEST, "the request has no Host header".to_owned()));
        };
        let known = |called: &str| self.names.iter().any(|name| name.eq_ignore_ascii_case(host(called)));
        if ![said, named].into_iter().flatten().all(known) {
            let text = format!(
                "{called:?} is not a name of this page: call it by localhost, or start it with --allow-host"
            );
            return Some((StatusCode::FORBIDDEN, text));
        }
        (request.uri().path() != "/" && is_foreign(request.headers()))
            .then(|| (StatusCode::FORBIDDEN, "another page asks; only this one may".to_owned()))
    }
}

/// The name without its port.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// The browser says that a page of another origin asks.
fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get(HeaderName::from_static("sec-fetch-site")).and_then(|value| value.to_str().ok());
    matches!(site, Some("cross-site" | "same-site"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn asked(gate: &Gate, host: Option<&str>, site: Option<&str>) -> Option<StatusCode> {
        let mut request = Request::builder().uri("/api/overview");
        for (name, value) in [("host", host), ("sec-fetch-site", site)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        gate.refuses(&request.body(Body::empty()).unwrap()).map(|(status, _)| status)
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let gate = Gate::new("127.0.0.1:8223".parse().unwrap(), &["Trace.example".into()]).unwrap();
        for host in
            ["127.0.0.1:8223", "localhost:9000", "LOCALHOST", "[::1]:8223", "[::1]", "trace.EXAMPLE:80"]
        {
            assert_eq!(asked(&gate, Some(host), None), None, "{host}");
        }
        for host in ["evil.example", "evil.example:8223", "127.0.0.1.evil.example", "", "localhost.", "[::2]"]
        {
            assert_eq!(asked(&gate, Some(host), None), Some(StatusCode::FORBIDDEN), "{host}");
        }
        assert_eq!(asked(&gate, None, None), Some(StatusCode::BAD_REQUEST));
        assert_eq!(asked(&gate, Some("localhost"), Some("same-origin")), None);
        assert_eq!(asked(&gate, Some("localhost"), Some("cross-site")), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn an_address_for_others_needs_a_word() {
        let everywhere = "0.0.0.0:8223".parse().unwrap();
        assert!(Gate::new(everywhere, &[]).unwrap_err().to_string().contains("--allow-host"));
        let gate = Gate::new(everywhere, &["db1.example:8223".into()]).unwrap();
        assert_eq!(asked(&gate, Some("db1.example:8223"), None), None);
        assert!(Gate::new("[::1]:0".parse().unwrap(), &[]).is_ok());
    }
}
