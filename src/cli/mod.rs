//! Subcommands, the file they read, logs, signals, progress and HTTP.
//!
//! In: the command line and a YAML file. Out: a running worker, pages on HTTP, an exit code. What is wrong with
//! the file is said in [`LoadError`], all of it at once.

mod args;
mod crds;
mod exit;
mod file;
mod http;
mod inspect;
mod log_file;
mod logs;
mod operator;
mod progress;
mod reindex;
mod run;
mod settings;
mod signals;
mod trace;
mod yaml;

use std::process::ExitCode;

use clap::Parser as _;

pub use crds::files as crd_files;
pub use exit::Exit;
pub use file::{FileFinding, LoadError, TaskFile, load, load_with, read};
pub use http::{Pages, Subject, serve};

use args::{Cli, Command};

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let bars = match logs::init(cli.log_format, &cli.log_level, cli.log_file.as_deref()) {
        Ok(bars) => bars,
        Err(error) => return run::findings(&error).into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return run::findings(&format!("threads: {error}")).into(),
    };
    let exit = match cli.command {
        Command::Run(args) => runtime.block_on(run::run(args, bars)),
        Command::Reindex(args) => runtime.block_on(Box::pin(reindex::reindex(args, bars))),
        Command::Explain(args) => runtime.block_on(inspect::explain(&args)),
        Command::Check(args) => runtime.block_on(inspect::check(&args)),
        Command::Operator(args) => runtime.block_on(Box::pin(operator::operator(args))),
        Command::Worker(args) => runtime.block_on(Box::pin(operator::worker(args))),
        Command::Trace { command } => runtime.block_on(trace::trace(*command)),
        Command::Crds => print_crds(),
    };
    // a lost lease must not wait for what hangs
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    exit.into()
}

fn print_crds() -> Exit {
    match crds::text() {
        Ok(text) => {
            print!("{text}");
            Exit::Done
        }
        Err(error) => run::findings(&error),
    }
}
