//! Signing in: greeting, TLS, authentication.

use tokio::net::TcpStream;

use super::auth::{Auth, Method};
use super::greeting::{Greeting, SSL};
use super::packets::{Line, Packets};
use super::{WireError, tls};
use crate::model::{ServerOptions, TlsMode};

/// Questions that a server may ask before it lets us in. It needs four at most.
const TURNS: usize = 8;

/// A connection that is signed in.
pub(in super::super) async fn log_in(options: &ServerOptions) -> Result<Packets, WireError> {
    let line = TcpStream::connect((options.host.as_str(), options.port)).await?;
    line.set_nodelay(true)?;
    log_in_over(Box::new(line), options).await.map_err(|error| match error {
        // certificates that one of the two does not accept; with TLS 1.3 the server's word on ours comes late
        WireError::Io(error) if tls::is_about_tls(&error) => {
            WireError::Refused(format!("TLS: {error}; check source.tls and the certificates"))
        }
        other => other,
    })
}

async fn log_in_over(line: Box<dyn Line>, options: &ServerOptions) -> Result<Packets, WireError> {
    let mut packets = Packets::new(line);
    let greeting = Greeting::read(&packets.read().await?)?;
    let encrypted = wants_tls(options.tls.mode, greeting.capabilities & SSL != 0)?;
    if encrypted {
        packets.send(&greeting.tls_request()).await?;
        if packets.has_unread() {
            return Err(WireError::Unexpected("bytes before TLS that nobody asked for".into()));
        }
        packets.line = tls::encrypt(packets.line, options).await?;
    }
    let method = Method::first(&greeting.plugin);
    let auth = Auth { method, nonce: greeting.nonce, password: options.password.expose(), encrypted };
    let more = if encrypted { SSL } else { 0 };
    packets.send(&greeting.response(more, &options.username, method.name(), &auth.begin())).await?;
    authenticate(&mut packets, auth).await?;
    Ok(packets)
}

fn wants_tls(mode: TlsMode, offered: bool) -> Result<bool, WireError> {
    match mode {
        TlsMode::Disabled => Ok(false),
        TlsMode::Preferred => Ok(offered),
        _ if offered => Ok(true),
        _ => {
            let why = "the server has no TLS; give it a certificate, or set source.tls.mode to Preferred";
            Err(WireError::Refused(why.into()))
        }
    }
}

async fn authenticate(packets: &mut Packets, mut auth: Auth<'_>) -> Result<(), WireError> {
    for _ in 0..TURNS {
        let packet = packets.read().await?;
        let answer = match packet.kind {
            0x00 => return Ok(()),
            0x01 => auth.more(&packet.body)?,
            0xfe => Some(auth.switch(&packet.body)?),
            _ => return Err(WireError::packet(&packet)),
        };
        if let Some(answer) = answer {
            packets.send(&answer).await?;
        }
    }
    Err(WireError::Unexpected(format!("more than {TURNS} questions before it let us in")))
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
