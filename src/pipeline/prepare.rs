//! Before the first step: servers asked, query compiled, index made ready.

use std::time::Duration;

use super::addresses::{IdTemplate, Routing};
use super::request::{Runnable, wrong_condition};
use super::schema;
use super::shared::TaskOptions;
use crate::document::OwnFields;
use crate::mapping::{MappingError, ParsedQuery, Plan, Shard, WalkSelection, parse};
use crate::model::{Catalog, Class, TableColumns};
use crate::sink::{IndexState, Sink};
use crate::source::{Flavor, ServerInfo, Source, SourceError, Visibility};

/// What stands in the way of a task: one line each, with the field, what was found and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .findings.join("\n"))]
pub struct Obstacle {
    /// Whether it passes by itself.
    pub class: Class,
    /// One line for each finding.
    pub findings: Vec<String>,
}

impl Obstacle {
    pub(super) fn new(class: Class, finding: impl std::fmt::Display) -> Self {
        Self { class, findings: vec![finding.to_string()] }
    }
}

impl From<MappingError> for Obstacle {
    fn from(error: MappingError) -> Self {
        Self::new(error.class(), format!("spec.query: {error}"))
    }
}

impl From<SourceError> for Obstacle {
    fn from(error: SourceError) -> Self {
        Self::new(error.class(), source_words(&error))
    }
}

/// The error, and what to do where it is the account's.
fn source_words(error: &SourceError) -> String {
    let remedy = match error.code() {
        Some(1045 | 1698 | 1862) => {
            "; correct username and password in the Secret of spec.source.credentials.secretRef, \
             and let the account sign in from this host"
        }
        Some(1049) => "; create the schema, or correct spec.source.database and the query",
        Some(1129 | 1130) => "; let this host connect (CREATE USER ... @'HOST', FLUSH HOSTS)",
        _ => "",
    };
    format!("spec.source: {error}{remedy}")
}

impl From<crate::sink::SinkError> for Obstacle {
    fn from(error: crate::sink::SinkError) -> Self {
        Self::new(error.class(), format!("spec.sink.elasticsearch: {error}"))
    }
}

/// Everything that the servers said.
pub struct Prepared {
    /// The server.
    pub server: ServerInfo,
    /// The compiled query.
    pub plan: Plan,
    /// The index.
    pub index: IndexState,
    /// The builds that were asked for.
    pub(super) builds: Vec<Runnable>,
    /// The fields that the task writes, where it writes only some.
    pub(super) own_fields: Option<OwnFields>,
    /// Without GTIDs, the end of the server's binlog.
    pub binlog_end: Option<crate::model::BinlogPosition>,
    /// What should be changed some day: one line each.
    pub warnings: Vec<String>,
}

/// The result of a preflight: what is wrong, what is only not good, and the plan where it could be made.
#[derive(Debug, Default)]
pub struct Report {
    /// In the way.
    pub errors: Vec<(Class, String)>,
    /// Not good.
    pub warnings: Vec<String>,
    /// The compiled plan.
    pub plan: Option<Plan>,
    pub(super) server: Option<ServerInfo>,
    pub(super) builds: Vec<Runnable>,
}

/// Asks both servers whether the task can run; changes nothing.
pub async fn check(options: &TaskOptions) -> Report {
    let mut report = Report::default();
    let parsed = match parse(&options.query) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            report.errors.push((error.class(), format!("spec.query: {error}")));
            None
        }
    };
    match Source::new(options.source.clone()) {
        Ok(source) => check_source(options, &source, parsed.as_ref(), &mut report).await,
        Err(error) => report.errors.push((error.class(), source_words(&error))),
    }
    match Sink::new(options.sink.clone()) {
        Ok(sink) => check_sink(&sink, &mut report).await,
        Err(error) => report.errors.push((error.class(), format!("spec.sink.elasticsearch: {error}"))),
    }
    report
}

