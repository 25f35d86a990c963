//! The binlogs that Aliyun RDS keeps of an instance.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use super::aliyun_api::{Call, PAGE_SIZE, Page, Record, refusal};
use super::keys::AccessKeys;
use super::link::{Link, without_query};
use super::listing::{Entry, Listing};
use super::{http, moment};
use crate::trace::TraceError;

/// Regions whose instances are asked for at the service's one central address; others have their own.
const CENTRAL: [&str; 9] = [
    "ap-southeast-1",
    "cn-beijing",
    "cn-hangzhou",
    "cn-hongkong",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shenzhen",
    "us-east-1",
    "us-west-1",
];
/// Pages before a list is taken for endless.
const MAX_PAGES: u32 = 10_000;
/// Attempts of a call whose answer says that asking again may help.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);
/// An answer of a hundred records takes some 100 KB.
const MAX_ANSWER: usize = 16 << 20;

/// An instance whose binlogs are asked for.
pub(super) struct Instance {
    id: String,
    endpoint: Url,
    /// Links over the public network, which cost; else the region's own.
    public: bool,
    /// Only files of this host.
    host: Option<String>,
    keys: AccessKeys,
    client: reqwest::Client,
    /// Microseconds since 1970.
    span: (u64, u64),
}

/// A file of an instance; its link holds for some hours.
pub(crate) struct BackupFile {
    instance: Arc<Instance>,
    name: String,
    host: String,
    link: Mutex<String>,
}

impl std::fmt::Debug for BackupFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Listing {
    /// The binlogs of an instance of Aliyun RDS from `start` to `end` (microseconds since 1970; default: now).
    /// `url` is `aliyun://INSTANCE?region=...&link=internal|public&host=...&endpoint=...`.
    pub async fn aliyun(
        url: &str,
        keys: AccessKeys,
        start: Option<u64>,
        end: Option<u64>,
    ) -> Result<Self, TraceError> {
        let Some(start) = start else {
            return Err(TraceError::Option(
                "--from aliyun://: Aliyun lists binlogs of a span of time only: give --start-time".into(),
            ));
        };
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
        let end = end.unwrap_or(now).max(start + 1_000_000);
        let instance = Arc::new(Instance::parse(url, keys, (start, end))?);
        let records = instance.records().await?;
        let records = instance.of_one_host(records)?;
        let entries: Result<Vec<Entry>, TraceError> =
            records.into_iter().map(|record| instance.entry(record)).collect();
        Ok(Self::new(format!("the list of {}", instance.id), entries?))
    }
}

