//! A task's spec and credentials as the pipeline's options: the same for a file and for a cluster.

use super::core::Config;
use super::mapping_spec;
use super::{BuildRequest, Requested, TaskOptions};
use crate::api::{
    self, Credentials, KeyText, OnChange, OnGap, Reindex, Selected, SinkCredentials, SyncTaskSpec,
};
use crate::document::Shape;
use crate::model::{Secret, ServerOptions, TlsMode, TlsOptions};
use crate::sink::{Auth, CreateIndex, SinkOptions, Tls};
use crate::source::SourceOptions;

impl TaskOptions {
    /// The options of a task. `name` is `namespace/name`; `uid` says whose state it is.
    pub fn of(name: &str, uid: &str, spec: &SyncTaskSpec, credentials: &Credentials) -> Self {
        Self {
            name: name.to_owned(),
            uid: uid.to_owned(),
            source: source(spec, credentials),
            reader: spec.source.reader.as_ref().map(|reader| reader_of(reader, spec, credentials)),
            pool_size: spec.limits.pool_size.map(count),
            server_id: spec.source.server_id.and_then(|id| u32::try_from(id).ok()),
            query: mapping_spec::query(spec),
            several: mapping_spec::several(spec),
            keep_missing: spec.on_missing == api::OnMissing::Keep,
            connections: count(spec.limits.connections),
            shape: Shape::new(&spec.transforms),
            id_template: spec.sink.elasticsearch.id_template.clone(),
            routing: spec.sink.elasticsearch.routing.clone(),
            upsert: spec.sink.elasticsearch.write == api::Write::Upsert,
            content: content(spec),
            sink: sink(spec, credentials, name),
            initial_full: spec.initial_sync == api::InitialSync::Full,
            was_synced: false,
            core: core(spec),
            batch_bytes: count(spec.limits.batch_bytes),
            stall_timeout: spec.stall_timeout.get(),
            builds: Vec::new(),
            later_builds: Vec::new(),
            write_log: None,
            streamless: false,
            impatient: false,
        }
    }
}

fn count(value: i32) -> usize {
    usize::try_from(value).unwrap_or(1).max(1)
}

fn core(spec: &SyncTaskSpec) -> Config {
    let limits = &spec.limits;
    Config {
        lanes: count(limits.lanes),
        batch: count(limits.batch_actions),
        linger: limits.linger.get().as_millis() as u64,
        max_pending: count(limits.max_pending),
        max_dead_letters: count(limits.max_dead_letters),
        save_interval: limits.checkpoint_interval.get().as_millis() as u64,
        repair: spec.on_gap == OnGap::Repair,
        keep_on_change: spec.on_change == OnChange::Keep,
        // documents of others lose nothing by a sweep that only takes the task's own fields away
        late_creates: spec.sink.elasticsearch.write == api::Write::Upsert,
        sweep: !spec.sink.shared || spec.sink.elasticsearch.write == api::Write::Upsert,
        ..Config::default()
    }
}

fn source(spec: &SyncTaskSpec, credentials: &Credentials) -> SourceOptions {
    let source = &spec.source;
    let mode = match source.tls_mode() {
        api::TlsMode::Disabled => TlsMode::Disabled,
        api::TlsMode::Preferred => TlsMode::Preferred,
        api::TlsMode::Required => TlsMode::Required,
        api::TlsMode::VerifyCa => TlsMode::VerifyCa,
        api::TlsMode::VerifyIdentity => TlsMode::VerifyIdentity,
    };
    let password = Secret::new(credentials.password.expose());
    let tls = TlsOptions {
        mode,
        ca: pem(credentials.source_ca.as_deref()),
        client_certificate: pem(credentials.source_client.as_ref().map(|c| c.certificate.as_str())),
        client_key: pem(credentials.source_client.as_ref().map(|c| c.key.expose())),
        server_name: source.tls.as_ref().and_then(|tls| tls.server_name.clone()),
    };
    let (host, port, username) = (source.host.clone(), source.port(), credentials.username.clone());
    SourceOptions {
        server: ServerOptions { host, port, username, password, tls },
        database: source.database.clone(),
        query_timeout: spec.limits.query_timeout.get(),
        types: spec.types.clone(),
        session: spec.source.session.clone(),
        ..SourceOptions::default()
    }
}

/// The source's options with the replica's address. A name that the source's certificate has is not the replica's.
fn reader_of(reader: &api::SourceReader, spec: &SyncTaskSpec, credentials: &Credentials) -> SourceOptions {
    let mut options = source(spec, credentials);
    options.server.host.clone_from(&reader.host);
    options.server.port = u16::try_from(reader.port).unwrap_or_default();
    options.server.tls.server_name = None;
    options
}

fn pem(text: Option<&str>) -> Option<Vec<u8>> {
    text.map(|pem| pem.as_bytes().to_vec())
}

