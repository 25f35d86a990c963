//! Runs the program and the server's own client.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::operator::{answered, program};
use e2e::scratch::project;
use e2e::{MysqlServer, Scratch};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The output of a run that must succeed.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }
}

/// `binlog-operator trace ARGS`.
pub(crate) fn trace<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ran {
    trace_from(args, Stdio::null())
}

pub(crate) fn trace_from<S: AsRef<std::ffi::OsStr>>(args: &[S], input: Stdio) -> Ran {
    ran(program().arg("trace").args(args).stdin(input))
}

/// The same with these environment variables.
pub(crate) fn trace_with<S: AsRef<std::ffi::OsStr>>(args: &[S], env: &[(&str, &str)]) -> Ran {
    ran(program().arg("trace").args(args).envs(env.iter().copied()).stdin(Stdio::null()))
}

fn ran(command: &mut Command) -> Ran {
    let output = answered(command);
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Pipes a file into the server's own client, with its defaults; what the client said where it failed.
pub(crate) fn client(server: &MysqlServer, file: &Path) -> Result<(), String> {
    let output = Command::new("bash")
        .arg(project("scripts/mysql.sh"))
        .args(["client", "--no-defaults", "-uroot", "-h127.0.0.1", &format!("-P{}", server.port())])
        .stdin(File::open(file).expect("the file to apply"))
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Applies text with the server's own client; it must succeed.
pub(crate) fn apply(server: &MysqlServer, scratch: &Scratch, name: &str, text: &str) {
    let file = scratch.path().join(name);
    std::fs::write(&file, text).unwrap();
    if let Err(said) = client(server, &file) {
        let at = said
            .split("at line ")
            .nth(1)
            .and_then(|rest| rest.split(':').next()?.trim().parse::<usize>().ok());
        let line = at.and_then(|at| text.lines().nth(at - 1)).unwrap_or_default();
        panic!("{name} cannot be applied: {said}\n{}", line.chars().take(2000).collect::<String>());
    }
}

/// The DDL of a database, as mysqldump writes it.
pub(crate) fn dump(server: &MysqlServer, database: &str, scratch: &Scratch) -> PathBuf {
    let text = server.dump_ddl(database);
    let path = scratch.path().join(format!("{database}.sql"));
    std::fs::write(&path, text).unwrap();
    path
}

/// Every row of every table of a database, byte for byte, with the types of JSON's scalars, and the table's checksum.
pub(crate) async fn fingerprint(conn: &mut Conn, database: &str) -> BTreeMap<String, Vec<String>> {
    let tables: Vec<String> = conn
        .query(format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}' AND TABLE_TYPE = 'BASE TABLE'"
        ))
        .await
        .unwrap();
    let mut all = BTreeMap::new();
    let schema = database.replace('`', "``");
    for table in tables {
        let columns: Vec<(String, String)> = conn
            .exec(
                "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND \
                 TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
                (database, &table),
            )
            .await
            .unwrap();
        let expressions: Vec<String> = columns.iter().map(|(name, kind)| expression(name, kind)).collect();
        let quoted = format!("`{schema}`.`{}`", table.replace('`', "``"));
        let rows: Vec<Row> = conn
            .query(format!("SELECT {} FROM {quoted}", expressions.join(", ")))
            .await
            .unwrap_or_else(|error| panic!("{table}: {error}"));
        let mut lines: Vec<String> = rows.into_iter().map(|row| text(&row.unwrap())).collect();
        lines.sort();
        let virtual_columns: Option<u64> = conn
            .exec_first(
                "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND \
                 EXTRA LIKE '%VIRTUAL GENERATED%'",
                (database, &table),
            )
            .await
            .unwrap();
        if virtual_columns > Some(0) {
            // the server's checksum of them changes from call to call (measured on 9.7, with a multi-valued index)
            all.insert(table, lines);
            continue;
        }
        let checksum: Option<Row> = conn.query_first(format!("CHECKSUM TABLE {quoted}")).await.unwrap();
        lines.push(format!("checksum {:?}", checksum.unwrap().get::<Option<u64>, _>(1).unwrap()));
        all.insert(table, lines);
    }
    all
}

fn expression(name: &str, kind: &str) -> String {
    let name = format!("`{}`", name.replace('`', "``"));
    match kind {
        "json" => format!(
            "CONCAT_WS('|', {name}, JSON_TYPE({name}), (SELECT GROUP_CONCAT(JSON_TYPE(v)) FROM JSON_TABLE({name}, \
             '$.*' COLUMNS (v JSON PATH '$')) x), (SELECT GROUP_CONCAT(JSON_TYPE(v)) FROM JSON_TABLE({name}, '$[*]' \
             COLUMNS (v JSON PATH '$')) x))"
        ),
        "double" | "float" => {
            format!("CONCAT({name}, IF({name} = 0 AND CONCAT({name}) LIKE '-%', 'negative', ''))")
        }
        _ => format!("HEX({name})"),
    }
}

fn text(values: &[Value]) -> String {
    values.iter().map(|value| value.as_sql(true)).collect::<Vec<_>>().join(" ")
}

/// What differs between two fingerprints, by table.
pub(crate) fn differences(
    expected: &BTreeMap<String, Vec<String>>,
    found: &BTreeMap<String, Vec<String>>,
    except: &[&str],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (table, rows) in expected {
        let other = &found[table];
        if rows != other && !except.contains(&table.as_str()) {
            let only = |a: &[String], b: &[String]| {
                let rows: Vec<String> = a
                    .iter()
                    .filter(|row| !b.contains(row))
                    .map(|row| row.chars().take(400).collect())
                    .collect();
                rows.join("\n    ")
            };
            wrong.push(format!("{table}\n  - {}\n  + {}", only(rows, other), only(other, rows)));
        }
    }
    wrong
}

/// A file as this program packs it, beside it.
pub fn packed(program: &[&str], file: &Path, end: &str) -> PathBuf {
    let path = PathBuf::from(format!("{}{end}", file.display()));
    let status = Command::new(program[0])
        .args(&program[1..])
        .arg(file)
        .stdout(File::create(&path).unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    path
}