impl Instance {
    fn parse(url: &str, keys: AccessKeys, span: (u64, u64)) -> Result<Self, TraceError> {
        const FORM: &str = "write aliyun://INSTANCE?region=cn-hangzhou, with &link=public for links over the public \
                            network, &host=ID for one host's files, &endpoint=https://... for another address of the API";
        let shown = without_query(url);
        let wrong = |why: &str| TraceError::Option(format!("--from {shown}: {why}; {FORM}"));
        let parsed = Url::parse(url).map_err(|_| wrong("it is no URL"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong(
                "keys do not belong into a command line: set ALIBABA_CLOUD_ACCESS_KEY_ID and \
                              ALIBABA_CLOUD_ACCESS_KEY_SECRET, or give --credentials",
            ));
        }
        let id = parsed.host_str().unwrap_or_default().to_owned();
        if id.is_empty() || !matches!(parsed.path(), "" | "/") {
            return Err(wrong("it names no instance"));
        }
        let (mut region, mut endpoint, mut public, mut host) = (None, None, false, None);
        for (name, value) in parsed.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("region", value) if is_region(value) => region = Some(value.to_owned()),
                ("region", value) => return Err(wrong(&format!("region {value:?} is none"))),
                ("endpoint", value) => endpoint = Some(value.to_owned()),
                ("link", "public") => public = true,
                ("link", "internal") => public = false,
                ("link", value) => {
                    return Err(wrong(&format!("link is {value:?}, and must be internal or public")));
                }
                ("host", value) => host = Some(value.to_owned()),
                (name, _) => return Err(wrong(&format!("{name:?} is no setting"))),
            }
        }
        let endpoint = match (endpoint, region.as_deref()) {
            (Some(endpoint), _) => endpoint,
            (None, Some(region)) if !CENTRAL.contains(&region) => {
                format!("https://rds.{region}.aliyuncs.com")
            }
            (None, _) => "https://rds.aliyuncs.com".to_owned(),
        };
        let endpoint = Url::parse(&endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.ok_or_else(|| wrong("endpoint is no address of HTTP(S)"))?;
        let client = http::client().map_err(TraceError::io("the HTTP client"))?;
        Ok(Self { id, endpoint, public, host, keys, client, span })
    }

    /// Every file of the span, page by page.
    async fn records(&self) -> Result<Vec<Record>, TraceError> {
        let mut records: Vec<Record> = Vec::new();
        for number in 1..=MAX_PAGES {
            let mut page = self.page(number).await?;
            let (count, total) = (page.items.files.len() as u64, page.total_record_count);
            records.append(&mut page.items.files);
            // a total that grows while pages are read is of files that are newer than the span
            if records.len() as u64 >= total {
                return Ok(records);
            }
            if count == 0 {
                return Err(self.failed(&format!(
                    "page {number} is empty, after {} of {total} files: ask again, the list changed meanwhile",
                    records.len()
                )));
            }
        }
        Err(self.failed(&format!(
            "it has more than {MAX_PAGES} pages of {PAGE_SIZE} files: give a shorter span of time"
        )))
    }

    async fn page(&self, number: u32) -> Result<Page, TraceError> {
        let mut failed = 0;
        loop {
            match self.ask(number).await {
                Ok(page) => return Ok(page),
                Err((_, true)) if failed + 1 < ATTEMPTS => {
                    tokio::time::sleep(PAUSE * 2_u32.pow(failed)).await;
                    failed += 1;
                }
                Err((why, _)) => return Err(self.failed(&self.keys.masked(&why))),
            }
        }
    }

    /// One call. The error says why, and whether asking again may help.
    async fn ask(&self, number: u32) -> Result<Page, (String, bool)> {
        let timestamp = moment::text(u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default());
        let nonce = format!("{:032x}", rand::random::<u128>());
        let call = Call {
            instance: &self.id,
            start: self.span.0,
            end: self.span.1,
            page: number,
            timestamp: &timestamp,
            nonce: &nonce,
        };
        let mut url = self.endpoint.clone();
        url.set_query(Some(&call.query(&self.keys)));
        let mut response =
            self.client.get(url).send().await.map_err(|e| (e.without_url().to_string(), true))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| (e.without_url().to_string(), true))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(("the answer is far longer than a page can be".into(), false));
            }
        }
        if !status.is_success() {
            let said = refusal(&body);
            let said = if said.is_empty() { said } else { format!(" ({said})") };
            let again = status.is_server_error() || status.as_u16() == 429 || said.contains("Throttling");
            return Err((format!("the API answers {status}{said}"), again));
        }
        // serde's words quote values, and a value may be a signed link
        serde_json::from_slice(&body).map_err(|e| {
            (
                format!(
                    "the API's answer is not that of DescribeBinlogFiles (line {}, column {})",
                    e.line(),
                    e.column()
                ),
                false,
            )
        })
    }

    fn failed(&self, why: &str) -> TraceError {
        let at = self.endpoint.host_str().unwrap_or_default();
        TraceError::Option(format!("DescribeBinlogFiles of {} at {at}: {why}", self.id))
    }

    /// The files of the host that is asked for; an error where nobody said which of several.
    fn of_one_host(&self, mut records: Vec<Record>) -> Result<Vec<Record>, TraceError> {
        let mut hosts: Vec<_> = records.iter().map(|record| record.host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        let all = hosts.iter().map(|host| host.0.as_str()).collect::<Vec<_>>().join(", ");
        match &self.host {
            Some(host) => records.retain(|record| record.host.0 == *host),
            None if hosts.len() > 1 => {
                return Err(TraceError::Option(format!(
                    "{}: its binlogs are of several hosts (HostInstanceID {all}), which number their files each on \
                     their own: choose one with &host=ID",
                    self.id
                )));
            }
            None => {}
        }
        if records.is_empty() {
            let of = self.host.as_ref().map_or_else(String::new, |host| {
                format!(
                    " of host {host}{}",
                    if all.is_empty() { String::new() } else { format!(" (of {all} there are)") }
                )
            });
            return Err(TraceError::Option(format!(
                "{}: Aliyun has no binlogs{of} from {} to {}: they may not be uploaded yet, or not kept any more",
                self.id,
                moment::text(self.span.0),
                moment::text(self.span.1)
            )));
        }
        Ok(records)
    }

    fn entry(self: &Arc<Self>, record: Record) -> Result<Entry, TraceError> {
        let link = self.link_of(&record)?;
        let time = |name: &str, text: &Option<String>| match text
            .as_deref()
            .map(|text| (text, moment::micros(text)))
        {
            Some((text, None)) => {
                Err(self.failed(&format!("{}: {name} {text:?} is no time", record.log_file_name)))
            }
            Some((_, time)) => Ok(time),
            None => Ok(None),
        };
        Ok(Entry {
            size: record.file_size,
            start: time("LogBeginTime", &record.log_begin_time)?,
            end: time("LogEndTime", &record.log_end_time)?,
            link: Link::Backup(Arc::new(BackupFile {
                instance: Arc::clone(self),
                name: record.log_file_name.clone(),
                host: record.host.0,
                link: Mutex::new(link),
            })),
            name: record.log_file_name,
        })
    }

    fn link_of(&self, record: &Record) -> Result<String, TraceError> {
        let (link, name, other) = if self.public {
            (&record.download_link, "DownloadLink", "link=internal")
        } else {
            (&record.intranet_download_link, "IntranetDownloadLink", "link=public")
        };
        let file = &record.log_file_name;
        let link = link.as_deref().filter(|link| !link.is_empty() && *link != "NULL").ok_or_else(|| {
            self.failed(&format!("{file} has no {name}: Aliyun does not offer it this way; try {other}"))
        })?;
        match Url::parse(link) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(link.to_owned()),
            _ => Err(self.failed(&format!("{name} of {file} is no URL of HTTP(S)"))),
        }
    }
}

