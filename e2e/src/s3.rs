//! A store that speaks S3 as far as reading goes: it checks Signature Version 4 by code of its own, gives lists in pages
//! and objects by Range.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::file_server::{Answer, Asked, FileServer, decoded, encoded};

/// The access key that the store knows.
pub const KEY_ID: &str = "AKIAEXAMPLEOFTESTS";
/// Its secret.
pub const KEY_SECRET: &str = "hunter2/secret+of=the=key";
/// The token that goes with them.
pub const TOKEN: &str = "session/t0ken==";
/// The region it expects.
pub const REGION: &str = "eu-test-1";
/// Keys of a page.
const PAGE: usize = 2;

/// A running store with one bucket, `backups`.
#[derive(Debug)]
pub struct S3Api {
    http: FileServer,
}

impl S3Api {
    /// Serves these objects. Each answer with one breaks off after `most` bytes.
    pub fn start(objects: BTreeMap<String, Vec<u8>>, most: usize) -> Self {
        let http = FileServer::start(move |asked| {
            if let Err(code) = checked(asked) {
                return refused(403, &code);
            }
            let Some(key) = asked.path.strip_prefix("/backups/") else { return refused(404, "NoSuchBucket") };
            if key.is_empty() {
                return list(&objects, asked);
            }
            match objects.get(&decoded(key)) {
                Some(bytes) => Answer::file(bytes, asked).broken_after(most),
                None => refused(404, "NoSuchKey"),
            }
        });
        Self { http }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.http.asked()
    }
}

fn refused(status: u16, code: &str) -> Answer {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m of {code}</Message></Error>");
    Answer::new(status, "application/xml", body)
}

fn list(objects: &BTreeMap<String, Vec<u8>>, asked: &Asked) -> Answer {
    let given = asked.parameters();
    assert_eq!(given.get("list-type").map(String::as_str), Some("2"));
    let prefix = given.get("prefix").cloned().unwrap_or_default();
    let after = given.get("continuation-token").cloned().unwrap_or_default();
    let found = objects.iter().filter(|(key, _)| {
        // the delimiter: what lies deeper is a common prefix, not a key
        key.starts_with(&prefix) && !key[prefix.len()..].contains('/') && **key > after
    });
    let found: Vec<_> = found.collect();
    let mut body = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>backups</Name><EncodingType>url</EncodingType>",
    );
    let more = found.len() > PAGE;
    write!(body, "<IsTruncated>{more}</IsTruncated>").unwrap();
    for (key, bytes) in found.iter().take(PAGE) {
        write!(body, "<Contents><Key>{}</Key><Size>{}</Size></Contents>", encoded(key), bytes.len()).unwrap();
    }
    if more {
        write!(body, "<NextContinuationToken>{}</NextContinuationToken>", found[PAGE - 1].0).unwrap();
    }
    Answer::new(200, "application/xml", body + "</ListBucketResult>")
}

/// The signature of the header Authorization; `Err` with the error's code.
fn checked(asked: &Asked) -> Result<(), String> {
    let header = |name: &str| asked.headers.get(name).cloned().unwrap_or_default();
    let authorization = header("authorization");
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("AccessDenied")?;
    let parts: BTreeMap<&str, &str> = rest.split(", ").filter_map(|part| part.split_once('=')).collect();
    let now = header("x-amz-date");
    let scope = format!("{}/{REGION}/s3/aws4_request", &now[..8]);
    let (id, given_scope) = parts["Credential"].split_once('/').ok_or("AccessDenied")?;
    if id != KEY_ID {
        return Err("InvalidAccessKeyId".into());
    }
    if given_scope != scope {
        return Err("AuthorizationHeaderMalformed".into());
    }
    if header("x-amz-security-token") != TOKEN {
        return Err("InvalidToken".into());
    }
    let signed: Vec<&str> = parts["SignedHeaders"].split(';').collect();
    for needed in ["host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"] {
        assert!(signed.contains(&needed), "{needed} is not signed");
    }
    let mut canonical = format!("GET\n{}\n", asked.path);
    let pairs: BTreeMap<String, String> =
        asked.parameters().iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    canonical += &pairs.join("&");
    canonical += "\n";
    for name in &signed {
        writeln!(canonical, "{name}:{}", header(name)).unwrap();
    }
    write!(canonical, "\n{}\n{}", signed.join(";"), header("x-amz-content-sha256")).unwrap();
    let to_sign = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = format!("AWS4{KEY_SECRET}").into_bytes();
    for part in [&now[..8], REGION, "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    if hex(&mac(&key, &to_sign)) == parts["Signature"] { Ok(()) } else { Err("SignatureDoesNotMatch".into()) }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
