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
    /// Writes log lines to this file instead of standard error; at 50 MiB it becomes FILE.1, and so on to FILE.7.
    #[arg(long, global = true)]
    pub(super) log_file: Option<PathBuf>,
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
    /// Builds documents once, without following the binlog: all, or those that are selected. While it runs no other
    /// process may work on the task.
    Reindex(ReindexArgs),
    /// Prints how changes of each table find their documents.
    Explain(ExplainArgs),
    /// Checks the file and the servers it names, and prints every finding with its remedy.
    Check(FileArgs),
    /// Runs the SyncTasks of a Kubernetes cluster.
    Operator(OperatorArgs),
    /// Runs one SyncTask of a Kubernetes cluster with spec.isolation: Dedicated; the operator starts it in a pod.
    Worker(WorkerArgs),
    /// Reads binlogs: what changed as SQL, what takes it back, statistics, events.
    Trace {
        /// What to do with them.
        #[command(subcommand)]
        command: Box<super::trace::TraceCommand>,
    },
    /// Prints the CustomResourceDefinitions as YAML.
    Crds,
}

/// `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The file.
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Prints mappings for the index instead, proposed from the types of the query's columns: to be put into
    /// spec.sink.elasticsearch.create.
    #[arg(long)]
    pub(super) mapping: bool,
}

/// A subcommand that takes nothing but the file.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// YAML file with a SyncTask, its Secrets and Reindexes.
    #[arg(short, long)]
    pub(super) file: PathBuf,
    /// Sets a value of the SyncTask, for example `spec.limits.lanes=4`; may be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
}

/// `reindex`.
#[derive(Debug, Args)]
pub(super) struct ReindexArgs {
    /// The file.
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Builds the documents of rows that satisfy this condition, for example `o.total > 100`.
    #[arg(long = "where", value_name = "CONDITION", conflicts_with_all = ["id", "min", "max"])]
    pub(super) condition: Option<String>,
    /// Builds this document; may be given several times.
    #[arg(long, conflicts_with_all = ["min", "max"])]
    pub(super) id: Vec<String>,
    /// Builds from this id on.
    #[arg(long)]
    pub(super) min: Option<String>,
    /// Builds up to this id, which is not built any more.
    #[arg(long)]
    pub(super) max: Option<String>,
    /// Ids in one page.
    #[arg(long, default_value_t = 1_000, value_parser = page_size)]
    pub(super) page_size: usize,
}

fn page_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 1..=10_000) => Ok(size),
        _ => Err("write a number between 1 and 10000".to_owned()),
    }
}

/// `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The file.
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Directory for checkpoint and dead letters; made if it is not there. One process at a time may use it.
    #[arg(long)]
    pub(super) state_dir: PathBuf,
    /// Serves /healthz, /readyz and /metrics here: `:8222`, `127.0.0.1:8222` or `[::1]:8222`.
    #[arg(long, value_parser = listen_address)]
    pub(super) listen: Option<SocketAddr>,
    /// Ends once every Reindex of the file is complete and the task is caught up: with 0, or with 1 where one failed or
    /// documents were refused.
    #[arg(long)]
    pub(super) until_caught_up: bool,
    /// Takes the state over from a process that still holds it; that one ends when it next saves.
    #[arg(long)]
    pub(super) take_over: bool,
    /// Appends a line per written document (id, version, snapshot, verdict) to this file, for tests.
    #[arg(long, hide = true)]
    pub(super) write_log: Option<PathBuf>,
}

/// `operator`.
#[derive(Debug, Args)]
pub(super) struct OperatorArgs {
    /// Watches this namespace; may be given several times. Without it all namespaces.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    pub(super) namespace: Vec<String>,
    /// Namespace of the Lease by which one of several operators leads.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub(super) lease_namespace: String,
    /// Name of that Lease.
    #[arg(long, default_value = "binlog-operator")]
    pub(super) lease_name: String,
    /// Seconds after which another operator takes over from one that does not renew.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(5..=300))]
    pub(super) lease_seconds: u64,
    /// Seconds for which documents go on being written while the API server does not answer; then this process
    /// ends.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(super) lease_grace_seconds: u64,
    /// Serves /healthz, /readyz and /metrics here.
    #[arg(long, value_parser = listen_address, default_value = ":8222")]
    pub(super) listen: SocketAddr,
    /// Image of pods for tasks with isolation: Dedicated that name none.
    #[arg(long, env = "WORKER_IMAGE")]
    pub(super) worker_image: Option<String>,
    /// ServiceAccount of those pods, in the task's namespace.
    #[arg(long, env = "WORKER_SERVICE_ACCOUNT", default_value = "binlog-operator-worker")]
    pub(super) worker_service_account: String,
    /// Who we are in the Lease, in status and in events; without it the host's name with a random end.
    #[arg(long, env = "POD_NAME")]
    pub(super) identity: Option<String>,
}

/// `worker`.
#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// The task's namespace.
    #[arg(long)]
    pub(super) namespace: String,
    /// The task.
    #[arg(long)]
    pub(super) task: String,
    /// Serves /healthz, /readyz and /metrics here.
    #[arg(long, value_parser = listen_address, default_value = ":8222")]
    pub(super) listen: SocketAddr,
    /// Who we are in status and in events; without it the host's name with a random end.
    #[arg(long, env = "POD_NAME")]
    pub(super) identity: Option<String>,
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
    fn reindex_takes_one_selection() {
        let parse = |args: &[&str]| {
            Cli::try_parse_from([&["b", "reindex", "-f", "o.yaml"], args].concat()).map(|cli| {
                match cli.command {
                    Command::Reindex(args) => args,
                    other => panic!("{other:?}"),
                }
            })
        };
        let args = parse(&["--id", "1", "--id", "2", "--set", "spec.limits.lanes=1"]).unwrap();
        assert_eq!((args.id.len(), args.file.set.len(), args.page_size), (2, 1, 1_000));
        assert!(parse(&["--id", "1", "--where", "a > 1"]).is_err());
        assert!(parse(&["--min", "1", "--page-size", "0"]).is_err());
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
        assert!(run.file.set.is_empty());
        assert!(run.until_caught_up && run.take_over && run.write_log.is_none());
    }
}
