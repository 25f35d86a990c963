//! Access keys of clouds: from environment variables, a file, or a folder as a Secret is mounted.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::Secret;
use crate::trace::TraceError;

/// A cloud that keys are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cloud {
    /// Aliyun (Alibaba Cloud).
    Aliyun,
    /// A store that speaks S3.
    S3,
}

impl Cloud {
    /// The environment variables that the cloud's own tools read: id, secret, token.
    fn variables(self) -> [&'static str; 3] {
        match self {
            Self::Aliyun => [
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                "ALIBABA_CLOUD_SECURITY_TOKEN",
            ],
            Self::S3 => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
        }
    }
}

/// An access key. Nothing of it is ever shown.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    pub(super) id: Secret,
    pub(super) secret: Secret,
    /// Of keys that hold for a time only.
    pub(super) token: Option<Secret>,
}

impl AccessKeys {
    /// The keys in `path` (a file of `name = value` lines, or a folder with a file for each, as Kubernetes mounts a
    /// Secret), else those of the environment. Names are `accessKeyId`, `accessKeySecret` and `securityToken`, or what
    /// AWS calls them, in any spelling.
    pub fn find(cloud: Cloud, path: Option<&Path>) -> Result<Self, TraceError> {
        match path {
            Some(path) => Self::in_path(path),
            None => Self::in_variables(cloud, |name| std::env::var(name).ok()),
        }
    }

    fn in_variables(cloud: Cloud, get: impl Fn(&str) -> Option<String>) -> Result<Self, TraceError> {
        let [id, secret, token] = cloud.variables();
        let value = |name: &str| get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let needed = |name: &str| {
            value(name).ok_or_else(|| {
                TraceError::Option(format!(
                    "{name} is not set: set {id} and {secret}, or give a file or a mounted Secret with --credentials"
                ))
            })
        };
        Self::checked(needed(id)?, needed(secret)?, value(token), "the environment")
    }

    fn in_path(path: &Path) -> Result<Self, TraceError> {
        let shown = path.display().to_string();
        let failed = || TraceError::io(format!("read --credentials {shown}"));
        let mut found = BTreeMap::new();
        if path.is_dir() {
            for entry in std::fs::read_dir(path).map_err(failed())? {
                let entry = entry.map_err(failed())?;
                // a mounted Secret has folders of its own, ..data among them
                if let (Some(name), true) =
                    (Part::of(&entry.file_name().to_string_lossy()), entry.path().is_file())
                {
                    let text = std::fs::read_to_string(entry.path()).map_err(failed())?;
                    insert(&mut found, name, &text, &shown)?;
                }
            }
        } else {
            let text = std::fs::read_to_string(path).map_err(failed())?;
            for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
                if let Some(part) = Part::of(name) {
                    insert(&mut found, part, value, &shown)?;
                }
            }
        }
        let mut needed = |part: Part, name: &str| {
            found.remove(&part).ok_or_else(|| {
                TraceError::Option(format!(
                    "--credentials {shown}: it has no {name}; write accessKeyId and accessKeySecret, as lines of a file \
                     (name = value) or as files of a folder"
                ))
            })
        };
        let (id, secret) = (needed(Part::Id, "accessKeyId")?, needed(Part::Secret, "accessKeySecret")?);
        Self::checked(id, secret, found.remove(&Part::Token), &shown)
    }

    /// Keys go into headers and URLs: what cannot be one there is no key.
    fn checked(id: String, secret: String, token: Option<String>, of: &str) -> Result<Self, TraceError> {
        let parts = [("id", Some(&id)), ("secret", Some(&secret)), ("token", token.as_ref())];
        for (name, value) in parts {
            if value.is_some_and(|value| !value.chars().all(|c| c.is_ascii_graphic())) {
                return Err(TraceError::Option(format!(
                    "the access key's {name} in {of} holds a blank or a character that no key has"
                )));
            }
        }
        Ok(Self { id: Secret::new(id), secret: Secret::new(secret), token: token.map(Secret::new) })
    }

    /// A server's words, without any of the keys in them.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for key in [Some(&self.id), Some(&self.secret), self.token.as_ref()].into_iter().flatten() {
            text = text.replace(key.expose(), "***");
        }
        text
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Id,
    Secret,
    Token,
}

impl Part {
    /// `accessKeyId`, `access-key-id`, `aws_access_key_id`, `ACCESS_KEY_ID`, ...
    fn of(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        match plain.strip_prefix("aws").or(plain.strip_prefix("alibabacloud")).unwrap_or(&plain) {
            "accesskeyid" => Some(Self::Id),
            "accesskeysecret" | "secretaccesskey" => Some(Self::Secret),
            "securitytoken" | "sessiontoken" => Some(Self::Token),
            _ => None,
        }
    }
}

fn insert(found: &mut BTreeMap<Part, String>, part: Part, text: &str, path: &str) -> Result<(), TraceError> {
    let text = text.trim().to_owned();
    if text.is_empty() || found.insert(part, text).is_none() {
        return Ok(());
    }
    let name = match part {
        Part::Id => "accessKeyId",
        Part::Secret => "accessKeySecret",
        Part::Token => "securityToken",
    };
    Err(TraceError::Option(format!(
        "--credentials {path}: {name} is there twice: leave the keys that are meant"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("keys-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn from_variables_a_file_or_a_mounted_secret() {
        let get = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("id".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("hunter2\n".to_owned()),
            _ => None,
        };
        let keys = AccessKeys::in_variables(Cloud::S3, get).unwrap();
        assert_eq!((keys.id.expose(), keys.secret.expose(), keys.token), ("id", "hunter2", None));
        let error = AccessKeys::in_variables(Cloud::Aliyun, get).unwrap_err().to_string();
        assert!(error.starts_with("ALIBABA_CLOUD_ACCESS_KEY_ID is not set"), "{error}");

        let folder = folder("all");
        let file = folder.join("credentials");
        std::fs::write(&file, "[default]\naws_access_key_id = a\naws_secret_access_key=b\nregion = x\n")
            .unwrap();
        let keys = AccessKeys::find(Cloud::S3, Some(&file)).unwrap();
        assert_eq!((keys.id.expose(), keys.secret.expose()), ("a", "b"));
        std::fs::remove_file(&file).unwrap();
        for (name, text) in [("accessKeyId", "a\n"), ("accessKeySecret", "b"), ("securityToken", "c\n")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let keys = AccessKeys::find(Cloud::Aliyun, Some(&folder)).unwrap();
        assert_eq!(keys.token.as_ref().map(Secret::expose), Some("c"));
        assert!(!format!("{keys:?}").contains('b'), "{keys:?}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_missing_or_twice_is_named_and_never_shown() {
        let folder = folder("bad");
        let file = folder.join("f");
        for (text, expected) in [
            ("accessKeyId = hunter2", "it has no accessKeySecret"),
            ("accessKeyId = hunter2\naccessKeyId = hunter2\n", "accessKeyId is there twice"),
            ("accessKeyId = hunter2 x\naccessKeySecret = hunter2", "the access key's id"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = AccessKeys::find(Cloud::S3, Some(&file)).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn masked_words_hold_no_key() {
        let keys = AccessKeys::checked("ID1".into(), "S3CRET".into(), Some("T0K".into()), "x").unwrap();
        assert_eq!(keys.masked("ID1 of S3CRET with T0K"), "*** of *** with ***");
    }
}
