//! The password for a server without TLS: encrypted by its RSA key (PKCS #1 OAEP, SHA-1).
//!
//! mysql_common does the arithmetic, and panics on keys that are none; so the key is read and measured here.

use mysql_common::crypto::rsa::{GetRandom, Pkcs1OaepPadding, PublicKey};
use num_bigint::BigUint;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use crate::binlog::cursor::Cursor;
use crate::binlog::error::Malformed;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// Bits of a key: smaller ones are unsafe, larger ones only cost time.
const BITS: std::ops::RangeInclusive<usize> = 1024..=16384;

/// Bytes of OAEP that are not the message.
const PADDING: usize = 42;

pub(super) fn encrypt(pem: &[u8], message: &[u8]) -> Result<Vec<u8>, &'static str> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| "the server's RSA key is not PEM")?;
    let (modulus, exponent) = read_key(&der).map_err(|_| "the server's RSA key cannot be read")?;
    let bits = modulus.len() * 8;
    // a leading byte below 0x80 is a length that mysql_common rounds wrongly
    let whole = modulus.first().is_some_and(|first| *first >= 0x80);
    if !whole || !BITS.contains(&bits) || exponent.len() > 8 {
        return Err("the server's RSA key is not one of 1024 to 16384 bits; use TLS");
    }
    if message.len() + PADDING > modulus.len() {
        return Err("the password is too long for the server's RSA key; use TLS");
    }
    let key = PublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    Ok(key.encrypt_block(message, Pkcs1OaepPadding::new(GetRandom)))
}

/// Modulus and exponent of a SubjectPublicKeyInfo.
fn read_key(der: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut info = Cursor::new(value(&mut Cursor::new(der), SEQUENCE)?);
    let _algorithm = value(&mut info, SEQUENCE)?;
    let bits = value(&mut info, BIT_STRING)?;
    let mut numbers =
        Cursor::new(value(&mut Cursor::new(bits.strip_prefix(&[0]).unwrap_or(bits)), SEQUENCE)?);
    Ok((number(&mut numbers)?, number(&mut numbers)?))
}

fn number<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let bytes = value(c, INTEGER)?;
    Ok(bytes.strip_prefix(&[0]).unwrap_or(bytes))
}

/// One tag, length, value.
fn value<'a>(c: &mut Cursor<'a>, tag: u8) -> Result<&'a [u8], Malformed> {
    if c.u8()? != tag {
        return Err(Malformed("another tag"));
    }
    let length = match c.u8()? {
        short @ 0..=0x7f => u64::from(short),
        long @ 0x81..=0x84 => c.uint_be(usize::from(long - 0x80))?,
        _ => return Err(Malformed("another length")),
    };
    c.bytes(usize::try_from(length).map_err(|_| Malformed::SHORT)?)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key as servers send it.
    pub(in super::super) const KEY: &[u8] = include_bytes!("../../../tests/data/tls/rsa-public-key.pem");

    #[test]
    fn a_key_encrypts_to_its_own_length_and_never_the_same() {
        let (a, b) = (encrypt(KEY, b"secret\0").unwrap(), encrypt(KEY, b"secret\0").unwrap());
        assert!(a.len() == 256 && b.len() == 256 && a != b);
        assert!(encrypt(KEY, &[1; 214]).is_ok() && encrypt(KEY, &[1; 215]).unwrap_err().contains("too long"));
    }

    proptest! {
        #[test]
        fn no_key_panics(at in 0..KEY.len(), byte: u8, cut in 0..KEY.len(), junk: Vec<u8>) {
            let mut changed = KEY.to_vec();
            changed[at] = byte;
            let _ = encrypt(&changed, b"secret");
            let _ = encrypt(&KEY[..cut], b"secret");
            let _ = encrypt(&junk, b"secret");
            let _ = read_key(&junk);
        }
    }
}
