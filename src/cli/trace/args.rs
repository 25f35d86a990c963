//! The command line of `trace`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with binlogs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TraceCommand {
    /// Prints SQL that does the changes again.
    Sql(SqlArgs),
    /// Prints what takes the changes back, the newest first.
    Rollback(RollbackArgs),
    /// Prints counts: by table, time and connection; the largest, longest and hottest.
    Stats(StatsArgs),
    /// Prints a line of JSON per event.
    Events(EventsArgs),
    /// Shows the changes on a local web page: who changed what, when, from what to what; with SQL and rollback to copy.
    Serve(ServeArgs),
}

/// `trace sql`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SqlArgs {
    /// SQL for `mysql`, or the changed rows as JSON lines or CSV.
    #[arg(long, value_enum, default_value_t = ChangeFormat::Sql)]
    pub(super) format: ChangeFormat,
    /// UPDATE statements set every column, not only those that changed.
    #[arg(long)]
    pub(super) full_set: bool,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// `trace rollback`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RollbackArgs {
    /// Inverted row events in BINLOG statements instead of SQL: exact by type, needs no column names, fires no
    /// triggers; to apply it takes BINLOG_ADMIN or REPLICATION_APPLIER.
    #[arg(long)]
    pub(super) exact: bool,
    /// Each statement stands below the change that it takes back, as a comment.
    #[arg(long)]
    pub(super) with_original: bool,
    /// The SQL stops where a statement does not change exactly one row.
    #[arg(long, conflicts_with = "exact")]
    pub(super) guard: bool,
    /// UPDATE statements set every column, not only those that changed.
    #[arg(long, conflicts_with = "exact")]
    pub(super) full_set: bool,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// `trace stats`.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatsArgs {
    /// Text for people, JSON, or a page of HTML.
    #[arg(long, value_enum, default_value_t = StatsFormat::Text)]
    pub(super) format: StatsFormat,
    /// Seconds of an interval; without it chosen by the span.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) interval: Option<u64>,
    /// Entries of each list.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) top: u16,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// `trace events`.
#[derive(Debug, Args)]
pub(in crate::cli) struct EventsArgs {
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// `trace serve`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8223")]
    pub(super) listen: SocketAddr,
    /// A name by which browsers may call the page beside localhost; repeatable. Needed where --listen can be reached from
    /// elsewhere: whoever can reach it sees the data.
    #[arg(long, value_name = "NAME")]
    pub(super) allow_host: Vec<String>,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// Form of `trace sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ChangeFormat {
    /// Statements.
    Sql,
    /// A JSON object per row.
    Json,
    /// A line of comma-separated values per row.
    Csv,
}

/// Form of `trace stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StatsFormat {
    /// Tables of text.
    Text,
    /// JSON.
    Json,
    /// One HTML file with charts that needs nothing else.
    Html,
}

/// Kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EventArg {
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// DDL, and other statements logged as text.
    Ddl,
}

/// Input, names, selection, output: the same for all.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// Binlog files in order, also .gz and .zst, also http(s):// URLs, s3://bucket/key, s3://bucket/folder/ (all binlogs
    /// in it); `-` is the standard input.
    #[arg(required_unless_present_any = ["from", "manifest"])]
    pub(super) files: Vec<PathBuf>,
    /// A server to stream from: mysql://user@host:3306/, from its oldest binlog unless --start-file or
    /// --executed-gtids say otherwise; the password is read from MYSQL_PWD. Or the binlogs that Aliyun RDS keeps of an
    /// instance: aliyun://INSTANCE?region=cn-hangzhou, with &link=public outside its region, &host=ID for one host's.
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    pub(super) from: Option<String>,
    /// A list of binlog files, JSON or YAML: [{name, url, size, startTime, endTime}, ...], in any order. Those that meet
    /// --start-time and --stop-time are fetched.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "from"])]
    pub(super) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(super) cloud: CloudArgs,
    /// With --from: the binlog file to begin with.
    #[arg(long, requires = "from")]
    pub(super) start_file: Option<String>,
    /// With --from: begins with the transactions that are not in this GTID set.
    #[arg(long, requires = "from", conflicts_with = "start_file")]
    pub(super) executed_gtids: Option<String>,
    /// With --from: goes on with what the server adds, until a signal or --stop-time.
    #[arg(long, requires = "from")]
    pub(super) follow: bool,
    /// Writes here instead of to the standard output.
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
    /// Keeps in this file how far the trace has come: the same command after an interrupt goes on from there. For sql and
    /// events, with --out.
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(super) checkpoint: Option<PathBuf>,
    /// A file of CREATE TABLE statements, as `mysqldump --no-data` writes it; `DB=FILE` where it names no database.
    #[arg(long, value_name = "[DB=]FILE", conflicts_with = "schema_from")]
    pub(super) ddl: Vec<String>,
    /// A server to ask for the tables: mysql://user@host:3306/. The password is read from MYSQL_PWD.
    #[arg(long, value_name = "URL")]
    pub(super) schema_from: Option<String>,
    /// Accepts that columns were added or dropped at a table's end since its DDL was taken.
    #[arg(long)]
    pub(super) allow_trailing: bool,
    /// Accepts files that do not follow each other.
    #[arg(long)]
    pub(super) allow_gaps: bool,
    /// With --start-time: also reads the files that lie before it, for the DDL in them.
    #[arg(long)]
    pub(super) read_all: bool,
    /// Does not compare checksums.
    #[arg(long)]
    pub(super) no_checksums: bool,
    /// Threads that decode files.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) threads: Option<u16>,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
}

