//! Whose rows may be read. Without GTIDs nothing tells what another server at the same address has of what the stream
//! delivered: its rows could be older, and the stream that finds its place there again would never say so.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use mysql_async::Conn;

use super::{Result, Source, SourceError, server};

/// The server that readers are bound to.
#[derive(Default)]
pub(super) struct Bound {
    to: Mutex<Option<String>>,
    /// Counts how often it was said anew: connections made before are not used again.
    times: AtomicU64,
    met_another: AtomicBool,
}

impl Source {
    /// Readers refuse any other server than this one (see [`ServerInfo::server_uuid`](super::ServerInfo::server_uuid))
    /// from now on, and connections made before; `None` reads wherever the address leads.
    pub fn bind_to(&self, server_uuid: Option<String>) {
        let bound = self.bound();
        let mut to = bound.to.lock().unwrap_or_else(PoisonError::into_inner);
        if *to != server_uuid {
            *to = server_uuid;
            bound.times.fetch_add(1, Ordering::AcqRel);
        }
        bound.met_another.store(false, Ordering::Release);
    }

    /// Looks where the address leads now, where readers are bound to a server. What cannot be asked is not known.
    pub async fn check_bound(&self) {
        let is_bound = self.bound().to.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_bound && let Ok(conn) = self.connect_bound().await {
            let _ = tokio::time::timeout(self.options().connect_timeout, conn.disconnect()).await;
        }
    }

    /// True once a reader has met another server than the one it is bound to.
    pub fn met_another(&self) -> bool {
        self.bound().met_another.load(Ordering::Acquire)
    }

    /// Which saying a connection that is made now belongs to.
    pub(super) fn binding(&self) -> u64 {
        self.bound().times.load(Ordering::Acquire)
    }

    /// A connection for reads, to the server that they are bound to.
    pub(super) async fn connect_bound(&self) -> Result<Conn> {
        let to = self.bound().to.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut conn = self.connect().await?;
        let Some(to) = to else { return Ok(conn) };
        let asked = tokio::time::timeout(self.options().connect_timeout, server::identity(&mut conn)).await;
        let found = asked
            .map_err(|_| self.connect_timed_out())?
            .map_err(|error| self.error("asking which server it is", error))?;
        if found == to {
            return Ok(conn);
        }
        self.bound().met_another.store(true, Ordering::Release);
        Err(SourceError::Connection {
            doing: "connecting".into(),
            address: self.options().address(),
            reason: format!(
                "the server {found} answers, and the binlog is that of {to}: without GTIDs it cannot be told what the other one has"
            ),
        })
    }
}
