//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The command line as a whole.
#[derive(Debug, Parser)]
#[command(
    name = "binlog-operator",
    version,
    about = "Keeps Elasticsearch and OpenSearch documents equal to a SQL query over MySQL.",
    after_help = super::exit::HELP
)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
    /// Level of log lines: error, warn, info, debug or trace for this program, or directives like
    /// `info,hyper=debug`.
    #[arg(long, global = true, env = "RUST_LOG", default_value = "info")]
    pub(super) log_level: String,
    /// Form of log lines, on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto)]
    pub(super) log_format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Compact on a terminal, else JSON.
    Auto,
    /// One line for people.
    Compact,
    /// One JSON object per line.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs the SyncTask and the Reindexes of a file, without a cluster.
    Run(RunArgs),
    /// Prints how changes of each table find their documents.
    Explain(FileArgs),
    /// Checks the file and the servers it names, and prints every finding with its remedy.
    Check(FileArgs),
    /// Prints the CustomResourceDefinitions as YAML.
    Crds,
}

/// A subcommand that takes nothing but the file.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// YAML file with a SyncTask, its Secrets and Reindexes.
    #[arg(short, long)]
    pub(super) file: PathBuf,
}

/// `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// YAML file with a SyncTask, its Secrets and Reindexes.
    #[arg(short, long)]
    pub(super) file: PathBuf,
    /// Directory for checkpoint and dead letters; made if it is not there. One process at a time may use it.
    #[arg(long)]
    pub(super) state_dir: PathBuf,
    /// Serves /healthz, /readyz and /metrics here: `:8222`, `127.0.0.1:8222` or `[::1]:8222`.
    #[arg(long, value_parser = listen_address)]
    pub(super) listen: Option<SocketAddr>,
    /// Ends with 0 once every Reindex of the file is complete and the task is caught up.
    #[arg(long)]
    pub(super) until_caught_up: bool,
    /// Takes the state over from a process that still holds it; that one ends when it next saves.
    #[arg(long)]
    pub(super) take_over: bool,
    /// Appends a line per written document (id, version, snapshot, verdict) to this file, for tests.
    #[arg(long, hide = true)]
    pub(super) write_log: Option<PathBuf>,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    text.parse().map_err(|_| "write :PORT or ADDRESS:PORT, for example :8222 or 127.0.0.1:8222".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn listen_addresses() {
        for (text, address) in [
            (":8222", "0.0.0.0:8222"),
            ("8222", "0.0.0.0:8222"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:2", "[::1]:2"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), address);
        }
        assert!(listen_address("localhost").is_err() && listen_address(":99999").is_err());
    }

    #[test]
    fn run_takes_the_flags_of_the_docs() {
        let cli = Cli::try_parse_from([
            "b",
            "run",
            "-f",
            "o.yaml",
            "--state-dir",
            "s",
            "--listen",
            ":0",
            "--until-caught-up",
            "--take-over",
        ]);
        let Command::Run(run) = cli.unwrap().command else { panic!("not run") };
        assert!(run.until_caught_up && run.take_over && run.write_log.is_none());
    }
}
