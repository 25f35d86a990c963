//! A real nginx before a search server: TLS, client certificates, logins, path prefixes, and a `GET /` that is refused.

use crate::process::{Process, script};
use crate::scratch::{Port, Scratch, is_free, project};
use crate::wait::wait_until;
use std::path::Path;
use std::time::Duration;

/// The path under which the search server is found.
pub const PREFIX: &str = "/search/v1";

/// What nginx asks for.
#[derive(Clone, Debug, Default)]
pub struct NginxOptions {
    /// The header `Authorization` that every request needs, word for word.
    pub authorization: Option<String>,
    /// A certificate of our authority, from every client.
    pub client_certificate: bool,
    /// No TLS.
    pub plain: bool,
}

/// Certificates of one authority.
#[derive(Debug)]
pub struct Certificates(Scratch);

impl Certificates {
    /// Makes them.
    pub fn make() -> Self {
        let scratch = Scratch::new("certificates");
        script("certificates.sh", &[&scratch.path().display().to_string()]);
        Self(scratch)
    }

    /// A file of `certificates.sh`, for example `ca.pem`.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).expect(name)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A running nginx. Dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    process: Option<Process>,
    port: Port,
    plain: bool,
    scratch: Scratch,
}

impl Nginx {
    /// Starts one before `upstream` (`http://127.0.0.1:9200`) and waits until it listens.
    pub async fn start(upstream: &str, certificates: &Certificates, options: &NginxOptions) -> Self {
        let (scratch, port) = (Scratch::new("nginx"), Port::claim());
        let config = config(upstream, certificates.path(), scratch.path(), port.number(), options);
        std::fs::write(scratch.path().join("nginx.conf"), config).expect("nginx.conf");
        let mut nginx = Self { process: None, port, plain: options.plain, scratch };
        nginx.boot().await;
        nginx
    }

    /// Starts it again after [`Nginx::kill9`].
    pub async fn boot(&mut self) {
        let dir = self.scratch.path().display().to_string();
        let args = [
            project("scripts/nginx.sh").display().to_string(),
            "run".into(),
            dir.clone(),
            format!("{dir}/nginx.conf"),
        ];
        let log = self.scratch.path().join("log");
        self.process = Some(Process::spawn("bash", &args, &[], &log));
        wait_until("nginx listens", Duration::from_secs(240), async || {
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            if is_free(self.port.number()) { Err(log()) } else { Ok(()) }
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// `https://127.0.0.1:PORT/search/v1`.
    pub fn url(&self) -> String {
        let scheme = if self.plain { "http" } else { "https" };
        format!("{scheme}://127.0.0.1:{}{PREFIX}", self.port.number())
    }
}

fn config(upstream: &str, certificates: &Path, dir: &Path, port: u16, options: &NginxOptions) -> String {
    let (certificates, dir) = (certificates.display(), dir.display());
    let tls = if options.plain {
        String::new()
    } else {
        format!("ssl_certificate {certificates}/server.pem; ssl_certificate_key {certificates}/server.key;")
    };
    let client = if options.client_certificate {
        format!("ssl_client_certificate {certificates}/ca.pem; ssl_verify_client on;")
    } else {
        String::new()
    };
    let login = options.authorization.as_ref().map_or_else(String::new, |wanted| {
        format!("if ($http_authorization != \"{wanted}\") {{ return 401; }}")
    });
    let ssl = if options.plain { "" } else { " ssl" };
    format!(
        "daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
         events {{ worker_connections 256; }}
         http {{
           access_log off; client_max_body_size 100m;
           client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
           uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
           server {{
             listen 127.0.0.1:{port}{ssl}; {tls} {client}
             location / {{ return 404; }}
             location = {PREFIX}/ {{ return 405; }}
             location {PREFIX}/ {{ {login} proxy_pass {upstream}/; proxy_http_version 1.1; proxy_set_header Authorization \"\"; }}
           }}
         }}\n"
    )
}
