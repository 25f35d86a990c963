//! Holds the house together: which room may use which, where outside crates live, how long a file may be.
//! The table is the one of docs/architecture.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests, and their helpers"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// The rooms by rank. A room uses lower ranks only, never its siblings.
const RANKS: [(&str, u8); 14] = [
    ("model", 0),
    ("metrics", 0),
    ("api", 1),
    ("binlog", 2),
    ("mapping", 2),
    ("source", 2),
    ("document", 2),
    ("sink", 2),
    ("pipeline", 3),
    ("trace", 3),
    ("lease", 4),
    ("controller", 5),
    ("cli", 6),
    ("main", 7),
];

/// Outside crates that only some rooms may use.
const CRATES: [(&str, &[&str]); 16] = [
    ("mysql_async", &["source"]),
    ("mysql_common", &["binlog"]),
    ("num_bigint", &["binlog"]),
    ("tokio_rustls", &["binlog"]),
    ("sqlparser", &["mapping"]),
    ("reqwest", &["sink", "trace"]),
    // binlog, sink and main name rustls' provider, which is called so too
    ("ring", &["trace", "binlog", "sink", "main"]),
    ("roxmltree", &["trace"]),
    ("kube", &["api", "lease", "controller"]),
    ("k8s_openapi", &["api", "lease", "controller"]),
    ("schemars", &["api"]),
    ("prometheus", &["metrics"]),
    ("clap", &["cli"]),
    ("axum", &["cli"]),
    ("indicatif", &["cli"]),
    ("tracing_subscriber", &["cli"]),
];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "manager"];

const MAX_LINES: usize = 600;

static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(^|[^:])//.*").unwrap());
static MODULE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bmod\s+(\w+)").unwrap());
static ROOM: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[^\w$])(?:crate|binlog_operator)::\s*(\w+|\{)").unwrap());
static USES: LazyLock<Vec<(Regex, &str, &[&str])>> = LazyLock::new(|| {
    let uses =
        |name| Regex::new(&format!(r"\b{name}::|\buse\s+{name}\b|\bextern\s+crate\s+{name}\b")).unwrap();
    CRATES.iter().map(|(name, rooms)| (uses(name), *name, *rooms)).collect()
});

fn rank(room: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

/// A file's code without its comments.
fn code(text: &str) -> String {
    text.lines().map(|line| COMMENT.replace(line, "$1").into_owned() + "\n").collect()
}

/// The rooms that a file names: `crate::room`, `crate::{room, room::x}`, `binlog_operator::room`.
fn used_rooms(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for found in ROOM.captures_iter(code) {
        let first = found.get(1).unwrap();
        if first.as_str() != "{" {
            rooms.push(first.as_str().to_owned());
            continue;
        }
        let (mut depth, mut name) = (1, String::new());
        for c in code[first.end()..].chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if depth > 1 => continue,
                ',' => rooms.push(std::mem::take(&mut name)),
                c => name.push(c),
            }
            if depth == 0 {
                break;
            }
        }
        rooms.push(name);
    }
    let first = |path: &String| path.trim().split("::").next().unwrap_or_default().trim().to_owned();
    rooms.iter().map(first).filter(|room| rank(room).is_some()).collect()
}

