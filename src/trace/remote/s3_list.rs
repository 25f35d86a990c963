//! The binlogs below a prefix of a bucket (ListObjectsV2).

use std::sync::Arc;

use super::link::Link;
use super::listing::{Entry, Listing};
use super::s3::{Object, S3Store};
use crate::trace::TraceError;

/// Pages of a thousand keys before a list is taken for endless.
const MAX_PAGES: usize = 10_000;
/// A thousand keys of the greatest length, with all around them.
const MAX_ANSWER: usize = 16 << 20;

impl Listing {
    /// What `s3://bucket/key` names: an object, or, where the key ends with `/` (or there is none), all objects of that
    /// folder whose names end with a number (with `.gz` or `.zst` perhaps), as binlogs' names do.
    pub async fn s3(url: &str, store: Arc<S3Store>) -> Result<Self, TraceError> {
        let rest = url.strip_prefix("s3://").unwrap_or(url);
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['?', '#', '@', ':']) {
            return Err(TraceError::Option(
                "write s3://bucket/key, or s3://bucket/folder/ for all binlogs in it".into(),
            ));
        }
        if !key.is_empty() && !key.ends_with('/') {
            let object = Object::new(store, bucket, key.to_owned());
            let name = key.rsplit('/').next().unwrap_or(key).to_owned();
            let link = Link::Object(Arc::new(object));
            return Ok(Self::new(
                url.to_owned(),
                vec![Entry { name, link, size: None, start: None, end: None }],
            ));
        }
        let failed = |why: String| TraceError::Option(format!("list {url}: {}", store.masked(&why)));
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let body = page(&store, bucket, key, token.as_deref()).await.map_err(failed)?;
            let page = Page::read(&body).map_err(failed)?;
            for (object, size) in page.objects {
                let name = object.strip_prefix(key).unwrap_or(&object).to_owned();
                if is_binlog(&name) {
                    let link = Link::Object(Arc::new(Object::new(Arc::clone(&store), bucket, object)));
                    entries.push(Entry { name, link, size: Some(size), start: None, end: None });
                }
            }
            match page.next {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                Some(_) => return Err(failed("the store gives the same page again and again".into())),
                None if entries.is_empty() => {
                    return Err(failed(
                        "there is no object whose name ends with a number, as binlogs' names do".into(),
                    ));
                }
                None => return Ok(Self::new(url.to_owned(), entries)),
            }
        }
        Err(failed("it has millions of objects: give a longer prefix".into()))
    }
}

/// `binlog.000012`, perhaps packed; what lies in a folder below is not meant.
fn is_binlog(name: &str) -> bool {
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let number = plain.rsplit_once('.').map(|(_, digits)| digits);
    !name.contains('/')
        && number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

async fn page(store: &S3Store, bucket: &str, prefix: &str, token: Option<&str>) -> Result<Vec<u8>, String> {
    let mut parameters =
        vec![("list-type", "2"), ("encoding-type", "url"), ("delimiter", "/"), ("prefix", prefix)];
    if let Some(token) = token {
        parameters.push(("continuation-token", token));
    }
    let (url, headers) = store.get(bucket, "", &parameters).map_err(|e| e.to_string())?;
    let sent = store.client.get(url).headers(headers).send().await;
    let mut response = sent.map_err(|e| e.without_url().to_string())?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| e.without_url().to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err("the answer is far longer than a page can be".into());
        }
    }
    if status.is_success() {
        return Ok(body);
    }
    let said = super::http::reason(&String::from_utf8_lossy(&body));
    let said = if said.is_empty() { said } else { format!(" ({said})") };
    let what_to_do = if status.as_u16() == 403 { ": the keys need the right s3:ListBucket" } else { "" };
    Err(format!("the store answers {status}{said}{what_to_do}"))
}

/// A page of the list: keys with their sizes, and where it goes on.
struct Page {
    objects: Vec<(String, u64)>,
    next: Option<String>,
}

impl Page {
    fn read(body: &[u8]) -> Result<Self, String> {
        let wrong = || "the store's answer is not that of ListObjectsV2: is this its address?".to_owned();
        let text = std::str::from_utf8(body).map_err(|_| wrong())?;
        let document = roxmltree::Document::parse(text).map_err(|_| wrong())?;
        let root = document.root_element();
        if root.tag_name().name() != "ListBucketResult" {
            return Err(wrong());
        }
        let child = |node: roxmltree::Node<'_, '_>, name: &str| {
            let found = node.children().find(|child| child.tag_name().name() == name);
            found.and_then(|child| child.text().map(str::to_owned))
        };
        let is_encoded = child(root, "EncodingType").is_some_and(|kind| kind == "url");
        let mut objects = Vec::new();
        for object in root.children().filter(|node| node.tag_name().name() == "Contents") {
            let key = child(object, "Key").ok_or_else(wrong)?;
            let key = if is_encoded { decoded(&key).ok_or_else(wrong)? } else { key };
            let size = child(object, "Size").and_then(|size| size.parse().ok()).ok_or_else(wrong)?;
            objects.push((key, size));
        }
        let goes_on = child(root, "IsTruncated").is_some_and(|text| text == "true");
        let next = child(root, "NextContinuationToken").filter(|_| goes_on);
        if goes_on && next.is_none() {
            return Err("the store says that its list goes on, but not where".into());
        }
        Ok(Self { objects, next })
    }
}

/// `%XX` and `+` decoded; `None` where that gives no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read() {
        let page = Page::read(
            b"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
              <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
              <NextContinuationToken>a&amp;b</NextContinuationToken>\
              <Contents><Key>x%2Fb.1+%C3%BC</Key><Size>5</Size></Contents></ListBucketResult>",
        )
        .unwrap();
        assert_eq!(page.objects, [("x/b.1 \u{fc}".to_owned(), 5)]);
        assert_eq!(page.next.as_deref(), Some("a&b"));
        for broken in [
            &b""[..],
            b"<html/>",
            b"\xff",
            b"<ListBucketResult><Contents><Key>x</Key></Contents></ListBucketResult>",
            b"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%f</Key><Size>1</Size></Contents></ListBucketResult>",
            b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        ] {
            assert!(Page::read(broken).is_err());
        }
    }

    #[test]
    fn names_of_binlogs_end_with_a_number() {
        for (name, expected) in [
            ("binlog.000012", true),
            ("binlog.000012.gz", true),
            ("binlog.index", false),
            ("below/binlog.000012", false),
            ("binlog.", false),
            ("000012", false),
        ] {
            assert_eq!(is_binlog(name), expected, "{name}");
        }
    }
}
