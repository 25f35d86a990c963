//! Where a file lies, and what a request for it needs.

use std::io;
use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::aliyun::BackupFile;
use super::s3::Object;

/// Where a file lies.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// A URL as it is; it may hold a signature.
    Url(Arc<str>),
    /// An object: each request is signed anew.
    Object(Arc<Object>),
    /// A file that Aliyun RDS keeps, whose link expires and is then asked for anew.
    Backup(Arc<BackupFile>),
}

impl Link {
    /// For people: without what a signed URL ends with.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Url(url) => without_query(url),
            Self::Object(object) => object.shown(),
            Self::Backup(file) => file.shown(),
        }
    }

    /// The URL and the headers to ask it with now.
    pub(super) fn request(&self) -> io::Result<(String, HeaderMap)> {
        match self {
            Self::Url(url) => Ok((url.to_string(), HeaderMap::new())),
            Self::Object(object) => object.request(),
            Self::Backup(file) => Ok((file.link(), HeaderMap::new())),
        }
    }

    /// After a refusal: true where there is another link now.
    pub(super) async fn renew(&self) -> io::Result<bool> {
        match self {
            Self::Url(_) | Self::Object(_) => Ok(false),
            Self::Backup(file) => file.renew().await.map_err(io::Error::other),
        }
    }

    /// What to do about a refusal.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Url(_) => {
                "the link has expired, or was never for this file: make the list (or the link) anew"
            }
            Self::Object(_) => "the keys do not give the right to read it (s3:GetObject)",
            Self::Backup(_) => {
                "Aliyun gave this link a moment ago: link=public needs the instance's public download to be allowed, \
                 link=internal a machine in the instance's region"
            }
        }
    }
}

/// A URL without its query, and without a login.
pub(super) fn without_query(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or_default();
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

/// A header whose value came from outside.
pub(super) fn header(headers: &mut HeaderMap, name: &'static str, value: &str) -> io::Result<()> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("a value that header {name} cannot hold"))
    })?;
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_signature_nor_login_is_shown() {
        for (url, shown) in [
            ("https://h:8/a/b.1?Signature=x#y", "https://h:8/a/b.1"),
            ("http://me:hunter2@h/a@b?x=@", "http://h/a@b"),
            ("https://h", "https://h"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_query(url), shown);
            assert_eq!(Link::Url(url.into()).shown(), shown);
        }
    }
}