/// What decides the documents' content beside the query's meaning, as text; empty where all of it is left to defaults.
/// Only what is given is in it, so that a field that joins the resource some day does not rebuild every task.
fn content(spec: &SyncTaskSpec) -> String {
    let given = [
        ("transforms", given(&spec.transforms)),
        ("types", given(&spec.types)),
        ("session", given(&spec.source.session)),
        ("rows", given(&spec.query.rows)),
        ("onMissing", given(&spec.on_missing)),
        ("idTemplate", given(&spec.sink.elasticsearch.id_template)),
        ("routing", given(&spec.sink.elasticsearch.routing)),
        ("write", given(&spec.sink.elasticsearch.write)),
    ];
    let given: serde_json::Map<_, _> =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if given.is_empty() { String::new() } else { serde_json::Value::from(given).to_string() }
}

/// The value, unless it is the default.
fn given<T: Default + PartialEq + serde::Serialize>(value: &T) -> Option<serde_json::Value> {
    (*value != T::default()).then(|| serde_json::json!(value))
}

fn sink(spec: &SyncTaskSpec, credentials: &Credentials, task: &str) -> SinkOptions {
    let elasticsearch = &spec.sink.elasticsearch;
    let mut options = SinkOptions::new(elasticsearch.addresses.clone(), &elasticsearch.index, task);
    options.shared = spec.sink.shared;
    options.routed = elasticsearch.routing.is_some();
    options.gzip = elasticsearch.gzip;
    options.refresh = elasticsearch.refresh.parameter().map(str::to_owned);
    options.request_timeout = spec.limits.bulk_timeout.get();
    options.create = match elasticsearch.create_index {
        api::CreateIndex::IfMissing => CreateIndex::IfMissing,
        api::CreateIndex::Never => CreateIndex::Never,
    };
    if let Some(create) = &elasticsearch.create {
        let value = |free: &Option<api::Free>| free.as_ref().map(|free| free.0.clone().into());
        options.settings = value(&create.settings);
        options.mappings = value(&create.mappings);
        options.aliases = value(&create.aliases);
    }
    options.auth = match &credentials.sink {
        None => Auth::None,
        Some(SinkCredentials::Basic { username, password }) => {
            Auth::Basic { username: username.clone(), password: password.expose().to_owned() }
        }
        Some(SinkCredentials::ApiKey(key)) => Auth::ApiKey(key.expose().to_owned()),
        Some(SinkCredentials::Bearer(token)) => Auth::Bearer(token.expose().to_owned()),
    };
    options.tls = Tls {
        ca: pem(credentials.sink_ca.as_deref()),
        client_certificate: pem(credentials.sink_client.as_ref().map(|c| c.certificate.as_str())),
        client_key: pem(credentials.sink_client.as_ref().map(|c| c.key.expose())),
        insecure_skip_verify: elasticsearch.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify),
    };
    options
}

impl From<&Reindex> for BuildRequest {
    /// The build that a Reindex asks for. Its UID goes into the selection's hash: another Reindex of the same
    /// name is another build.
    fn from(reindex: &Reindex) -> Self {
        let text = |key: &KeyText| key.to_string();
        let selection = match reindex.spec.selection.selected() {
            Selected::Full => Requested::Full,
            Selected::Range { min, max } => Requested::Range { min: min.map(text), max: max.map(text) },
            Selected::Where(condition) => Requested::Where(condition.to_owned()),
            Selected::Ids(ids) => Requested::Ids(ids.iter().map(text).collect()),
            Selected::DeadLetters => Requested::DeadLetters,
        };
        Self {
            name: reindex.metadata.name.clone().unwrap_or_default(),
            uid: reindex.metadata.uid.clone().unwrap_or_default(),
            selection,
            page_size: usize::try_from(reindex.spec.page_size).unwrap_or(1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: &serde_json::Value) -> SyncTaskSpec {
        let mut spec = serde_json::json!({
            "source": {"host": "127.0.0.1", "credentials": {"secretRef": {"name": "s"}}},
            "query": {"sql": "SELECT id FROM t WHERE id IN (:ids)", "key": "id"},
            "sink": {"elasticsearch": {"addresses": ["http://127.0.0.1:9200"], "index": "i"}},
        });
        for (path, value) in more.as_object().unwrap() {
            let (parent, name) = path.rsplit_once('/').unwrap();
            spec.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn an_edit_that_changes_documents_changes_the_content() {
        let plain = content(&spec(&serde_json::json!({})));
        assert_eq!(plain, "", "the query alone decides");
        let edits = [
            serde_json::json!({"/query/rows": "First"}),
            serde_json::json!({"/query/rows": "Array"}),
            serde_json::json!({"/onMissing": "Keep"}),
            serde_json::json!({"/transforms": [{"remove": ["a"]}]}),
            serde_json::json!({"/types": {"decimal": "String"}}),
            serde_json::json!({"/source/session": {"timeZone": "+02:00"}}),
            serde_json::json!({"/sink/elasticsearch/idTemplate": "o-{id}"}),
            serde_json::json!({"/sink/elasticsearch/routing": "id"}),
            serde_json::json!({"/sink/elasticsearch/write": "Upsert"}),
        ];
        let mut seen: Vec<String> = edits.iter().map(|edit| content(&spec(edit))).collect();
        seen.push(plain);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), edits.len() + 1, "{seen:?}");
        let same = serde_json::json!({"/query/rows": "One", "/onMissing": "Delete", "/limits": {"lanes": 3}});
        assert_eq!(content(&spec(&same)), "", "defaults by their names, and what decides speed");
    }
}
