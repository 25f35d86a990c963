//! `write: Upsert`: several tasks, and an application, fill one document; each has its own fields.

use std::collections::BTreeMap;

use super::rig::{PATIENCE, new_index, run, statements};
use e2e::checker::Expected;
use e2e::shared::name;
use e2e::shop::grant_sync;
use e2e::{Checker, Kind, Operator, Scratch, Search, TaskFile, shared};
use mysql_async::Opts;
use serde_json::json;

const SETUP: &[&str] = &[
    "CREATE TABLE {db}.books (id INT PRIMARY KEY, title VARCHAR(40))",
    "CREATE TABLE {db}.loans (id INT PRIMARY KEY, book_id INT, due INT, KEY (book_id))",
    "CREATE TABLE {db}.prices (book_id INT PRIMARY KEY, net DECIMAL(10,2), gross DECIMAL(10,2))",
    "INSERT INTO {db}.books WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300)
       SELECT n, CONCAT('book ', n) FROM r",
    "INSERT INTO {db}.loans SELECT id, 1 + id % 100, id FROM {db}.books",
    "INSERT INTO {db}.prices SELECT id + 100, id, id * 1.19 FROM {db}.books",
];

/// Two tasks on one index.
struct Two {
    db: String,
    opts: Opts,
    index: String,
    search: Search,
    checkers: [Checker; 2],
    operators: [Operator; 2],
    _scratch: Scratch,
}

impl Two {
    async fn start() -> Self {
        let (mysql, elastic) = (shared::mysql().await, shared::elastic().await);
        let db = name("upsert");
        run(&mysql.opts(), &[format!("CREATE DATABASE `{db}`")], &db).await;
        run(&mysql.opts(), &statements(SETUP), &db).await;
        grant_sync(&mysql.opts(), &db).await;
        let index = new_index(&db, 2).await;
        let loans = "SELECT b.id, b.title, (SELECT COUNT(*) FROM {db}.loans l WHERE l.book_id = b.id) AS loans FROM {db}.books b WHERE b.id IN (:ids)";
        let prices = "SELECT p.book_id AS id, p.net AS `price.net`, p.gross AS `price.gross` FROM {db}.prices p WHERE p.book_id IN (:ids)";
        let scratch = Scratch::new("upsert");
        let operator = |number: usize, sql: &str| {
            let task = format!("{}-{number}", db.to_lowercase().replace('_', "-"));
            let file = TaskFile::new(&task, mysql.port(), &elastic.url(), &sql.replace("{db}", &db), &index);
            let file = file.set("sink.shared", true).set("sink.elasticsearch.write", "Upsert");
            let file = file.set("transforms", json!([{"nest": {}}]));
            let folder = scratch.path().join(number.to_string());
            std::fs::create_dir_all(&folder).unwrap();
            Operator::start(&file.write(&folder), &folder.join("state"), &[])
        };
        let checkers = [
            Checker::new(
                format!(
                    "SELECT CAST(b.id AS CHAR), b.id, b.title, (SELECT COUNT(*) FROM {db}.loans l WHERE l.book_id = b.id) AS loans FROM {db}.books b"
                ),
                &[Kind::Number, Kind::Text, Kind::Number],
            ),
            Checker::new(
                format!(
                    "SELECT CAST(book_id AS CHAR), book_id AS id, CONCAT('{{\"net\":', net, ',\"gross\":', gross, '}}') AS price FROM {db}.prices"
                ),
                &[Kind::Number, Kind::Json],
            ),
        ];
        let operators = [operator(0, loans), operator(1, prices)];
        let (opts, search) = (mysql.opts(), elastic.search());
        Self { db, opts, index, search, checkers, operators, _scratch: scratch }
    }

    /// The fields of both, and of an application.
    async fn expected(&self, application: &Expected) -> Result<Expected, String> {
        let mut all = Expected::new();
        for checker in &self.checkers {
            for (id, fields) in checker.expected(&self.opts).await? {
                all.entry(id).or_default().extend(fields);
            }
        }
        for (id, fields) in application {
            all.entry(id.clone()).or_default().extend(fields.clone());
        }
        Ok(all)
    }

    async fn equal(&self, application: &Expected, after: &str) {
        let condition = async || {
            let expected = self.expected(application).await?;
            let found = self.search.docs(&self.index).await?;
            let compared = self.checkers[0].compare(&expected, &found);
            for operator in &self.operators {
                let page = operator.get("/readyz").await?;
                if page.status != 200 || !page.body.lines().any(|line| line.starts_with("CaughtUp=True")) {
                    return Err(format!("{compared:?}\n{}", page.body));
                }
            }
            compared
        };
        self.operators[0].wait_until(&format!("equal after {after}"), PATIENCE, condition).await;
    }

    async fn run(&self, statement: &str) {
        run(&self.opts, &[statement], &self.db).await;
    }
}

/// Invariants 1 and 5: two tasks and an application change the same documents all at once; nobody undoes another's
/// fields, and what nobody writes any more is gone.
#[tokio::test]
async fn each_task_writes_its_own_fields() {
    let mut two = Two::start().await;
    two.equal(&Expected::new(), "both builds").await;

    let mut application = Expected::new();
    for id in ["7", "150", "350", "999"] {
        // it knows the key of what is in the tables one day; 999 never is
        let mut fields = json!({"seen": {"by": "Ada"}, "n": 1.50});
        if id != "999" {
            fields["id"] = json!(id.parse::<u32>().unwrap());
        }
        let body = json!({"doc": fields, "doc_as_upsert": true});
        let _ = two.search.post(&format!("/{}/_update/{id}", two.index), &body).await.ok();
        application.insert(id.to_owned(), fields.as_object().unwrap().clone());
    }
    for change in [
        "UPDATE {db}.books SET title = CONCAT(title, '!') WHERE id % 2 = 0",
        "UPDATE {db}.prices SET net = net + 1",
        "DELETE FROM {db}.prices WHERE book_id % 3 = 0",
        "DELETE FROM {db}.books WHERE id % 5 = 0",
        "INSERT INTO {db}.books SELECT id + 300, 'new' FROM {db}.books WHERE id < 150",
    ] {
        two.run(change).await;
        two.equal(&application, change).await;
    }

    // both at once, over and over, with one of them killed in between
    for round in 0..6 {
        let (a, b) = (round * 37 % 300, round * 53 % 300);
        let books = format!("UPDATE {{db}}.books SET title = 'round {round}' WHERE id > {a}");
        let prices = format!("UPDATE {{db}}.prices SET gross = {round} WHERE book_id > {b}");
        let both = [books.as_str(), prices.as_str()].map(|statement| two.run(statement));
        futures_util::future::join_all(both).await;
        if round == 3 {
            two.operators[1].kill9();
            two.operators[1].boot();
        }
    }
    two.run("DELETE FROM {db}.books WHERE id > 290").await;
    two.equal(&application, "both at once").await;

    two.run("DELETE FROM {db}.prices").await;
    two.run("DELETE FROM {db}.books").await;
    two.equal(&application, "nothing left but the application's").await;
    let left: BTreeMap<_, _> = two.search.docs(&two.index).await.unwrap();
    assert_eq!(left.len(), application.len());
}
