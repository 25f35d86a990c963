//! Where source and index are now, for a start or a new start; and the work that is asked for one by one.

use std::sync::Arc;
use std::time::Duration;

use super::core::{Command, Failure, Input, Outcome, Page, Place};
use super::last::last_transaction;
use super::pages::Pages;
use super::prepare::{Obstacle, columns_of, own_fields};
use super::request::wrong_condition;
use super::schema;
use super::shared::{Shared, sink_failure, source_failure};
use crate::mapping::{WalkSelection, parse};
use crate::model::{Class, Key, KeyPart};
use crate::sink::{Stale, SweepCursor};
use crate::source::Visibility;

/// Documents looked at in one page of a sweep.
const SWEEP_PAGE: usize = 5_000;

/// Makes sure of the index, takes the source's position and the schemas at it.
pub(super) async fn take_place(shared: &Shared) -> Outcome<Box<Place>> {
    let index = shared.sink.prepare().await.map_err(|error| sink_failure(&error))?;
    let parsed = parse(&shared.options.query).map_err(|error| mapping_failure(&error))?;
    let failed = |error| source_failure(&error);
    let unknown = |obstacle: Obstacle| Failure { class: obstacle.class, message: obstacle.to_string() };
    // a connection of before may lead to a server that is not there any more
    shared.source.rest(Duration::ZERO).await;
    let server = shared.source.server().await.map_err(failed)?;
    shared.source.bind_to(server.bound_name());
    let mut catalog = schema::catalog(&shared.source, &parsed).await.map_err(unknown)?;
    let start = loop {
        // the schemas are those at the position where nothing moved them around it
        let start = shared.source.start_position().await.map_err(failed)?;
        let after = schema::catalog(&shared.source, &parsed).await.map_err(unknown)?;
        if after == catalog {
            break start;
        }
        catalog = after;
    };
    let plan = parsed.compile(&catalog).map_err(|error| mapping_failure(&error))?;
    shared.set_own_fields(own_fields(&shared.options, &shared.source, &plan).await.map_err(failed)?);
    shared.set_plan(plan);
    shared.set_index_uuid(&index.uuid);
    shared.set_settled(start.wait_until.clone());
    Ok(Box::new(Place {
        last_transaction: last_transaction(shared, &start.position).await,
        position: start.position,
        server_uuid: server.server_uuid,
        index_uuid: index.uuid,
        schemas: columns_of(&catalog),
        deliver_first: start.wait_until,
    }))
}

/// Asks the server about how many rows the main table has, so that builds can tell their share.
pub(super) async fn estimate(shared: Arc<Shared>) {
    let plan = shared.plan();
    let tables = plan.main_tables();
    let list = vec!["(?, ?)"; tables.len().max(1)].join(", ");
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(TABLE_ROWS), 0) AS SIGNED) FROM information_schema.TABLES \
         WHERE (TABLE_SCHEMA, TABLE_NAME) IN ({list})"
    );
    let text = |text: &String| KeyPart::Text(text.as_str().into());
    let params: Vec<KeyPart> = tables.iter().flat_map(|t| [text(&t.schema), text(&t.table)]).collect();
    // a figure for people: without it they see keys and no share
    let Ok((mut reader, _permit)) = shared.borrow_reader().await else { return };
    let Ok(keys) = reader.keys(&sql, &params, &Visibility::Nothing).await else { return };
    shared.give_back(reader);
    let rows = match keys.first().and_then(|key| key.parts().first()) {
        Some(KeyPart::Int(rows)) => u64::try_from(*rows).unwrap_or(0),
        _ => 0,
    };
    shared.main_rows.store(rows, std::sync::atomic::Ordering::Relaxed);
}

fn mapping_failure(error: &crate::mapping::MappingError) -> Failure {
    Failure { class: Class::Config, message: format!("spec.query: {error}") }
}

/// Carries out a lookup or a walk and tells the core.
pub(super) async fn fetch(shared: Arc<Shared>, command: Command) {
    match command {
        Command::Lookup { lookup, rule, keys, after, limit, seen } => {
            let plan = shared.plan();
            let page = match plan.lookups().get(rule) {
                Some(rule) => {
                    let limit = rule.page_size.unwrap_or(limit);
                    let pages = Pages {
                        shared: &shared,
                        plan: &plan,
                        sql: &|cursor, limit| rule.sql(keys.len(), cursor, limit),
                        params: &|cursor| rule.params(&keys, cursor),
                    };
                    pages.next(after.as_ref(), limit, &seen, |class| class).await
                }
                None => Err(Failure { class: Class::Gap, message: format!("the plan has no lookup {rule}") }),
            };
            shared.tell(Input::LookupDone { lookup, page });
        }
        Command::Walk { build, run, after, limit, seen } => {
            let page = walk(&shared, &build, after.as_ref(), limit, &seen).await;
            shared.tell(Input::Walked { build, run, page });
        }
        _ => {}
    }
}

async fn walk(
    shared: &Shared,
    build: &str,
    after: Option<&Key>,
    limit: usize,
    seen: &super::core::Seen,
) -> Outcome<Page> {
    let Some(selection) = shared.walk(build) else {
        return Err(Failure { class: Class::Config, message: "it was cancelled".to_owned() });
    };
    let plan = shared.plan();
    // whether it can be written does not depend on cursor and limit
    plan.walk_sql(&selection, true, limit).map_err(|error| mapping_failure(&error))?;
    // what the server says to the user's own condition is the Reindex's trouble, not the task's
    let theirs = |class| match class {
        Class::Record | Class::Halt if matches!(selection, WalkSelection::Where(_)) => Class::Config,
        other => other,
    };
    let pages = Pages {
        shared,
        plan: &plan,
        sql: &|cursor, limit| plan.walk_sql(&selection, cursor, limit).unwrap_or_default(),
        params: &|cursor| plan.walk_params(&selection, cursor),
    };
    let mut page = pages.next(after, limit, seen, theirs).await;
    if let (Err(failure), WalkSelection::Where(condition)) = (&mut page, &selection)
        && failure.class == Class::Config
    {
        failure.message = wrong_condition(build, condition, &failure.message);
    }
    page
}

/// The next page of a sweep: gives the cursor back for the one after.
pub(super) async fn sweep(
    shared: Arc<Shared>,
    build: String,
    run: u64,
    below: u64,
    cursor: Option<SweepCursor>,
) -> Option<SweepCursor> {
    // the versions of documents to which several tasks add fields are the server's own and say nothing
    let below = if shared.options.upsert { u64::MAX } else { below };
    let (cursor, page) = match shared.sink.sweep(below, cursor, SWEEP_PAGE).await {
        Ok(page) => {
            let plan = shared.plan();
            let addresses = shared.addresses();
            let key = |stale: &Stale| {
                let key = addresses.ids.key_of(plan.key_columns(), &stale.id);
                let routing = stale.routing.as_deref();
                if addresses.is_elsewhere(&key, routing) {
                    shared.misplaced.found(&key, routing);
                }
                key
            };
            let keys = page.stale.iter().map(key).collect();
            let more = page.cursor.is_some();
            (page.cursor, Ok(Page { keys, more }))
        }
        Err(error) => (None, Err(sink_failure(&error))),
    };
    shared.tell(Input::Walked { build, run, page });
    cursor
}
