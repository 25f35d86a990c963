//! The factory of connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error as Driver, Opts};
use tokio::runtime::{Handle, Id};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::bound::Bound;
use super::options::SourceOptions;
use super::session::{self, Session};
use super::value::Style;
use super::{Reader, Result, SourceError};
use crate::model::{InUse, TlsMode};

/// A server, as a factory of connections. Clones share one connection for short questions; all sources with the same
/// options share how they reach the server.
#[derive(Clone)]
pub struct Source {
    inner: Arc<Inner>,
}

struct Inner {
    options: SourceOptions,
    style: Style,
    server: Arc<Server>,
    questions: Mutex<Asked>,
    bound: Bound,
}

/// A connection for short questions, when it was made, and when it was last asked.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) conn: Option<Conn>,
    pub(super) made: Option<Instant>,
    pub(super) at: Option<Instant>,
}

/// What all sources have in common that reach a server in the same way: the TLS configuration with its memory of
/// sessions, and a connection for the question that each asks again and again.
struct Server {
    opts: Opts,
    /// It was found to have no TLS, and TLS is only preferred.
    plain: AtomicBool,
    position: Mutex<Asked>,
}

/// A connection belongs to the runtime that made it.
static SERVERS: InUse<(SourceOptions, Option<Id>), Server> = InUse::new();

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
        let runtime = Handle::try_current().ok().map(|handle| handle.id());
        let server = SERVERS.get_or_make((options.clone(), runtime), |(options, _)| {
            let opts = options.mysql_opts()?;
            Ok(Server { opts, plain: AtomicBool::new(false), position: Mutex::default() })
        })?;
        let style = Style::new(&options.types, &options.session)?;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                style,
                server,
                questions: Mutex::default(),
                bound: Bound::default(),
            }),
        })
    }

    /// What the source was made of.
    pub fn options(&self) -> &SourceOptions {
        &self.inner.options
    }

    /// Whose rows may be read.
    pub(super) fn bound(&self) -> &Bound {
        &self.inner.bound
    }

    /// How values are written.
    pub(super) fn style(&self) -> &Style {
        &self.inner.style
    }

    /// A connection of its own for causal reads.
    pub async fn reader(&self) -> Result<Reader> {
        let binding = self.binding();
        Ok(Reader::new(self.clone(), self.connect_bound().await?, binding))
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
                self.inner.server.plain.store(true, Ordering::Relaxed);
            }
            Ok(Err(error)) => return Err(self.error("connecting", error)),
            Err(_) => return Err(self.connect_timed_out()),
        }
        match timeout(limit, Conn::new(self.current_opts())).await {
            Ok(conn) => conn.map_err(|error| self.error("connecting", error)),
            Err(_) => Err(self.connect_timed_out()),
        }
    }

    /// The connection for short questions, which clones share.
    pub(super) async fn session(&self) -> Session<'_> {
        Session::new(self, self.inner.questions.lock().await)
    }

    /// The connection that all sources of this server share. For what is quick to answer, and asked for by each.
    pub(super) async fn shared_session(&self) -> Session<'_> {
        Session::new(self, self.inner.server.position.lock().await)
    }

    /// Closes the connection for short questions if it was not asked for so long: an operator has many idle tasks.
    pub async fn rest(&self, idle: Duration) {
        // who holds it is asking
        let Ok(mut asked) = self.inner.questions.try_lock() else { return };
        if asked.at.is_some_and(|at| at.elapsed() >= idle)
            && let Some(conn) = std::mem::take(&mut *asked).conn
        {
            let _ = timeout(self.options().connect_timeout, conn.disconnect()).await;
        }
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
        if self.inner.server.plain.load(Ordering::Relaxed) {
            self.options().plain_opts()
        } else {
            self.inner.server.opts.clone()
        }
    }

    pub(super) fn connect_timed_out(&self) -> SourceError {
        SourceError::Connection {
            doing: "connecting".into(),
            address: self.options().address(),
            reason: format!("no answer within {:?}", self.options().connect_timeout),
        }
    }
}
