//! The page of `trace serve` and the report of `trace stats`, in a real browser. With `E2E_PICTURES=FOLDER` they are
//! photographed, to be looked at.

use std::path::{Path, PathBuf};

use e2e::stage::PATIENCE;
use e2e::{Browser, MysqlServer, Scratch, TracePage, shared, wait_until};
use mysql_async::prelude::Queryable;

use super::trace_rig::{apply, trace};

const HARM: &str = "<img src=x onerror=\"window.hit = 1\"><script>window.hit = 2</script>";

/// A shop of its own on the shared server, in which a row was spoilt between two moments.
struct Ground {
    server: &'static MysqlServer,
    database: String,
    before: String,
    after: String,
}

async fn ground() -> Ground {
    let (server, database) = (shared::mysql().await, shared::name("page"));
    let db = &database;
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!(
                "CREATE TABLE {db}.orders (id INT PRIMARY KEY, state VARCHAR(20), total DECIMAL(10,2), note TEXT, \
                 placed DATETIME(3), customer BIGINT UNSIGNED)"
            ),
            format!("CREATE TABLE {db}.`<b>users</b>` (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(200))"),
            format!(
                "INSERT INTO {db}.orders VALUES (1, 'new', 10.50, NULL, '2026-11-21 14:00:00.125', 7), \
                 (2, 'new', 20.00, '', '2026-11-21 14:01:00', 7), (3, 'new', 30.25, 'leave at the door', NULL, \
                 18446744073709551615), (4, 'new', 1, 'x', NULL, 8)"
            ),
            format!("INSERT INTO {db}.`<b>users</b>` VALUES (7, {:?})", HARM.replace('"', "'")),
            format!("UPDATE {db}.orders SET state = 'paid', total = total + 1 WHERE id IN (1, 4)"),
        ])
        .await;
    let before = now(server).await;
    server
        .run(&[format!(
            "UPDATE {db}.orders SET state = 'lost', note = {:?} WHERE id = 3",
            HARM.replace('"', "'")
        )])
        .await;
    let after = now(server).await;
    server
        .run(&[
            format!("DELETE FROM {db}.orders WHERE id = 2"),
            format!("UPDATE {db}.orders SET state = 'sent' WHERE id = 4"),
            format!("ALTER TABLE {db}.orders ADD extra INT"),
        ])
        .await;
    server.flush_logs().await;
    Ground { server, database, before, after }
}

/// A moment by the server's clock, between what came before and what comes after.
async fn now(server: &MysqlServer) -> String {
    let moment: Option<String> =
        server.conn().await.query_first("SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)").await.unwrap();
    moment.unwrap()
}

impl Ground {
    async fn page(&self) -> TracePage {
        let url = format!("mysql://root@127.0.0.1:{}/", self.server.port());
        let files: Vec<String> =
            self.server.binlogs().await.iter().map(|file| file.display().to_string()).collect();
        let flags = ["--database", &self.database, "--schema-from", &url];
        let files = files.iter().map(String::as_str);
        TracePage::start(&flags.into_iter().chain(files).collect::<Vec<_>>()).await
    }

    async fn row(&self, id: u32) -> Option<(String, String, Option<String>)> {
        let sql =
            format!("SELECT state, CAST(total AS CHAR), note FROM {}.orders WHERE id = {id}", self.database);
        self.server.conn().await.query_first(sql).await.unwrap()
    }
}

