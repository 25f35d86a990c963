//! What clouds sign requests with: HMACs and one way to write names and values into a URL.

use ring::{digest, hmac};

/// HMAC-SHA1. Aliyun's RPC signature asks for it; as a MAC it is not broken.
pub(super) fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// HMAC-SHA256.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// SHA-256 in lower-case hex.
pub(super) fn sha256_hex(message: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, message).as_ref())
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything but RFC 3986's unreserved characters as `%XX`; `/` stays with `path`.
pub(super) fn percent(text: &str, path: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (path && byte == b'/');
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// `a=1&b=2`, encoded and in the order of the encoded names, as both Aliyun and S3 want it signed.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    let mut pairs: Vec<_> =
        parameters.iter().map(|(name, value)| (percent(name, false), percent(value, false))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_encoded() {
        assert_eq!(query(&[("b", "x y/ü*~"), ("a+", "")]), "a%2B=&b=x%20y%2F%C3%BC%2A~");
        assert_eq!(percent("a b/c", true), "a%20b/c");
    }

    /// RFC 2202 and RFC 4231, the second case of each.
    #[test]
    fn macs_are_those_of_the_standards() {
        let message = b"what do ya want for nothing?";
        assert_eq!(hex(&hmac_sha1(b"Jefe", message)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", message)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
