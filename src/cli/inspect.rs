//! `explain` and `check`.

use super::args::{ExplainArgs, FileArgs};
use super::exit::Exit;
use super::file::TaskFile;
use super::{crds, file, run};
use crate::pipeline::{self, Report};

/// Prints the compiled plan, with the live schema.
pub(super) async fn explain(args: &ExplainArgs) -> Exit {
    let file = match file::load_with(&args.file.file, &args.file.set) {
        Ok(file) => file,
        Err(error) => return run::findings(&error),
    };
    if args.mapping {
        return propose(&file).await;
    }
    let report = pipeline::plan(&file.options()).await;
    if let Some(plan) = &report.plan {
        println!("{}", plan.explain());
        match pipeline::access(&file.options(), plan).await {
            Ok(text) => println!("{text}"),
            Err(error) => println!("how the server carries it out is not known: {error}"),
        }
    }
    print(&report, "the query cannot be compiled")
}

/// Prints proposed mappings, as they stand in the file.
async fn propose(file: &TaskFile) -> Exit {
    let mappings = match pipeline::proposal(&file.options()).await {
        Ok(mappings) => mappings,
        Err(obstacle) => return run::findings(&obstacle),
    };
    match crds::yaml(&serde_json::json!({"create": {"mappings": mappings}})) {
        Ok(text) => {
            println!("# for spec.sink.elasticsearch; fields of JSON are left to the index");
            print!("{text}");
            Exit::Done
        }
        Err(error) => run::findings(&error),
    }
}

/// Prints every finding of file and servers.
pub(super) async fn check(args: &FileArgs) -> Exit {
    let file = match file::load_with(&args.file, &args.set) {
        Ok(file) => file,
        Err(error) => return run::findings(&error),
    };
    let report = pipeline::check(&file.options()).await;
    let exit = print(&report, "the task cannot run");
    if exit == Exit::Done {
        println!("{}: ready to run", file.name());
    }
    exit
}

fn print(report: &Report, verdict: &str) -> Exit {
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    for (_, error) in &report.errors {
        eprintln!("error: {error}");
    }
    if report.errors.is_empty() {
        return Exit::Done;
    }
    eprintln!("{verdict}: {} finding(s)", report.errors.len());
    Exit::Findings
}