async fn picture(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("E2E_PICTURES") {
        for (width, dark) in [(1280, false), (1280, true), (800, false), (800, true)] {
            browser.look(width, 900, dark).await;
            let scheme = if dark { "dark" } else { "light" };
            browser.picture(&Path::new(&folder).join(format!("{name}-{width}-{scheme}.png"))).await;
        }
        browser.look(1280, 900, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_found_seen_and_taken_back() {
    let (ground, browser) = (ground().await, Browser::start().await);
    let (page, db) = (ground.page().await, &ground.database);
    let scratch = Scratch::new("page");
    browser.open(page.url()).await;
    browser.wait("document.querySelectorAll('#changes .tx').length > 5").await;
    browser.wait("document.querySelectorAll('#chart rect.i, #chart rect.u, #chart rect.d').length > 1").await;
    browser.wait("document.querySelectorAll('#tables li').length === 2").await;
    harmless(&browser).await;
    picture(&browser, "overview").await;

    // a table, a span, a row
    browser.click(&format!("#tables input[value='{db}.orders']")).await;
    browser.wait("[...document.querySelectorAll('.change')].every((c) => c.dataset.table.endsWith('.orders') || c.dataset.event === 'statement')").await;
    browser.fill("#start-time", &ground.before).await;
    browser.fill("#stop-time", &format!("{}\u{e007}", ground.after)).await;
    browser.wait("document.querySelectorAll('.change').length === 1").await;
    browser.fill("#where", &format!("{db}.orders.id = 3\u{e007}")).await;
    browser.wait("location.hash.includes('where') && !document.querySelector('.busy')").await;
    browser.wait("document.querySelector('.change td.old').textContent === 'new'").await;
    browser.wait("document.querySelector('.change td.new').textContent === 'lost'").await;
    browser.click(".change > button").await;
    browser.wait("document.querySelector('.change').textContent.includes('18446744073709551615')").await;
    harmless(&browser).await;
    picture(&browser, "change").await;

    // what takes it back does so
    assert_eq!(ground.row(3).await.unwrap().0, "lost");
    browser.click(".change [data-copy=rollback]").await;
    browser.wait("document.querySelector('.change .panel .sql')").await;
    picture(&browser, "rollback").await;
    let sql = browser.run("return document.querySelector('.change .panel .sql').textContent").await;
    let sql = sql.as_str().unwrap();
    assert_eq!(sql.matches("UPDATE `").count(), 1, "{sql}");
    apply(ground.server, &scratch, "undo.sql", sql);
    let back = ("new".to_owned(), "30.25".to_owned(), Some("leave at the door".to_owned()));
    assert_eq!(ground.row(3).await, Some(back));

    // a change of several transactions by a download
    browser.download_to(scratch.path()).await;
    browser.click("#clear").await;
    browser.wait("document.querySelectorAll('#changes .tx').length > 5").await;
    browser.fill("#where", &format!("{db}.orders.id = 4\u{e007}")).await;
    browser.wait("document.querySelectorAll('.change:not([data-event=statement])').length === 3").await;
    browser.click("label.kind input[value=update]").await;
    browser.wait("document.querySelectorAll('.change').length === 2").await;
    browser.click("#all-rollback").await;
    let file = scratch.path().join("rollback.sql");
    let undo = wait_until("the download", PATIENCE, async || {
        std::fs::read_to_string(&file).map_err(|e| e.to_string())
    })
    .await;
    assert_eq!(undo.matches("-- undo ").count(), 2, "{undo}");
    apply(ground.server, &scratch, "undo4.sql", &undo);
    assert_eq!(ground.row(4).await, Some(("new".to_owned(), "1.00".to_owned(), Some("x".to_owned()))));
    assert_eq!(browser.console().await, Vec::<String>::new());
}

/// What a binlog holds is text to the page.
async fn harmless(browser: &Browser) {
    let text = "[...document.querySelectorAll('#changes td, #tables .name')].some((e) => e.textContent.includes('<'))";
    browser.wait(text).await;
    let markup = "document.querySelectorAll('#changes img, #changes script, #tables b, #changes b').length";
    assert_eq!(
        browser.run(&format!("return [window.hit ?? null, {markup}]")).await,
        serde_json::json!([null, 0])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_said_where_they_happen_and_spans_are_dragged() {
    let (ground, browser) = (ground().await, Browser::start().await);
    let (mut page, db) = (ground.page().await, &ground.database);
    browser.open(&format!("{}#order=oldest&where={db}.orders.nothing+%3D+1", page.url())).await;
    browser.wait("document.querySelector('#changes .error, #overview-error').textContent.includes('no column nothing')").await;
    browser.fill("#where", "id = 3\u{e007}").await;
    browser.wait("document.querySelector('#where-error').textContent.includes('DB.TABLE.COLUMN')").await;
    browser.wait("document.querySelector('#where').getAttribute('aria-invalid') === 'true'").await;
    picture(&browser, "error").await;
    browser.click("#clear").await;
    browser
        .wait(
            "!document.querySelector('.error.field') && document.querySelectorAll('#changes .tx').length > 5",
        )
        .await;

    browser.wait("document.querySelector('#chart rect.u')").await;
    browser.drag("#chart svg", (60, 60), (1150, 90)).await;
    browser.wait("location.hash.includes('start-time') && document.querySelector('#stop-time').value").await;
    browser
        .wait("!document.querySelector('.busy') && document.querySelectorAll('#changes .tx').length > 5")
        .await;
    browser.click("#whole").await;
    browser.wait("!location.hash.includes('start-time')").await;
    browser.run("document.querySelector('[data-order=oldest]').click()").await;
    browser.wait("document.querySelector('.change').textContent.includes('CREATE TABLE')").await;

    assert_eq!(page.terminate().await, Some(0));
    browser.run("document.querySelector('[data-order=newest]').click()").await;
    browser.wait("document.querySelector('#changes-error').textContent.includes('still running')").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_draws_its_charts() {
    let (ground, browser) = (ground().await, Browser::start().await);
    let files: Vec<PathBuf> = ground.server.binlogs().await;
    let flags = ["stats", "--format", "html", "--database", &ground.database];
    let args: Vec<&str> = flags.into_iter().chain(files.iter().map(|file| file.to_str().unwrap())).collect();
    let file = browser.folder().join("report.html");
    std::fs::write(&file, trace(&args).ok()).unwrap();
    browser.open(&format!("file://{}", file.display())).await;
    let drawn = "[...document.querySelectorAll('svg')].map((svg) => [svg.getBoundingClientRect().width > 600, \
                 svg.getBoundingClientRect().height > 100, [...svg.querySelectorAll('rect')].some((bar) => \
                 bar.getBoundingClientRect().height > 20 && bar.getBoundingClientRect().width > 0)])";
    let seen = browser.run(&format!("return {drawn}")).await;
    assert_eq!(seen, serde_json::json!([[true, true, true], [true, true, true]]));
    assert_eq!(browser.run("return document.querySelectorAll('table').length > 4").await, true);
    assert_eq!(browser.console().await, Vec::<String>::new());
    picture(&browser, "report").await;
}
