//! A MariaDB server of a test's own.

use crate::process::Process;
use crate::scratch::{Port, Scratch, is_free, project};
use crate::wait::wait_until;
use binlog_operator::model::ServerOptions;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use std::time::Duration;

/// A running MariaDB server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct MariaDb {
    process: Option<Process>,
    flags: Vec<String>,
    port: Port,
    scratch: Scratch,
}

impl MariaDb {
    /// Starts a server with an empty data folder and waits until it answers.
    pub async fn start(flags: &[String]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (scratch, port) = (Scratch::new("mariadb"), Port::claim());
        let mut server = Self { process: None, flags: flags.to_vec(), port, scratch };
        server.boot().await;
        server
    }

    /// Starts a killed server on the same data and port.
    pub async fn boot(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let port = self.port();
        wait_until("the port is free", Duration::from_secs(60), async || {
            is_free(port).then_some(()).ok_or("taken".into())
        })
        .await;
        let script = project("scripts/mariadb.sh").display().to_string();
        let args = [script, "run".into(), self.scratch.path().display().to_string(), port.to_string()];
        let args = [&args, self.flags.as_slice()].concat();
        self.process = Some(Process::spawn("bash", &args, &[], &self.scratch.path().join("log")));
        wait_until("MariaDB answers", Duration::from_secs(240), async || {
            let answer = Conn::new(self.opts()).await.map_err(|error| error.to_string())?;
            answer.disconnect().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Connection options of root.
    pub fn opts(&self) -> OptsBuilder {
        OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(self.port.number()).user(Some("root"))
    }

    /// How root reaches it, for the code under test.
    pub fn login(&self) -> ServerOptions {
        ServerOptions { port: self.port.number(), username: "root".into(), ..ServerOptions::default() }
    }

    /// Runs statements, one after the other, on one connection of root.
    pub async fn run(&self, statements: &[&str]) {
        let mut conn = Conn::new(self.opts()).await.expect("connect to MariaDB");
        for statement in statements {
            conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
}