/// How clouds are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Clouds")]
pub(super) struct CloudArgs {
    /// Access keys for aliyun:// and s3://: a file of `name = value` lines or a folder as a Secret is mounted, with
    /// accessKeyId, accessKeySecret and perhaps securityToken. Else they are read from the environment
    /// (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET, ALIBABA_CLOUD_SECURITY_TOKEN; AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN).
    #[arg(long, value_name = "PATH")]
    pub(super) credentials: Option<PathBuf>,
    /// Address of an S3-compatible store, for s3:// URLs; without it AWS'.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub(super) s3_endpoint: Option<String>,
    /// Region that requests to it are signed for; without it us-east-1.
    #[arg(long, value_name = "REGION", env = "AWS_REGION")]
    pub(super) s3_region: Option<String>,
}

/// Which changes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(super) struct SelectionArgs {
    /// Transactions committed at this time or later: `2026-11-21 14:05:00`, in UTC or the zone of --time-zone, or
    /// with an offset of its own: `2026-11-21T14:05:00+02:00`.
    #[arg(long)]
    pub(super) start_time: Option<String>,
    /// Transactions committed before this time.
    #[arg(long)]
    pub(super) stop_time: Option<String>,
    /// The zone of --start-time and --stop-time, for example Europe/Berlin.
    #[arg(long, default_value = "UTC")]
    pub(super) time_zone: String,
    /// Transactions of the first file that begin at this offset or later.
    #[arg(long)]
    pub(super) start_position: Option<u64>,
    /// Transactions of the last file that begin before this offset.
    #[arg(long)]
    pub(super) stop_position: Option<u64>,
    /// Only transactions of this GTID set.
    #[arg(long)]
    pub(super) include_gtids: Option<String>,
    /// No transactions of this GTID set.
    #[arg(long)]
    pub(super) exclude_gtids: Option<String>,
    /// Only tables of this database; repeatable, `*` and `?` match.
    #[arg(long)]
    pub(super) database: Vec<String>,
    /// Only this table, DB.TABLE; repeatable, `*` and `?` match.
    #[arg(long)]
    pub(super) table: Vec<String>,
    /// Not this table, DB.TABLE; repeatable, `*` and `?` match.
    #[arg(long)]
    pub(super) exclude_table: Vec<String>,
    /// Only tables whose DB.TABLE matches this regular expression.
    #[arg(long)]
    pub(super) table_regex: Option<String>,
    /// Only these kinds of changes.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(super) event: Vec<EventArg>,
    /// Only updates that changed this column: DB.TABLE.COLUMN or COLUMN; repeatable.
    #[arg(long)]
    pub(super) changed_column: Vec<String>,
    /// Only rows with these values before or after the change: 'shop.orders.id = 42'; with AND, = <> < <= > >=,
    /// IS NULL. Repeated: rows that match any.
    #[arg(long = "where")]
    pub(super) predicate: Vec<String>,
    /// Only transactions of this connection.
    #[arg(long)]
    pub(super) thread_id: Option<u32>,
    /// Only transactions of this server.
    #[arg(long)]
    pub(super) server_id: Option<u32>,
    /// Only transactions with so many selected rows.
    #[arg(long, default_value_t = 0)]
    pub(super) min_transaction_rows: u64,
}
