//! A MariaDB server of a test's own.

use crate::process::Process;
use crate::scratch::{Port, Scratch, project};
use crate::wait::wait_until;
use binlog_operator::model::ServerOptions;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use std::time::Duration;

/// A running MariaDB server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct MariaDb {
    _process: Process,
    port: Port,
    _scratch: Scratch,
}

impl MariaDb {
    /// Starts a server with an empty data folder and waits until it answers.
    pub async fn start(flags: &[String]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (scratch, port) = (Scratch::new("mariadb"), Port::claim());
        let script = project("scripts/mariadb.sh").display().to_string();
        let args = [script, "run".into(), scratch.path().display().to_string(), port.number().to_string()];
        let process = Process::spawn("bash", &[&args, flags].concat(), &[], &scratch.path().join("log"));
        let server = Self { _process: process, port, _scratch: scratch };
        wait_until("MariaDB answers", Duration::from_secs(90), async || {
            let answer = Conn::new(server.opts()).await.map_err(|error| error.to_string())?;
            answer.disconnect().await.map_err(|error| error.to_string())
        })
        .await;
        server
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
