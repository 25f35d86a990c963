//! What server and client say of themselves: HandshakeV10, SSLRequest, HandshakeResponse41.

use bytes::BufMut;

use super::{Packet, WireError, until_nul};
use crate::binlog::cursor::Cursor;
use crate::binlog::error::Malformed;

/// Random bytes that a server sends for the password to be mixed with.
pub(super) type Nonce = [u8; 20];

const PROTOCOL_41: u32 = 1 << 9;
pub(super) const SSL: u32 = 1 << 11;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;
const CONNECT_ATTRS: u32 = 1 << 20;

/// Without these we cannot sign in.
const NEEDED: u32 = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;

/// utf8mb4_general_ci, which MySQL and MariaDB know.
const COLLATION: u8 = 45;

/// The largest packet that the server may send: the protocol's limit.
const LARGEST: u32 = 1 << 30;

const ATTRIBUTES: [&str; 2] = ["program_name", "binlog-operator"];

/// HandshakeV10.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) capabilities: u32,
    pub(super) nonce: Nonce,
    /// The authentication that the server begins with.
    pub(super) plugin: Vec<u8>,
}

impl Greeting {
    pub(super) fn read(packet: &Packet) -> Result<Self, WireError> {
        if packet.kind != 10 {
            return Err(WireError::Unexpected(format!("a greeting of protocol {}, not 10", packet.kind)));
        }
        let greeting = Self::parse(&packet.body)?;
        if greeting.capabilities & NEEDED != NEEDED {
            return Err(WireError::Unexpected(
                "a greeting without protocol 4.1 or plugins to sign in".into(),
            ));
        }
        Ok(greeting)
    }

    fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut c = Cursor::new(body);
        let _version = until_nul(&mut c);
        let _connection_id = c.u32()?;
        let first = c.bytes(8)?;
        c.skip(1)?;
        let low = u32::from(c.u16()?);
        c.skip(3)?; // collation and status
        let capabilities = u32::from(c.u16()?) << 16 | low;
        let scramble_len = usize::from(c.u8()?);
        c.skip(10)?;
        let second = c.bytes(scramble_len.saturating_sub(8).max(13))?;
        let plugin = until_nul(&mut c).to_vec();
        Ok(Self { capabilities, nonce: nonce(&[first, second].concat())?, plugin })
    }

    /// SSLRequest: what a client says before it changes to TLS.
    pub(super) fn tls_request(&self) -> Vec<u8> {
        self.client_head(SSL)
    }

    /// HandshakeResponse41. `answer` must be shorter than 251 bytes.
    pub(super) fn response(&self, more: u32, username: &str, plugin: &str, answer: &[u8]) -> Vec<u8> {
        let mut out = self.client_head(more);
        out.put_slice(username.as_bytes());
        out.put_u8(0);
        put_short(&mut out, answer);
        out.put_slice(plugin.as_bytes());
        out.put_u8(0);
        if self.capabilities & CONNECT_ATTRS != 0 {
            let mut attributes = Vec::new();
            for text in ATTRIBUTES {
                put_short(&mut attributes, text.as_bytes());
            }
            put_short(&mut out, &attributes);
        }
        out
    }

    fn client_head(&self, more: u32) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u32_le(NEEDED | more | self.capabilities & CONNECT_ATTRS);
        out.put_u32_le(LARGEST);
        out.put_u8(COLLATION);
        out.put_bytes(0, 23);
        out
    }
}

/// The nonce at the beginning of these bytes.
pub(super) fn nonce(bytes: &[u8]) -> Result<Nonce, Malformed> {
    bytes.first_chunk().copied().ok_or(Malformed("its scramble is shorter than 20 bytes"))
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u8(bytes.len() as u8);
    out.put_slice(bytes);
}
