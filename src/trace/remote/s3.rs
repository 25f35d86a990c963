//! Objects of stores that speak S3, each request signed by AWS Signature Version 4 in its headers.
//!
//! Source: AWS' "Authenticating Requests: Using the Authorization Header" and "ListObjectsV2".

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Url;
use reqwest::header::HeaderMap;

use super::http;
use super::keys::AccessKeys;
use super::link::header;
use super::signature::{hex, hmac_sha256, percent, query, sha256_hex};
use crate::trace::TraceError;

/// A store's address.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Instead of AWS: buckets are then the first part of the path.
    pub endpoint: Option<String>,
    /// Default: `us-east-1`.
    pub region: Option<String>,
}

/// A store that objects are asked of.
#[derive(Debug)]
pub struct S3Store {
    endpoint: Option<Url>,
    region: String,
    keys: AccessKeys,
    pub(super) client: reqwest::Client,
}

/// An object of a bucket.
#[derive(Debug)]
pub(crate) struct Object {
    store: Arc<S3Store>,
    bucket: String,
    key: String,
}

impl S3Store {
    /// A store with these keys.
    pub fn new(options: &StoreOptions, keys: AccessKeys) -> Result<Self, TraceError> {
        let endpoint = options.endpoint.as_deref().filter(|text| !text.is_empty()).map(|text| {
            let url = Url::parse(text).ok().filter(|url| {
                matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.username().is_empty()
            });
            url.ok_or_else(|| {
                TraceError::Option(
                    "--s3-endpoint: write an address such as https://minio.example:9000".into(),
                )
            })
        });
        let region = options.region.clone().filter(|region| !region.is_empty());
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        if !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(TraceError::Option(format!(
                "--s3-region {region:?}: write for example eu-central-1"
            )));
        }
        let client = http::client().map_err(TraceError::io("the HTTP client"))?;
        Ok(Self { endpoint: endpoint.transpose()?, region, keys, client })
    }

    /// A server's words without the keys.
    pub(super) fn masked(&self, text: &str) -> String {
        self.keys.masked(text)
    }

    /// URL and headers of a GET of a bucket's object (or, with an empty key, of its list).
    pub(super) fn get(
        &self,
        bucket: &str,
        key: &str,
        parameters: &[(&str, &str)],
    ) -> io::Result<(String, HeaderMap)> {
        let now = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
        self.get_at(bucket, key, parameters, &now)
    }

    fn get_at(
        &self,
        bucket: &str,
        key: &str,
        parameters: &[(&str, &str)],
        now: &str,
    ) -> io::Result<(String, HeaderMap)> {
        let (scheme, host, path) = self.place(bucket, key)?;
        let query = query(parameters);
        let mut headers = HeaderMap::new();
        header(&mut headers, "x-amz-date", now)?;
        header(&mut headers, "x-amz-content-sha256", &sha256_hex(b""))?;
        let mut signed =
            vec![("host", host.as_str()), ("x-amz-content-sha256", EMPTY_SHA256), ("x-amz-date", now)];
        if let Some(token) = &self.keys.token {
            header(&mut headers, "x-amz-security-token", token.expose())?;
            signed.push(("x-amz-security-token", token.expose()));
        }
        let authorization = authorization(&self.keys, &self.region, &path, &query, &signed, now);
        header(&mut headers, "authorization", &authorization)?;
        let mark = if query.is_empty() { "" } else { "?" };
        Ok((format!("{scheme}://{host}{path}{mark}{query}"), headers))
    }

    /// Scheme, host (with its port, as the header Host has it) and encoded path.
    fn place(&self, bucket: &str, key: &str) -> io::Result<(String, String, String)> {
        let key = percent(key, true);
        // a bucket with a point in its name fits no certificate as a host
        if let (None, false) = (&self.endpoint, bucket.contains('.')) {
            return Ok((
                "https".into(),
                format!("{bucket}.s3.{}.amazonaws.com", self.region),
                format!("/{key}"),
            ));
        }
        let Some(endpoint) = &self.endpoint else {
            let host = format!("s3.{}.amazonaws.com", self.region);
            return Ok(("https".into(), host, format!("/{bucket}/{key}")));
        };
        let host = endpoint.host_str().ok_or_else(|| io::Error::other("--s3-endpoint names no host"))?;
        let host = endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let base = endpoint.path().trim_end_matches('/');
        Ok((endpoint.scheme().to_owned(), host, format!("{base}/{bucket}/{key}")))
    }
}

