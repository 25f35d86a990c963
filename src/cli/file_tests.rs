//! Good and bad files.

#![allow(clippy::too_many_lines)] // tables of cases

use super::*;
use crate::api::{KeyText, Selected, SinkCredentials};

const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: shop-mysql}
stringData: {username: sync, password: planted-pw}
";

const TASK: &str = r#"apiVersion: binlog-operator.io/v1alpha1
kind: SyncTask
metadata: {name: orders}
spec:
  state: Running                # Running | Paused | Stopped
  source:
    host: 127.0.0.1
    port: 3306
    credentials: {secretRef: {name: shop-mysql}}
  query:
    sql: |
      SELECT o.id, u.name AS customer
        FROM shop.orders o JOIN shop.users u ON u.id = o.user_id
       WHERE o.id IN (:ids)
    key: id
  sink:
    elasticsearch:
      addresses: ["http://127.0.0.1:9200"]
      index: orders
  initialSync: Full             # Full | None
"#;

const REINDEX: &str = "apiVersion: binlog-operator.io/v1alpha1
kind: Reindex
metadata: {name: orders-1000-5000}
spec:
  taskRef: {name: orders}
  selection: {range: {min: 1000, max: 5000}}
  pageSize: 1000
";

fn findings(documents: &[&str]) -> Vec<String> {
    match read("orders.yaml", &documents.join("---\n")) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn the_file_of_the_readme() {
    let file = read("orders.yaml", &[SECRET, TASK, REINDEX].join("---\n")).unwrap();
    assert_eq!(file.task.metadata.name.as_deref(), Some("orders"));
    assert_eq!(file.task.spec.query.key_columns(), ["id"]);
    let (min, max) = (KeyText::from(1000), KeyText::from(5000));
    assert_eq!(
        file.reindexes[0].spec.selection.selected(),
        Selected::Range { min: Some(&min), max: Some(&max) }
    );
    assert_eq!(
        (file.credentials.username.as_str(), file.credentials.password.expose()),
        ("sync", "planted-pw")
    );
    assert!(!format!("{file:?}").contains("planted"));
}

#[test]
fn secrets_in_base64_and_login_at_the_sink() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: shop-mysql}\ntype: Opaque\n\
        data: {username: c3luYw==, password: eA==}\nstringData: {password: y}\n";
    let task = TASK.replace(
        "      index: orders\n",
        "      index: orders\n      auth: {basic: {secretRef: {name: shop-mysql}}}\n",
    );
    let file = read("f", &[secret, &task].join("---\n")).unwrap();
    let basic = SinkCredentials::Basic { username: "sync".into(), password: Hidden::new("y") };
    assert_eq!(file.credentials.sink, Some(basic));
}