impl BackupFile {
    pub(super) fn shown(&self) -> String {
        format!("{} of {}", self.name, self.instance.id)
    }

    pub(super) fn link(&self) -> String {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for a new link; true where there is another one now.
    pub(super) async fn renew(&self) -> Result<bool, TraceError> {
        let records = self.instance.records().await?;
        let this = |record: &&Record| record.log_file_name == self.name && record.host.0 == self.host;
        let Some(record) = records.iter().find(this) else { return Ok(false) };
        let link = self.instance.link_of(record)?;
        let mut held = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *held != link;
        *held = link;
        Ok(is_new)
    }
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn parse(url: &str) -> Result<Instance, TraceError> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let keys = AccessKeys { id: Secret::new("i"), secret: Secret::new("s"), token: None };
        Instance::parse(url, keys, (0, 1))
    }

    #[test]
    fn the_url_says_where_to_ask() {
        for (url, endpoint, public) in [
            ("aliyun://rm-x", "https://rds.aliyuncs.com/", false),
            ("aliyun://rm-x?region=cn-hangzhou&link=public", "https://rds.aliyuncs.com/", true),
            ("aliyun://rm-x?region=eu-west-1&link=internal", "https://rds.eu-west-1.aliyuncs.com/", false),
            ("aliyun://rm-x?endpoint=http://127.0.0.1:8", "http://127.0.0.1:8/", false),
        ] {
            let instance = parse(url).unwrap();
            assert_eq!((instance.endpoint.as_str(), instance.public), (endpoint, public), "{url}");
            assert_eq!(instance.id, "rm-x");
        }
    }

    #[test]
    fn a_wrong_url_is_said_to_be_one_without_its_keys() {
        for (url, expected) in [
            ("aliyun://", "names no instance"),
            ("aliyun://rm-x?link=both", "must be internal or public"),
            ("aliyun://rm-x?regoin=y", "\"regoin\" is no setting"),
            ("aliyun://rm-x?region=a/b", "is none"),
            ("aliyun://rm-x?endpoint=ftp://x", "endpoint is no address"),
            ("aliyun://id:hunter2@rm-x", "keys do not belong"),
        ] {
            let Err(error) = parse(url) else { panic!("{url}") };
            let error = error.to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