/// Compiles the query with the live schema; asks nothing else.
pub async fn plan(options: &TaskOptions) -> Report {
    let mut report = Report::default();
    if let Err(obstacle) = compile(options, &mut report).await {
        report.errors.extend(obstacle.findings.into_iter().map(|finding| (obstacle.class, finding)));
    }
    report
}

async fn compile(options: &TaskOptions, report: &mut Report) -> Result<(), Obstacle> {
    let parsed = parse(&options.query)?;
    let source = Source::new(options.source.clone())?;
    let server = source.server().await?;
    check_plan(options, &source, &parsed, &server, report).await;
    Ok(())
}

async fn check_source(
    options: &TaskOptions,
    source: &Source,
    parsed: Option<&ParsedQuery>,
    report: &mut Report,
) {
    let tables = parsed.map(ParsedQuery::read_tables).unwrap_or_default();
    let server = match source.server().await {
        Ok(server) => server,
        Err(error) => return report.errors.push((error.class(), source_words(&error))),
    };
    match source.preflight(&tables).await {
        Ok(findings) => {
            for finding in findings {
                let line = format!("spec.source: {}: {}; {}", finding.subject, finding.found, finding.remedy);
                match finding.severity {
                    crate::source::Severity::Error => report.errors.push((Class::Config, line)),
                    crate::source::Severity::Warning => report.warnings.push(line),
                }
            }
        }
        Err(error) => report.errors.push((error.class(), source_words(&error))),
    }
    if let Some(parsed) = parsed {
        check_plan(options, source, parsed, &server, report).await;
    }
    check_reader(options, &server, report).await;
    report.server = Some(server);
}

async fn check_plan(
    options: &TaskOptions,
    source: &Source,
    parsed: &ParsedQuery,
    server: &ServerInfo,
    report: &mut Report,
) {
    let catalog = match schema::catalog(source, parsed).await {
        Ok(catalog) => catalog,
        Err(obstacle) => {
            let lines = obstacle.findings.into_iter().map(|line| (obstacle.class, line));
            return report.errors.extend(lines);
        }
    };
    match parsed.compile(&catalog) {
        Ok(plan) => {
            check_names(options, source, &plan, report).await;
            check_session_zone(options, &plan, report);
            report.warnings.extend(plan.warnings().iter().map(|warning| format!("spec.query: {warning}")));
            if !server.gtid {
                let bare =
                    catalog.tables.iter().filter(|(_, table)| table.primary_key.is_empty() && !table.is_view);
                report.errors.extend(bare.map(|(name, _)| {
                    let remedy = "give it one, or switch gtid_mode on: without GTIDs a commit is waited for by the lock on a row's primary key";
                    (Class::Config, format!("spec.query: table {name} has no primary key; {remedy}"))
                }));
            }
            for request in &options.builds {
                match request.compile(&plan) {
                    Ok(runnable) => {
                        report.errors.extend(try_condition(source, &plan, &runnable).await);
                        report.builds.push(runnable);
                    }
                    Err(words) => report.errors.push((Class::Config, words)),
                }
            }
            report.plan = Some(plan);
        }
        Err(error) => report.errors.push((error.class(), format!("spec.query: {error}"))),
    }
}

/// Whether the replica can be read from: only GTIDs tell when it has what the binlog has delivered.
async fn check_reader(options: &TaskOptions, server: &ServerInfo, report: &mut Report) {
    let Some(reader) = &options.reader else { return };
    let asked = match Source::new(reader.clone()) {
        Ok(source) => source.server().await,
        Err(error) => Err(error),
    };
    let info = match asked {
        Ok(info) => info,
        Err(error) => return report.errors.push((error.class(), format!("spec.source.reader: {error}"))),
    };
    for (which, of) in [("the source", server), ("the reader", &info)] {
        let line = match of.flavor {
            _ if of.gtid => continue,
            Flavor::MySql => format!(
                "spec.source.reader: {which} has gtid_mode OFF, so nobody can tell what the reader has; switch it on, or remove reader"
            ),
            Flavor::MariaDb => format!(
                "spec.source.reader: {which} is MariaDB, whose GTIDs do not tell what a server has; remove reader"
            ),
        };
        report.errors.push((Class::Config, line));
    }
    if info.gtid && info.server_uuid == server.server_uuid {
        report
            .warnings
            .push("spec.source.reader: it is the source itself; remove it, or name a replica".to_owned());
    }
}