#[test]
fn every_finding_names_line_document_object_field_and_remedy() {
    let task = TASK.replace("host:", "hots:").replace("port: 3306", "port: 99999");
    let found = findings(&[SECRET, &task, REINDEX]);
    let at = "orders.yaml:12: document 2, SyncTask \"orders\": spec.source.hots: unknown field; did you mean \"host\"?";
    assert!(found.contains(&at.to_owned()), "{found:#?}");
    assert!(
        found[0].starts_with(
            "orders.yaml:11: document 2, SyncTask \"orders\": spec.source.host: missing; add it"
        )
    );
    assert!(found[2].starts_with("orders.yaml:13:") && found[2].contains("must be between 1 and 65535"));
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn files_that_are_refused() {
    let two = TASK.replace("name: orders}", "name: books}");
    let elsewhere = REINDEX.replace("{name: orders}", "{name: books}");
    let double = REINDEX.replace("max: 5000}", "max: 5000}, ids: [1]");
    let namespace = REINDEX.replace("5000}\nspec", "5000, namespace: other}\nspec");
    let no_key = SECRET.replace("username: sync, ", "");
    let number = SECRET.replace("planted-pw", "1234567");
    let base64 = SECRET.replace("stringData", "data");
    let colon = SECRET.replace("password: ", "password:");
    for (documents, expected) in [
        (vec![""], "orders.yaml: there is no SyncTask in it; add one"),
        (vec!["# nothing\n"], "orders.yaml: there is no SyncTask in it; add one"),
        (vec![SECRET], "orders.yaml: there is no SyncTask in it; add one"),
        (vec!["a: [\n"], "orders.yaml:1: no YAML: unclosed bracket"),
        (vec!["- a\n"], "orders.yaml:1: document 1: no object; write apiVersion"),
        (
            vec!["kind: Pod\n"],
            "orders.yaml:1: document 1, Pod: kind: unknown kind \"Pod\"; use Secret, SyncTask",
        ),
        (vec!["kind: Secret\n"], "orders.yaml:1: document 1, Secret: apiVersion: found \"\"; write v1"),
        (
            vec![SECRET, TASK, &two],
            "orders.yaml:27: document 3, SyncTask \"books\": there is already SyncTask",
        ),
        (
            vec![SECRET, TASK, SECRET],
            "orders.yaml:29: document 3, Secret \"shop-mysql\": metadata.name: there is",
        ),
        (
            vec![TASK],
            "orders.yaml:9: document 1, SyncTask \"orders\": spec.source.credentials.secretRef.name: there",
        ),
        (
            vec![&no_key, TASK],
            "orders.yaml:14: document 2, SyncTask \"orders\": spec.source.credentials.secretRef: S",
        ),
        (
            vec![&number, TASK],
            "orders.yaml:4: document 1, Secret \"shop-mysql\": stringData.password: expected a te",
        ),
        (
            vec![&base64, TASK],
            "orders.yaml:4: document 1, Secret \"shop-mysql\": data.password: not base64; encode",
        ),
        (
            vec![&colon, TASK],
            "orders.yaml:4: document 1, Secret \"shop-mysql\": stringData: a key has no value; write key: value",
        ),
        (
            vec![SECRET, TASK, &elsewhere],
            "orders.yaml:31: document 3, Reindex \"orders-1000-5000\": spec.taskRef.n",
        ),
        (
            vec![SECRET, TASK, &double],
            "orders.yaml:32: document 3, Reindex \"orders-1000-5000\": spec.selection: fou",
        ),
        (
            vec![SECRET, TASK, &namespace],
            "orders.yaml:29: document 3, Reindex \"orders-1000-5000\": metadata.names",
        ),
    ] {
        let found = findings(&documents);
        assert!(found.iter().any(|f| f.starts_with(expected)), "{expected}\n{found:#?}");
        assert!(!found.concat().contains("planted") && !found.concat().contains("1234567"), "{found:#?}");
    }
    for (from, to, expected) in [
        (
            "metadata: {name: orders}",
            "metadata: {name: Orders}",
            "metadata.name: found \"Orders\"; give a name",
        ),
        ("metadata: {name: orders}", "metadata: {}", "metadata.name: missing; give a name"),
        ("spec:", "spek: 1\nspec:", "spek: unknown field; remove it (known here: apiVersion"),
        ("v1alpha1", "v1", "apiVersion: found \"binlog-operator.io/v1\"; write binlog-operator.io/v1alpha1"),
        ("IN (:ids)", "= 5", "spec.query.sql: no placeholder for the ids"),
    ] {
        let found = findings(&[SECRET, &TASK.replace(from, to)]);
        assert!(found.iter().any(|f| f.contains(expected)), "{expected}\n{found:#?}");
    }
    let missing = load(Path::new("no/such.yaml")).unwrap_err().to_string();
    assert!(missing.starts_with("no/such.yaml: cannot be read: "), "{missing}");
}

proptest::proptest! {
    /// Whatever is damaged in a file: findings, not a panic, and no Secret in them.
    #[test]
    fn damage_is_found_and_never_panics(at in 0..1_000_usize, cut in 0..40_usize, put in "\\PC{0,6}") {
        let text = [SECRET, TASK, REINDEX].join("---\n");
        let kept = |from: usize, to: usize| text.chars().skip(from).take(to.saturating_sub(from)).collect::<String>();
        let from = at % text.len();
        let damaged = kept(0, from) + &put + &kept(from + cut, text.len());
        if let Err(error) = read("f", &damaged) {
            assert!(!error.findings.is_empty() && !error.to_string().contains("planted"), "{error}");
        }
    }
}
