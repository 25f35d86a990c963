//! The cases: what is wrong, and the words by which field, finding and remedy are known.

use super::ground::{Ground, PASSWORD, Server, WRONG};
use e2e::TaskFile;
use serde_json::{Value, json};

/// What `run` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It ends at once: the file itself is wrong.
    Refused,
    /// It waits for somebody to help, and is not ready.
    Waits,
}

/// A bad file, or a good one for a server that does not fit.
pub struct Case {
    /// Its name, and the task's.
    pub name: &'static str,
    /// What to do to a good file. The number is a port where every connection is closed at once.
    pub make: fn(TaskFile, &Ground, u16) -> String,
    /// Field, finding, remedy.
    pub words: &'static [&'static str],
    /// What `run` does.
    pub run: Run,
    /// The server that does not fit.
    pub server: Server,
}

const fn refused(
    name: &'static str,
    make: fn(TaskFile, &Ground, u16) -> String,
    words: &'static [&'static str],
) -> Case {
    Case { name, make, words, run: Run::Refused, server: Server::Good }
}

const fn waits(
    name: &'static str,
    make: fn(TaskFile, &Ground, u16) -> String,
    words: &'static [&'static str],
) -> Case {
    Case { name, make, words, run: Run::Waits, server: Server::Good }
}

/// The file with another query.
fn sql(file: TaskFile, text: &str) -> String {
    file.set("query.sql", text).render()
}

fn index(file: TaskFile, name: &str) -> String {
    file.set("sink.elasticsearch.index", name).render()
}

fn selection(file: TaskFile, selection: &Value) -> String {
    file.reindex("part", selection).render()
}

