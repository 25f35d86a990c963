//! What the docs show is true: tasks load, links lead somewhere, no machine's paths.
#![allow(clippy::unwrap_used, clippy::string_slice, reason = "tests, and their helpers")]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [root().to_owned(), root().join("docs"), root().join("docs/adr")] {
        let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        found.extend(files.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    found.sort();
    found
}

#[test]
fn tasks_in_the_docs_load() {
    let block = Regex::new(r"(?s)```yaml\n(.*?)```").unwrap();
    let mut seen = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for yaml in block.captures_iter(&text).filter(|b| b[1].contains("kind: SyncTask")) {
            let name = path.display().to_string();
            binlog_operator::cli::read(&name, &yaml[1]).map_err(|e| e.to_string()).unwrap();
            seen += 1;
        }
    }
    assert!(seen > 0, "the README has lost its task");
}

#[test]
fn examples_load() {
    let folder = root().join("manifests/examples");
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            binlog_operator::cli::load(&path).map_err(|e| e.to_string()).unwrap();
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#]+)[^)]*\)").unwrap();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for target in link.captures_iter(&text).map(|c| c[1].to_owned()).filter(|t| !t.starts_with("http")) {
            assert!(path.parent().unwrap().join(&target).exists(), "{}: {target}", path.display());
        }
    }
}

#[test]
fn every_decision_is_numbered_dated_and_settled() {
    let mut numbers = Vec::new();
    for path in documents().iter().filter(|p| p.parent().is_some_and(|f| f.ends_with("adr"))) {
        let (name, text) = (path.file_name().unwrap().to_str().unwrap(), fs::read_to_string(path).unwrap());
        let number: usize = name[..4].parse().unwrap();
        assert!(text.starts_with(&format!("# {number}. ")) && text.contains("Status: "), "{name}");
        numbers.push(number);
    }
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}
