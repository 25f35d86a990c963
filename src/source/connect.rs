//! The factory of connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error as Driver, Opts};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::options::SourceOptions;
use super::session::{self, Session};
use super::value::Style;
use super::{Reader, Result, SourceError};
use crate::model::TlsMode;

/// A server, as a factory of connections. Clones share one connection for short questions.
#[derive(Clone)]
pub struct Source {
    inner: Arc<Inner>,
}

struct Inner {
    options: SourceOptions,
    opts: Opts,
    style: Style,
    /// The server was found to have no TLS, and TLS is only preferred.
    plain: AtomicBool,
    questions: Mutex<Option<Conn>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.inner.options).finish()
    }
}

impl Source {
    /// Checks the options; connects nowhere.
    pub fn new(options: SourceOptions) -> Result<Self> {
        if options.server.host.is_empty() {
            return Err(SourceError::Options("host is empty".into()));
        }
        let opts = options.mysql_opts()?;
        let style = Style::new(&options.types, &options.session)?;
        let (plain, questions) = (AtomicBool::new(false), Mutex::new(None));
        Ok(Self { inner: Arc::new(Inner { options, opts, style, plain, questions }) })
    }

    /// What the source was made of.
    pub fn options(&self) -> &SourceOptions {
        &self.inner.options
    }

    /// How values are written.
    pub(super) fn style(&self) -> &Style {
        &self.inner.style
    }

    /// A connection of its own for causal reads.
    pub async fn reader(&self) -> Result<Reader> {
        Ok(Reader::new(self.clone(), self.connect().await?))
    }

    /// A connection with the session's settings made.
    pub(super) async fn connect(&self) -> Result<Conn> {
        let mut conn = self.connect_bare().await?;
        let prepared = timeout(self.options().connect_timeout, session::prepare(&mut conn, self.options()));
        match prepared.await {
            Ok(Ok(())) => Ok(conn),
            Ok(Err(error)) => Err(self.error("setting up the session", error)),
            Err(_) => Err(self.connect_timed_out()),
        }
    }

    /// A connection as the server gives it.
    pub(super) async fn connect_bare(&self) -> Result<Conn> {
        let limit = self.options().connect_timeout;
        match timeout(limit, Conn::new(self.current_opts())).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(Driver::Driver(DriverError::NoClientSslFlagFromServer)))
                if self.options().server.tls.mode == TlsMode::Preferred =>
            {
                self.inner.plain.store(true, Ordering::Relaxed);
            }
            Ok(Err(error)) => return Err(self.error("connecting", error)),
            Err(_) => return Err(self.connect_timed_out()),
        }
        match timeout(limit, Conn::new(self.current_opts())).await {
            Ok(conn) => conn.map_err(|error| self.error("connecting", error)),
            Err(_) => Err(self.connect_timed_out()),
        }
    }

    /// The shared connection for short questions.
    pub(super) async fn session(&self) -> Session<'_> {
        Session::new(self, self.inner.questions.lock().await)
    }

    /// Ends what a connection runs, by another connection. Best effort: the session's own time limits
    /// end it too.
    pub(super) async fn kill_query(&self, connection: u32) {
        if let Ok(mut conn) = self.connect_bare().await {
            let kill = conn.query_drop(format!("KILL QUERY {connection}"));
            let _ = timeout(self.options().connect_timeout, kill).await;
            let _ = timeout(self.options().connect_timeout, conn.disconnect()).await;
        }
    }

    pub(super) fn error(&self, doing: &str, error: Driver) -> SourceError {
        SourceError::new(doing, &self.options().address(), error)
    }

    fn current_opts(&self) -> Opts {
        if self.inner.plain.load(Ordering::Relaxed) {
            self.options().plain_opts()
        } else {
            self.inner.opts.clone()
        }
    }

    fn connect_timed_out(&self) -> SourceError {
        SourceError::Connection {
            doing: "connecting".into(),
            address: self.options().address(),
            reason: format!("no answer within {:?}", self.options().connect_timeout),
        }
    }
}