/// A session in another zone than UTC would compare TIMESTAMP with values that the binlog has in UTC.
fn check_session_zone(options: &TaskOptions, plan: &Plan, report: &mut Report) {
    let zone = options.source.session.time_zone.as_deref().unwrap_or("+00:00");
    if ["+00:00", "-00:00"].contains(&zone) {
        return;
    }
    for (table, column) in plan.bound_timestamps() {
        let line = format!(
            "spec.source.session.timeZone: found {zone}, but {table}.{column} is a TIMESTAMP by which documents are found; remove timeZone"
        );
        report.errors.push((Class::Config, line));
    }
}

/// Columns that the spec names beside the query: the server says which there are.
async fn check_names(options: &TaskOptions, source: &Source, plan: &Plan, report: &mut Report) {
    let routing = Routing::of(options.routing.as_deref(), plan.key_columns());
    if let Some(template) = &options.id_template
        && let Err(found) = IdTemplate::parse(template, plan.key_columns())
    {
        report.errors.push((Class::Config, format!("spec.sink.elasticsearch.idTemplate: {found}")));
    }
    if options.shape.is_empty() && !options.upsert && !matches!(routing, Routing::Column(_)) {
        return;
    }
    let names = match result_names(source, plan).await {
        Ok(names) => names,
        Err(error) => return report.errors.push((error.class(), format!("spec.query.sql: {error}"))),
    };
    let unknown = options.shape.unknown_names(&names);
    report.errors.extend(unknown.into_iter().map(|line| (Class::Config, line)));
    if let Routing::Column(name) = &routing {
        let wrong = if options.upsert {
            let keys = plan.key_columns().iter().map(|column| column.output.as_str()).collect::<Vec<_>>();
            Some(format!("with write: Upsert it must be a column of the key: {}", keys.join(", ")))
        } else {
            (!names.contains(name))
                .then(|| format!("no column of the result; write one of {}", names.join(", ")))
        };
        let line = wrong.map(|wrong| format!("spec.sink.elasticsearch.routing: found {name:?}, {wrong}"));
        report.errors.extend(line.map(|line| (Class::Config, line)));
    }
}

/// The fields that the task writes, where it writes only some.
///
/// # Errors
/// What the server says to the query.
pub(super) async fn own_fields(
    options: &TaskOptions,
    source: &Source,
    plan: &Plan,
) -> Result<Option<OwnFields>, SourceError> {
    if !options.upsert {
        return Ok(None);
    }
    let names = result_names(source, plan).await?;
    let key: Vec<&str> = plan.key_columns().iter().map(|column| column.output.as_str()).collect();
    Ok(Some(OwnFields::new(&options.shape, &names, &key)))
}

/// The fields of a row.
async fn result_names(source: &Source, plan: &Plan) -> Result<Vec<String>, SourceError> {
    let columns = source.result_columns(&example(plan)).await?;
    let children = plan.children().iter().map(|child| child.field().to_owned());
    Ok(columns.into_iter().map(|column| column.name).chain(children).collect())
}

/// The main query for one key, in the first shard where there are several.
fn example(plan: &Plan) -> String {
    let sql = plan.read_sql(1);
    plan.render(&sql, plan.shards_of(&sql).first().unwrap_or(&Shard::default()))
}

/// Mappings for the index, proposed from the types of the query's columns.
///
/// # Errors
/// What keeps the query from being compiled.
pub async fn proposal(options: &TaskOptions) -> Result<serde_json::Value, Obstacle> {
    let mut report = Report::default();
    compile(options, &mut report).await?;
    let Some(plan) = report.plan else {
        let class = report.errors.first().map_or(Class::Config, |(class, _)| *class);
        return Err(Obstacle { class, findings: report.errors.into_iter().map(|(_, line)| line).collect() });
    };
    let columns = Source::new(options.source.clone())?.result_columns(&example(&plan)).await?;
    Ok(super::proposal::mappings(&columns, &options.source.types, options.shape.transforms()))
}

