//! A connection of the replication protocol: signs in, asks for the binlog, gives packets.
//!
//! In: how to reach the server ([`ServerOptions`](crate::model::ServerOptions)) and where to begin. Out:
//! [`Packet`]s, one at a time. What may fail is [`WireError`]; whatever the server sends, nothing panics, and
//! no error holds a password.
//! Source: "Client/Server Protocol" in MySQL's source documentation, MariaDB's "Clients & Utilities".

mod auth;
mod dump;
mod greeting;
mod login;
mod packets;
mod rsa;
mod tls;

use std::io;

use super::cursor::Cursor;
use super::error::Malformed;

pub(super) use dump::ask;
pub(super) use login::log_in;
pub(super) use packets::{Packet, Packets};

/// What can go wrong on the wire.
#[derive(Debug)]
pub(super) enum WireError {
    /// The connection broke, or was not made.
    Io(io::Error),
    /// An ERR packet.
    Server { code: u16, message: String },
    /// The two sides cannot agree on TLS or on authentication.
    Refused(String),
    /// Something that has no place here.
    Unexpected(String),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for WireError {
    fn from(Malformed(reason): Malformed) -> Self {
        Self::Unexpected(format!("a packet that cannot be read: {reason}"))
    }
}

impl WireError {
    /// A packet that has no place here.
    pub(super) fn packet(packet: &Packet) -> Self {
        Self::Unexpected(format!("a packet of kind {:#04x} with {} bytes", packet.kind, packet.body.len()))
    }

    /// The ERR packet with this body. Before the server knows the client there is no SQLSTATE in it.
    fn server(body: &[u8]) -> Self {
        let mut c = Cursor::new(body);
        let Ok(code) = c.u16() else { return Malformed::SHORT.into() };
        if c.rest().first() == Some(&b'#') {
            let _ = c.skip(6);
        }
        Self::Server { code, message: String::from_utf8_lossy(c.rest()).into_owned() }
    }
}

/// The bytes before the next NUL, or all where there is none (a server's known fault).
fn until_nul<'a>(c: &mut Cursor<'a>) -> &'a [u8] {
    let Some(end) = memchr::memchr(0, c.rest()) else { return c.take_rest() };
    let bytes = c.bytes(end).unwrap_or_default();
    let _ = c.skip(1);
    bytes
}