/// What is wrong with a file of a room.
fn violations(room: &str, file: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    let Some(own) = rank(room) else {
        return vec![format!("{file}: room {room} is not in the table of tests/rooms.rs")];
    };
    for used in used_rooms(&code) {
        if used != room && rank(&used).is_none_or(|rank| rank >= own) {
            found.push(format!("{file}: {room} (rank {own}) uses {used} (rank {:?})", rank(&used)));
        }
    }
    for (uses, name, rooms) in USES.iter() {
        if !rooms.contains(&room) && uses.is_match(&code) {
            found.push(format!("{file}: {name} belongs into {}", rooms.join(", ")));
        }
    }
    let stem = Path::new(file).file_stem().unwrap().to_str().unwrap().to_owned();
    let modules = MODULE.captures_iter(&code).map(|c| c[1].to_owned());
    for name in modules.chain([stem]).filter(|name| EMPTY_NAMES.contains(&name.as_str())) {
        found.push(format!("{file}: a module called {name} says nothing; name it after what it holds"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{file}: {lines} lines, the stop is {MAX_LINES}; split it by what it does"));
    }
    if file.ends_with("/mod.rs") && !text.starts_with("//!") {
        found.push(format!("{file}: must open with //! (what comes in, what goes out, what may fail)"));
    }
    found.extend(ignored_tests(file, &code));
    found
}

fn ignored_tests(file: &str, code: &str) -> Option<String> {
    let ignored = code.lines().any(|line| line.trim_start().starts_with("#[ignore"));
    ignored.then(|| format!("{file}: a test that is ignored tests nothing"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `src/api/sink.rs` lies in `api`, `src/main.rs` in `main`.
fn room_of(relative: &Path) -> String {
    let first = relative.iter().nth(1).unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut seen) = (Vec::new(), 0);
    for path in rust_files(&root.join("src")) {
        let relative = path.strip_prefix(root).unwrap();
        let (room, text) = (room_of(relative), fs::read_to_string(&path).unwrap());
        seen += 1;
        if room != "lib" {
            found.extend(violations(&room, relative.to_str().unwrap(), &text));
        }
    }
    for folder in ["tests", "e2e"] {
        for path in rust_files(&root.join(folder)) {
            let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.extend(ignored_tests(&file, &code(&fs::read_to_string(&path).unwrap())));
        }
    }
    assert!(seen > 20, "only {seen} files seen");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_planted_violation_is_found() {
    let ok = "//! Room.\n";
    for (room, file, text, expected) in [
        ("source", "src/source/a.rs", "use crate::sink::Bulk;", "source (rank 2) uses sink"),
        ("model", "src/model/a.rs", "fn f() { crate::api::check() }", "model (rank 0) uses api"),
        ("model", "src/model/a.rs", "use crate::metrics::Metrics;", "model (rank 0) uses metrics"),
        ("api", "src/api/a.rs", "use crate::{model::{Key, a}, pipeline::X};", "api (rank 1) uses pipeline"),
        ("api", "src/api/a.rs", "use crate::{\n    model,\n    cli,\n};", "api (rank 1) uses cli"),
        ("pipeline", "src/pipeline/a.rs", "use binlog_operator::cli::x;", "pipeline (rank 3) uses cli"),
        ("pipeline", "src/pipeline/a.rs", "fn f(pool: mysql_async::Pool) {}", "mysql_async belongs into"),
        ("sink", "src/sink/a.rs", "use kube::Api;", "kube belongs into"),
        ("cli", "src/cli/a.rs", "use reqwest;", "reqwest belongs into"),
        ("cli", "src/cli/a.rs", "mod utils;", "called utils"),
        ("cli", "src/cli/common.rs", "", "called common"),
        ("cli", "src/cli/mod.rs", "mod args;", "must open with //!"),
        ("sink", "src/sink/a.rs", "#[test]\n    #[ignore = \"slow\"]\nfn a() {}", "a test that is ignored"),
        ("attic", "src/attic/mod.rs", ok, "attic is not in the table"),
        ("sink", "src/sink/a.rs", &"\n".repeat(601), "601 lines"),
    ] {
        let found = violations(room, file, text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    for (room, text) in [
        ("pipeline", "//! Uses [`crate::cli`].\nuse crate::{model::Key, sink, source::x};\n"),
        ("source", "//! Room.\nuse crate::source::pool;\nuse mysql_async::Pool; // not crate::sink\n"),
        ("api", "//! Room.\npub(crate) fn f() -> &'static str { \"https://crate\" }\nuse super::sink;\n"),
        ("main", "//! Room.\nfn main() { binlog_operator::cli::main() }\n"),
    ] {
        assert_eq!(violations(room, "src/x/mod.rs", text), Vec::<String>::new(), "{text}");
    }
}