/// SHA-256 of nothing.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The header `Authorization` of a GET without a body. `signed`: names in lower case and in order.
fn authorization(
    keys: &AccessKeys,
    region: &str,
    path: &str,
    query: &str,
    signed: &[(&str, &str)],
    now: &str,
) -> String {
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let request = format!("GET\n{path}\n{query}\n{lines}\n{names}\n{EMPTY_SHA256}");
    let day: String = now.chars().take(8).collect();
    let scope = format!("{day}/{region}/s3/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", sha256_hex(request.as_bytes()));
    let mut key = format!("AWS4{}", keys.secret.expose()).into_bytes();
    for part in [day.as_str(), region, "s3", "aws4_request"] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let signature = hex(&hmac_sha256(&key, to_sign.as_bytes()));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.id.expose()
    )
}

impl Object {
    pub(super) fn new(store: Arc<S3Store>, bucket: &str, key: String) -> Self {
        Self { store, bucket: bucket.to_owned(), key }
    }

    pub(super) fn shown(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    pub(super) fn request(&self) -> io::Result<(String, HeaderMap)> {
        self.store.get(&self.bucket, &self.key, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn keys(token: Option<&str>) -> AccessKeys {
        AccessKeys {
            id: Secret::new("AKIAIOSFODNN7EXAMPLE"),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token: token.map(Secret::new),
        }
    }

    /// The examples of AWS' "Signature Calculations for the Authorization Header": an object's first bytes, a bucket's
    /// lifecycle, a list.
    #[test]
    fn the_published_examples_are_signed_so() {
        let now = "20130524T000000Z";
        let plain = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", now),
        ];
        let ranged = [plain[0], ("range", "bytes=0-9"), plain[1], plain[2]];
        for (path, query, headers, expected) in [
            (
                "/test.txt",
                "",
                &ranged[..],
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            ("/", "lifecycle=", &plain, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (
                "/",
                "max-keys=2&prefix=J",
                &plain,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let header = authorization(&keys(None), "us-east-1", path, query, headers, now);
            let credential = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ";
            assert!(header.starts_with(&format!("AWS4-HMAC-SHA256 {credential}")), "{header}");
            assert!(header.ends_with(&format!("Signature={expected}")), "{header}");
        }
        assert_eq!(sha256_hex(b""), EMPTY_SHA256);
    }

    #[test]
    fn buckets_are_hosts_or_paths() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let url = |endpoint: Option<&str>, bucket: &str| {
            let options =
                StoreOptions { endpoint: endpoint.map(str::to_owned), region: Some("eu-west-1".into()) };
            let store = S3Store::new(&options, keys(Some("token"))).unwrap();
            let (url, headers) = store.get(bucket, "a b/c+d", &[]).unwrap();
            assert!(headers.contains_key("x-amz-security-token"));
            assert!(!format!("{headers:?}").contains("AKIA"), "{headers:?}");
            url
        };
        assert_eq!(url(None, "k"), "https://k.s3.eu-west-1.amazonaws.com/a%20b/c%2Bd");
        assert_eq!(url(None, "k.x"), "https://s3.eu-west-1.amazonaws.com/k.x/a%20b/c%2Bd");
        assert_eq!(url(Some("http://127.0.0.1:9000/"), "k"), "http://127.0.0.1:9000/k/a%20b/c%2Bd");
        for (endpoint, region) in [(Some("ftp://x"), None), (Some("x:9"), None), (None, Some("a/b"))] {
            let options =
                StoreOptions { endpoint: endpoint.map(str::to_owned), region: region.map(str::to_owned) };
            assert!(S3Store::new(&options, keys(None)).is_err(), "{options:?}");
        }
    }
}