/// All of them.
pub const CASES: &[Case] = &[
    refused(
        "unknown-field",
        |file, _, _| file.set("source.hots", "127.0.0.1").render(),
        &["SyncTask \"unknown-field\"", "spec.source.hots: unknown field", "did you mean \"host\"?"],
    ),
    refused(
        "wrong-type",
        |file, _, _| file.set("source.port", "many").render(),
        &["spec.source.port: found the text \"many\"", "write the number"],
    ),
    refused(
        "missing-field",
        |file, _, _| file.set("source.host", Value::Null).render(),
        &["spec.source.host", "missing"],
    ),
    refused(
        "two-selections",
        |file, _, _| selection(file, &json!({"ids": [1], "where": "id > 1"})),
        &["Reindex \"part\"", "spec.selection: found where and ids", "give one of"],
    ),
    refused(
        "empty-range",
        |file, _, _| selection(file, &json!({"range": {"min": 5, "max": 5}})),
        &["spec.selection.range: found min 5 and max 5", "min must be below max"],
    ),
    refused(
        "no-placeholder",
        |file, _, _| sql(file, "SELECT o.id, o.note FROM bad.orders o"),
        &["spec.query.sql: no placeholder for the ids", "IN (:ids)"],
    ),
    refused(
        "two-keys",
        |file, _, _| file.set("query.keys", json!(["id", "note"])).render(),
        &["spec.query.key: both key and keys are given", "give key"],
    ),
    refused(
        "missing-secret",
        |file, _, _| file.render().replacen("name: \"missing-secret-mysql\"", "name: \"other\"", 1),
        &[
            "spec.source.credentials.secretRef.name: there is no Secret \"missing-secret-mysql\"",
            "add a Secret",
        ],
    ),
    refused(
        "missing-secret-key",
        |file, _, _| file.render().replace("  password: ", "  passwort: "),
        &["spec.source.credentials.secretRef", "has no key \"password\"", "add \"password\" to stringData"],
    ),
    refused(
        "secret-without-map",
        |file, _, _| file.render().replace("stringData:\n", &format!("stringData: {PASSWORD}\nx:\n")),
        &["stringData: expected a map of texts", "write key: value lines"],
    ),
    refused(
        "password-in-address",
        |file, _, _| {
            let address = format!("http://elastic:{PASSWORD}@127.0.0.1:9200");
            file.set("sink.elasticsearch.addresses", json!([address])).render()
        },
        &["spec.sink.elasticsearch.addresses[0]", "put the login into a Secret"],
    ),
    refused(
        "wrong-kind",
        |file, _, _| file.render().replace("\"SyncTask\"", "\"SyncTsak\""),
        &["kind: unknown kind \"SyncTsak\"", "use Secret, SyncTask or Reindex"],
    ),
    refused(
        "wrong-version",
        |file, _, _| file.render().replace("v1alpha1", "v2"),
        &["apiVersion: found \"binlog-operator.io/v2\"", "write binlog-operator.io/v1alpha1"],
    ),
    refused(
        "other-task",
        |file, _, _| {
            file.reindex("part", &Value::Null)
                .render()
                .replace("taskRef:\n    name: \"other-task\"", "taskRef:\n    name: \"another\"")
        },
        &["Reindex \"part\"", "spec.taskRef.name: found \"another\"", "write \"other-task\""],
    ),
    refused("empty-file", |_, _, _| String::new(), &["task.yaml", "there is no SyncTask", "add one"]),
    refused(
        "broken-yaml",
        |file, _, _| {
            file.render().replace(&format!("password: \"{PASSWORD}\""), &format!("password: [\"{PASSWORD}\""))
        },
        &["task.yaml:", "no YAML", "correct the notation"],
    ),
    refused(
        "two-tasks",
        |file, _, _| {
            let text = file.render();
            let (_, task) = text.split_once("---\n").unwrap_or_default();
            format!("{text}---\n{}", task.replace("\"two-tasks\"", "\"second\""))
        },
        &[
            "document 3, SyncTask \"second\"",
            "there is already SyncTask \"two-tasks\"",
            "one file and one process per task",
        ],
    ),
    refused(
        "upper-case-index",
        |file, _, _| index(file, "Bad-Index"),
        &["spec.sink.elasticsearch.index", "use lower case"],
    ),
    waits(
        "no-path",
        |file, _, _| {
            sql(
                file,
                "SELECT o.id, (SELECT COUNT(*) FROM bad.lonely l) AS n FROM bad.orders o WHERE o.id IN (:ids)",
            )
        },
        &["spec.query", "no path from bad.lonely", "mapping.tables", "all: true"],
    ),
    waits(
        "limit",
        |file, _, _| sql(file, "SELECT o.id FROM bad.orders o WHERE o.id IN (:ids) LIMIT 10"),
        &["query.sql is not separable by key", "LIMIT", "; "],
    ),
    waits(
        "aggregate",
        |file, _, _| sql(file, "SELECT o.id, COUNT(*) AS n FROM bad.orders o WHERE o.id IN (:ids)"),
        &["query.sql is not separable by key", "aggregate without GROUP BY", "; "],
    ),
    waits(
        "no-sql",
        |file, _, _| sql(file, "SELECT o.id FORM bad.orders o WHERE o.id IN (:ids)"),
        &["query.sql cannot be read as MySQL", "correct the SQL"],
    ),
    waits(
        "missing-table",
        |file, _, _| sql(file, "SELECT o.id FROM bad.odrers o WHERE o.id IN (:ids)"),
        &["bad.odrers", "no such table", "; "],
    ),
    waits(
        "missing-column",
        |file, _, _| sql(file, "SELECT o.id, o.nope FROM bad.orders o WHERE o.id IN (:ids)"),
        &["query.sql: column", "nope", "; "],
    ),
    waits(
        "no-schema",
        |file, _, _| sql(file, "SELECT o.id FROM orders o WHERE o.id IN (:ids)"),
        &["table orders: it has no schema", "source.database"],
    ),
    waits(
        "view",
        |file, _, _| {
            sql(
                file,
                "SELECT o.id, s.name FROM bad.orders o JOIN bad.shown s ON s.id = o.user_id WHERE o.id IN (:ids)",
            )
        },
        &["bad.shown: it is a view", "; "],
    ),
    waits(
        "other-key",
        |file, _, _| sql(file, "SELECT o.user_id AS id FROM bad.orders o WHERE o.id IN (:ids)"),
        &["query.key id", "is not id, the column that the placeholder filters", "; "],
    ),
    waits(
        "missing-grant",
        |file, _, _| {
            sql(
                file,
                "SELECT o.id, u.name FROM bad.orders o JOIN hidden.users u ON u.id = o.user_id WHERE o.id IN (:ids)",
            )
        },
        &["spec.source: hidden.users", "denied", "GRANT SELECT ON `hidden`.`users`"],
    ),
    waits(
        "no-replication-grant",
        |file, _, _| file.credentials("reader", PASSWORD).render(),
        &[
            "spec.source: REPLICATION SLAVE",
            "GRANT REPLICATION SLAVE ON *.*",
            "GRANT REPLICATION CLIENT ON *.*",
        ],
    ),
    waits(
        "wrong-password",
        |file, _, _| file.credentials("planted", WRONG).render(),
        &["spec.source", "Access denied for user 'planted'", "secretRef"],
    ),
    waits(
        "unreachable-mysql",
        |file, _, dead| file.set("source.port", dead).render(),
        &["spec.source", "no connection to MySQL at 127.0.0.1:", "check that it runs"],
    ),
    Case {
        name: "statement-format",
        make: |file, _, _| file.render(),
        words: &["spec.source: binlog_format: STATEMENT", "SET PERSIST binlog_format = ROW"],
        run: Run::Waits,
        server: Server::Statement,
    },
    waits(
        "unreachable-elasticsearch",
        |file, _, dead| {
            file.set("sink.elasticsearch.addresses", json!([format!("http://127.0.0.1:{dead}")])).render()
        },
        &["spec.sink.elasticsearch.addresses: http://127.0.0.1:", "no answer", "see the logs"],
    ),
    waits(
        "never-created",
        |file, _, _| file.set("sink.elasticsearch.createIndex", "Never").render(),
        &[
            "spec.sink.elasticsearch.index: index bad-never-created is missing and createIndex is Never",
            "create it",
        ],
    ),
    waits(
        "async-translog",
        |file, _, _| index(file, "bad-lazy"),
        &["index.translog.durability: async", "set it to request"],
    ),
    waits(
        "no-tombstones",
        |file, _, _| index(file, "bad-forgetful"),
        &["index.gc_deletes: 0 s", "set it to 1h"],
    ),
    waits(
        "two-indices",
        |file, _, _| index(file, "bad-both"),
        &[
            "spec.sink.elasticsearch.index: bad-both stands for several indices: bad-one, bad-two",
            "name one index",
        ],
    ),
    waits(
        "rival",
        |file, _, _| index(file, "bad-taken"),
        &[
            "spec.sink.elasticsearch.index: index bad-taken belongs to task default/somebody",
            "choose another index",
        ],
    ),
    waits(
        "closed-index",
        |file, _, _| index(file, "bad-closed"),
        &["spec.sink.elasticsearch.index: index bad-closed is closed", "_open"],
    ),
    waits(
        "volatile",
        |file, _, _| sql(file, "SELECT o.id, NOW() AS seen FROM bad.orders o WHERE o.id IN (:ids)"),
        &["query.sql calls `NOW()`", "query.volatile: Allow"],
    ),
    waits(
        "bad-where",
        |file, _, _| selection(file, &json!({"where": "note = "})),
        &["Reindex part: spec.selection", "sql parser error", "write one condition"],
    ),
    waits(
        "where-without-column",
        |file, _, _| selection(file, &json!({"where": "nope = 1"})),
        &["Reindex part: spec.selection.where", "Unknown column 'nope'", "correct the condition"],
    ),
    waits(
        "text-for-a-number",
        |file, _, _| selection(file, &json!({"ids": ["abc"]})),
        &[
            "Reindex part: spec.selection.ids: \"abc\" is no key of bad.orders",
            "write its value, several columns joined by |",
        ],
    ),
];

/// An index that takes no updates.
pub const DATA_STREAM: Case = waits(
    "data-stream",
    |file, _, _| index(file, "bad-flow"),
    &["spec.sink.elasticsearch.index: bad-flow is a data stream", "name an ordinary index"],
);