/// Lets the server read a user's condition, for no row: it knows more of SQL than we do.
async fn try_condition(source: &Source, plan: &Plan, build: &Runnable) -> Option<(Class, String)> {
    let WalkSelection::Where(condition) = &build.walk else { return None };
    let wrong = |class, error: &dyn std::fmt::Display| {
        Some((class, wrong_condition(&build.spec.name, condition, error)))
    };
    let sql = match plan.walk_sql(&build.walk, false, 0) {
        Ok(sql) => plan.render(&sql, plan.shards_of(&sql).first().unwrap_or(&Shard::default())),
        Err(error) => return wrong(Class::Config, &error),
    };
    let tried = match source.reader().await {
        Ok(mut reader) => reader.keys(&sql, &[], &Visibility::Nothing).await,
        Err(error) => Err(error),
    };
    match tried {
        // lost connections, and conditions that fail on some rows only, are the walk's own trouble
        Err(error) if !matches!(error.class(), Class::Record | Class::Retry) => wrong(error.class(), &error),
        _ => None,
    }
}

async fn check_sink(sink: &Sink, report: &mut Report) {
    for finding in sink.preflight().await {
        let line = format!("spec.{finding}");
        match finding.severity {
            crate::sink::Severity::Error => report.errors.push((finding.class, line)),
            crate::sink::Severity::Warning => report.warnings.push(line),
            crate::sink::Severity::Info => {}
        }
    }
}

/// The preflight, and then the index made ready.
pub(super) async fn prepare(options: &TaskOptions, sink: &Sink) -> Result<Prepared, Obstacle> {
    let report = check(options).await;
    if !report.errors.is_empty() {
        let all_pass = report.errors.iter().all(|(class, _)| *class == Class::Retry);
        let worst = report.errors.iter().map(|(class, _)| *class).find(|class| *class != Class::Retry);
        let class = if all_pass { Class::Retry } else { worst.unwrap_or(Class::Halt) };
        return Err(Obstacle { class, findings: report.errors.into_iter().map(|(_, line)| line).collect() });
    }
    let (Some(server), Some(plan)) = (report.server, report.plan) else {
        return Err(Obstacle::new(Class::Retry, "the servers did not answer everything"));
    };
    if options.streamless && !server.gtid {
        let words =
            "spec.source: the server has no GTIDs, by which a read without the binlog knows what it must see";
        return Err(Obstacle::new(
            Class::Config,
            format!("{words}; use `run --until-caught-up`, or switch gtid_mode on"),
        ));
    }
    let binlog_end =
        if server.gtid { None } else { Some(Source::new(options.source.clone())?.executed().await?.binlog) };
    let own_fields = own_fields(options, &Source::new(options.source.clone())?, &plan).await?;
    let index = sink.prepare().await?;
    let warnings = report.warnings;
    Ok(Prepared { server, plan, index, builds: report.builds, own_fields, binlog_end, warnings })
}

pub(super) fn columns_of(catalog: &Catalog) -> Vec<TableColumns> {
    let tables = catalog.tables.iter().filter(|(_, table)| !table.is_view);
    let columns =
        |table: &crate::model::CatalogTable| table.columns.iter().map(|c| c.column.clone()).collect();
    tables.map(|(name, table)| TableColumns { table: name.clone(), columns: columns(table) }).collect()
}

/// Pauses between two tries of a start: soon for what passes, 10 s to 5 min for what needs a person.
pub(super) fn pause(class: Class, tries: u32) -> Duration {
    let (base, top) = if class == Class::Retry { (250, 5_000) } else { (10_000, 300_000) };
    let ceiling = (base << tries.min(12)).min(top);
    let jitter = if class == Class::Retry { rand::random_range(ceiling / 2..=ceiling) } else { ceiling };
    Duration::from_millis(jitter)
}
