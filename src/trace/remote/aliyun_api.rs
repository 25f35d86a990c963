//! `DescribeBinlogFiles` of Aliyun RDS (API version 2014-08-15): how a call is written and signed, and what its
//! answers hold. No I/O.
//!
//! Source: Alibaba Cloud's documents "DescribeBinlogFiles" (parameters, pages of 30 to 100 records, times in UTC to
//! the second, all files returned that overlap the span asked for) and "Signature method" of RPC-style APIs, version
//! 1.0: HMAC-SHA1 with the secret and `&` as the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::keys::AccessKeys;
use super::moment;
use super::signature::{hmac_sha1, percent, query};

/// Records of a page; the API takes 30 to 100.
pub(super) const PAGE_SIZE: u32 = 100;

/// A call.
#[derive(Debug)]
pub(super) struct Call<'c> {
    pub(super) instance: &'c str,
    /// Microseconds since 1970: files that overlap this span are asked for.
    pub(super) start: u64,
    pub(super) end: u64,
    /// From 1 on.
    pub(super) page: u32,
    /// `2026-11-21T14:05:00Z`: the call holds for a quarter of an hour.
    pub(super) timestamp: &'c str,
    /// Never the same twice.
    pub(super) nonce: &'c str,
}

impl Call<'_> {
    /// The signed query of a GET.
    pub(super) fn query(&self, keys: &AccessKeys) -> String {
        let (start, end) = (moment::text(self.start), moment::text(self.end.saturating_add(999_999)));
        let (page, size) = (self.page.to_string(), PAGE_SIZE.to_string());
        let mut parameters = vec![
            ("Action", "DescribeBinlogFiles"),
            ("Version", "2014-08-15"),
            ("Format", "JSON"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("AccessKeyId", keys.id.expose()),
            ("SignatureNonce", self.nonce),
            ("Timestamp", self.timestamp),
            ("DBInstanceId", self.instance),
            ("StartTime", &start),
            ("EndTime", &end),
            ("PageSize", &size),
            ("PageNumber", &page),
        ];
        if let Some(token) = &keys.token {
            parameters.push(("SecurityToken", token.expose()));
        }
        signed(&parameters, keys)
    }
}

/// The parameters as a query, with their signature.
fn signed(parameters: &[(&str, &str)], keys: &AccessKeys) -> String {
    let canonical = query(parameters);
    let to_sign = format!("GET&%2F&{}", percent(&canonical, false));
    let key = format!("{}&", keys.secret.expose());
    let signature = STANDARD.encode(hmac_sha1(key.as_bytes(), to_sign.as_bytes()));
    format!("{canonical}&Signature={}", percent(&signature, false))
}

/// A page of the answer. Its other fields say nothing that is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    pub(super) total_record_count: u64,
    pub(super) items: Items,
}

/// The list's own wrapping.
#[derive(Debug, Deserialize)]
pub(super) struct Items {
    #[serde(rename = "BinLogFile", default)]
    pub(super) files: Vec<Record>,
}

/// A file of the answer. No `Debug`: its links are signed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Record {
    #[serde(default)]
    pub(super) log_file_name: String,
    pub(super) file_size: Option<u64>,
    pub(super) log_begin_time: Option<String>,
    pub(super) log_end_time: Option<String>,
    pub(super) download_link: Option<String>,
    pub(super) intranet_download_link: Option<String>,
    #[serde(rename = "HostInstanceID", default)]
    pub(super) host: Host,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("log_file_name", &self.log_file_name).finish_non_exhaustive()
    }
}

/// A host's number, which some answers write as a text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Host(pub(super) String);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        }))
    }
}

/// `Code: Message` of an answer that refuses; empty where it is none.
pub(super) fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Refusal {
        code: String,
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let message = match refusal.code.as_str() {
        // its message quotes what was signed
        "SignatureDoesNotMatch" | "IncompleteSignature" => {
            "the access key's secret is not the one of its id".to_owned()
        }
        _ => refusal.message,
    };
    let said =
        [refusal.code, message].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    said.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn keys() -> AccessKeys {
        AccessKeys { id: Secret::new("testid"), secret: Secret::new("testsecret"), token: None }
    }

    /// The example of the document "Signature method".
    #[test]
    fn the_published_example_is_signed_so() {
        let parameters = [
            ("Timestamp", "2016-02-23T12:46:24Z"),
            ("Format", "XML"),
            ("AccessKeyId", "testid"),
            ("Action", "DescribeRegions"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
            ("Version", "2014-05-26"),
            ("SignatureVersion", "1.0"),
        ];
        let query = signed(&parameters, &keys());
        assert!(query.ends_with("&Signature=OLeaidS1JvxuMvnyHOwuJ%2BuX5qY%3D"), "{query}");
    }

    #[test]
    fn a_call_asks_for_whole_seconds() {
        let call = Call {
            instance: "rm-x",
            start: 1_795_269_900_500_000,
            end: 1_795_269_960_000_001,
            page: 2,
            timestamp: "2026-11-21T15:00:00Z",
            nonce: "n",
        };
        let query = call.query(&AccessKeys { token: Some(Secret::new("t/t")), ..keys() });
        for part in [
            "StartTime=2026-11-21T14%3A05%3A00Z",
            "EndTime=2026-11-21T14%3A06%3A01Z",
            "PageNumber=2",
            "PageSize=100",
            "SecurityToken=t%2Ft",
        ] {
            assert!(query.split('&').any(|found| found == part), "{part}: {query}");
        }
        assert!(!query.contains("testsecret"));
    }

    #[test]
    fn answers_are_read_with_what_they_may_lack() {
        let page: Page = serde_json::from_str(
            r#"{"RequestId": "x", "PageNumber": 1, "TotalRecordCount": 1, "TotalFileSize": 5, "Items": {"BinLogFile": [
                {"LogFileName": "mysql-bin.000071", "FileSize": 5, "HostInstanceID": 12, "DownloadLink": "http://x",
                 "LogBeginTime": "2026-11-21T14:05:00Z", "LogEndTime": "2026-11-21T14:06:00Z", "IntranetDownloadLink": null}]}}"#,
        )
        .unwrap();
        let record = page.items.files.first().unwrap();
        assert_eq!((record.host.0.as_str(), record.intranet_download_link.as_deref()), ("12", None));
        assert_eq!(
            refusal(br#"{"Code": "Forbidden.RAM", "Message": "no right", "RequestId": "x"}"#),
            "Forbidden.RAM: no right"
        );
        assert!(
            !refusal(br#"{"Code": "SignatureDoesNotMatch", "Message": "string to sign is: GET&x"}"#)
                .contains("GET")
        );
        assert_eq!(refusal(b"<html>"), "");
    }
}
