//! The CRDs in `crds/`, and the chart's copies, are what the types say. `UPDATE=1 cargo test --test crds` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests, and their helpers"
)]

use std::path::Path;

#[test]
fn committed_crds_are_what_the_types_say() {
    for folder in ["crds", "charts/binlog-operator/crd"] {
        compare(folder);
    }
}

fn compare(folder: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = binlog_operator::cli::crd_files().unwrap();
    assert_eq!(files.len(), 2);
    for (name, text) in &files {
        let path = path.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == *text, "{folder}/{name} differs from the types: make manifests");
    }
    let there = std::fs::read_dir(&path).unwrap().count();
    assert_eq!(there, files.len(), "{folder} holds a file that no type stands behind");
}

/// What an API server would refuse or that would surprise: floats as bounds, a schema without a type, numbers
/// written as maps.
#[test]
fn crds_are_what_an_api_server_takes() {
    for (name, text) in binlog_operator::cli::crd_files().unwrap() {
        assert!(!text.contains("$serde_json") && !text.contains("format: uint"), "{name}");
        assert!(!text.contains("additionalProperties: false"), "{name}");
        for line in text.lines().filter(|l| l.contains("minimum:") || l.contains("maximum:")) {
            assert!(!line.contains('.'), "{name}: {line}");
        }
    }
}
