//! A server that speaks `DescribeBinlogFiles` of Aliyun RDS as the API's documents describe it: it checks the signature
//! by code of its own, gives pages, and links to real binlog files that hold once.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::file_server::{Answer, Asked, FileServer, encoded};

/// The access key that the server knows.
pub const KEY_ID: &str = "LTAI5tExampleKeyId";
/// Its secret.
pub const KEY_SECRET: &str = "h/unter2+SecretOfTheKey";

/// A file that the instance has uploaded.
#[derive(Clone, Debug)]
pub struct Backup {
    /// As the instance calls it.
    pub name: String,
    /// HostInstanceID.
    pub host: u64,
    /// `2026-11-21T14:05:00Z`.
    pub begin: String,
    /// The same of its last change.
    pub end: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A running API. Links are asked of it too.
#[derive(Debug)]
pub struct AliyunApi {
    http: FileServer,
}

#[derive(Debug, Default)]
struct State {
    nonces: HashSet<String>,
    /// Links that were given out, each good for one request.
    links: HashSet<String>,
    given: u64,
}

impl AliyunApi {
    /// Serves the files of instance `rm-test`. Each answer with a file breaks off after `most` bytes.
    pub fn start(files: Vec<Backup>, most: usize) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let http = FileServer::start(move |asked| {
            let mut state = state.lock().unwrap();
            match asked.path.strip_prefix("/oss/") {
                Some(rest) => download(&mut state, &files, rest, asked).broken_after(most),
                None => describe(&mut state, &files, asked),
            }
        });
        Self { http }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// The API's calls, decoded.
    pub fn calls(&self) -> Vec<BTreeMap<String, String>> {
        self.http.asked().iter().filter(|asked| asked.path == "/").map(Asked::parameters).collect()
    }

    /// The names of the files that were downloaded, for each request.
    pub fn downloads(&self) -> Vec<String> {
        let paths = self.http.asked();
        paths
            .iter()
            .filter_map(|asked| asked.path.strip_prefix("/oss/")?.split('/').nth(2).map(str::to_owned))
            .collect()
    }
}

/// `public|internal/HOST/NAME`, with what the link was signed with.
fn download(state: &mut State, files: &[Backup], rest: &str, asked: &Asked) -> Answer {
    if !state.links.remove(&format!("{rest}?{}", asked.query)) {
        return Answer::new(
            403,
            "application/xml",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>Request has \
             expired.</Message></Error>",
        );
    }
    let mut parts = rest.split('/').skip(1);
    let (host, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let file = files.iter().find(|file| file.host.to_string() == host && file.name == name);
    Answer::file(&file.expect("a file of a link").bytes, asked)
}

fn refused(status: u16, code: &str, message: &str) -> Answer {
    let body =
        json!({"RequestId": "7F2B1F0A", "HostId": "rds.aliyuncs.com", "Code": code, "Message": message});
    Answer::new(status, "application/json", body.to_string())
}

fn describe(state: &mut State, files: &[Backup], asked: &Asked) -> Answer {
    let mut given = asked.parameters();
    let value = |name: &str| given.get(name).cloned().unwrap_or_default();
    if value("AccessKeyId") != KEY_ID {
        return refused(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.");
    }
    if !state.nonces.insert(value("SignatureNonce")) {
        return refused(400, "SignatureNonceUsed", "Specified signature nonce was used already.");
    }
    let fixed = [
        ("Action", "DescribeBinlogFiles"),
        ("Version", "2014-08-15"),
        ("Format", "JSON"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
    ];
    for (name, expected) in fixed {
        if value(name) != expected {
            return refused(400, "InvalidParameter", &format!("{name} is not {expected}."));
        }
    }
    let (start, end, size) = (value("StartTime"), value("EndTime"), value("PageSize"));
    let (page, instance, signature) = (value("PageNumber"), value("DBInstanceId"), value("Signature"));
    given.remove("Signature");
    let to_sign = to_sign(&given);
    if signature != signed(&to_sign) {
        let message = format!(
            "Specified signature is not matched with our calculation. server string to sign is:{to_sign}"
        );
        return refused(400, "SignatureDoesNotMatch", &message);
    }
    if instance != "rm-test" {
        return refused(
            404,
            "InvalidDBInstanceId.NotFound",
            "The DBInstanceId provided does not exist in our records.",
        );
    }
    let (size, page): (usize, usize) = (size.parse().unwrap_or(0), page.parse().unwrap_or(0));
    if !(30..=100).contains(&size) || page == 0 || start.len() != 20 || end <= start {
        return refused(400, "InvalidParameter", "The specified parameter is not valid.");
    }
    // times of one form compare as texts
    let found: Vec<&Backup> = files.iter().filter(|file| file.end >= start && file.begin <= end).collect();
    let items: Vec<Value> =
        found.iter().skip((page - 1) * size).take(size).map(|file| record(state, file, asked)).collect();
    let answer = json!({
        "RequestId": "7F2B1F0A", "PageNumber": page, "PageRecordCount": items.len(),
        "TotalRecordCount": found.len(), "TotalFileSize": 1, "Items": {"BinLogFile": items},
    });
    Answer::new(200, "application/json", answer.to_string())
}

fn record(state: &mut State, file: &Backup, asked: &Asked) -> Value {
    let mut link = |kind: &str| {
        state.given += 1;
        let path = format!("{kind}/{}/{}?Expires=1&Signature=s3cret{}", file.host, file.name, state.given);
        state.links.insert(path.clone());
        format!("http://{}/oss/{path}", asked.headers["host"])
    };
    json!({
        "LogFileName": file.name, "FileSize": file.bytes.len(), "HostInstanceID": file.host.to_string(),
        "LogBeginTime": file.begin, "LogEndTime": file.end, "Checksum": "1", "RemoteStatus": "Completed",
        "DownloadLink": link("public"), "IntranetDownloadLink": link("internal"),
        "LinkExpiredTime": "2099-01-01T00:00:00Z",
    })
}

fn to_sign(parameters: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    format!("GET&{}&{}", encoded("/"), encoded(&pairs.join("&")))
}

fn signed(text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(format!("{KEY_SECRET}&").as_bytes()).unwrap();
    mac.update(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}
