//! Authentication: what to answer to what the server asks. The password goes in clear over TLS only.

use mysql_common::scramble::{scramble_native, scramble_sha256};

use super::greeting::{Nonce, nonce};
use super::{WireError, rsa, until_nul};
use crate::binlog::cursor::Cursor;

/// An authentication plugin that we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Native,
    CachingSha2,
    Sha256,
}

/// One sign-in.
pub(super) struct Auth<'a> {
    pub(super) method: Method,
    pub(super) nonce: Nonce,
    pub(super) password: &'a str,
    /// Whether nobody reads along.
    pub(super) encrypted: bool,
}

impl Method {
    fn named(name: &[u8]) -> Option<Self> {
        [Self::Native, Self::CachingSha2, Self::Sha256].into_iter().find(|m| m.name().as_bytes() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
        }
    }

    /// What to begin with, before the server has seen the account. It asks for another where it must.
    pub(super) fn first(greeted: &[u8]) -> Self {
        if Self::named(greeted) == Some(Self::CachingSha2) { Self::CachingSha2 } else { Self::Native }
    }
}

impl Auth<'_> {
    /// The first answer in the present method.
    pub(super) fn begin(&self) -> Vec<u8> {
        let password = self.password.as_bytes();
        match self.method {
            Method::Native => scramble_native(&self.nonce, password).map(Vec::from).unwrap_or_default(),
            Method::CachingSha2 => scramble_sha256(&self.nonce, password).map(Vec::from).unwrap_or_default(),
            Method::Sha256 if self.encrypted || password.is_empty() => self.clear(),
            Method::Sha256 => vec![1], // asks for the server's key
        }
    }

    /// AuthSwitchRequest: another method and nonce, and the answer in it.
    pub(super) fn switch(&mut self, body: &[u8]) -> Result<Vec<u8>, WireError> {
        let mut c = Cursor::new(body);
        let name = if body.is_empty() { b"mysql_old_password" } else { until_nul(&mut c) };
        self.method = Method::named(name).ok_or_else(|| unknown(name))?;
        self.nonce = nonce(c.rest())?;
        Ok(self.begin())
    }

    /// AuthMoreData; `None` where there is nothing to answer.
    pub(super) fn more(&self, body: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        match (self.method, body) {
            (Method::CachingSha2, [3]) => Ok(None), // the password was known and right
            (Method::CachingSha2, [4]) if self.encrypted => Ok(Some(self.clear())),
            (Method::CachingSha2, [4]) => Ok(Some(vec![2])), // asks for the server's key
            (Method::CachingSha2 | Method::Sha256, [b'-', ..]) => {
                let mixed: Vec<u8> =
                    self.clear().iter().zip(self.nonce.iter().cycle()).map(|(a, b)| a ^ b).collect();
                rsa::encrypt(body, &mixed).map(Some).map_err(|why| WireError::Refused(why.into()))
            }
            _ => Err(WireError::Unexpected(format!(
                "{} bytes that have no place in {}",
                body.len(),
                self.method.name()
            ))),
        }
    }

    fn clear(&self) -> Vec<u8> {
        [self.password.as_bytes(), &[0]].concat()
    }
}

fn unknown(name: &[u8]) -> WireError {
    WireError::Refused(format!(
        "the account signs in by {:?}, which is not supported; give it caching_sha2_password, sha256_password \
         or mysql_native_password",
        String::from_utf8_lossy(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_never_goes_in_clear_without_tls() {
        let password = "correct horse";
        for encrypted in [true, false] {
            for method in [Method::Native, Method::CachingSha2, Method::Sha256] {
                let mut auth = Auth { method, nonce: [7; 20], password, encrypted };
                let mut said = vec![auth.begin()];
                said.extend(auth.more(&[4]).ok().flatten());
                said.extend(auth.more(rsa::tests::KEY).ok().flatten());
                said.extend(auth.switch(b"sha256_password\x0001234567890123456789\0").ok());
                let clear = |bytes: &Vec<u8>| bytes.windows(password.len()).any(|w| w == password.as_bytes());
                assert_eq!(said.iter().any(clear), encrypted, "{method:?}");
            }
        }
    }

    #[test]
    fn unknown_methods_are_named_with_a_remedy() {
        let mut auth = Auth { method: Method::Native, nonce: [0; 20], password: "secret", encrypted: true };
        for (body, name) in [(&b"client_ed25519\0abc"[..], "client_ed25519"), (b"", "mysql_old_password")] {
            let Err(WireError::Refused(why)) = auth.switch(body) else { panic!("{name}") };
            assert!(why.contains(name) && why.contains("give it") && !why.contains("secret"), "{why}");
        }
    }
}
