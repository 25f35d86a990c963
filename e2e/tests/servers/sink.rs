//! The sink on real servers: fencing, missing indices, findings, sweeps. Every test runs on each engine.

use std::collections::BTreeSet;
use std::time::Duration;

use binlog_operator::model::Class;
use binlog_operator::sink::{
    CreateIndex, DocumentRef, Finding, Outcome, Severity, Sink, SinkError, SinkOptions, Verdict,
};
use e2e::shared::{self, name};
use e2e::stage::PATIENCE;
use e2e::{ElasticServer, Engine, Search, wait_until};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

static ES7: OnceCell<ElasticServer> = OnceCell::const_new();
static OPENSEARCH: OnceCell<ElasticServer> = OnceCell::const_new();

async fn server(engine: Engine) -> &'static ElasticServer {
    match engine {
        Engine::Elasticsearch9 => shared::elastic().await,
        Engine::Elasticsearch7 => ES7.get_or_init(|| ElasticServer::start(engine)).await,
        Engine::OpenSearch3 => OPENSEARCH.get_or_init(|| ElasticServer::start(engine)).await,
    }
}

/// Makes one test per engine of each function.
macro_rules! on_each_server {
    ($($test:ident),+ $(,)?) => {
        on_each_server!(@es9 Elasticsearch9 $($test)+);
        #[cfg(feature = "long")]
        on_each_server!(@es7 Elasticsearch7 $($test)+);
        #[cfg(feature = "long")]
        on_each_server!(@opensearch OpenSearch3 $($test)+);
    };
    (@$module:ident $engine:ident $($test:ident)+) => {
        mod $module {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::server(e2e::Engine::$engine).await).await;
            })+
        }
    };
}

on_each_server!(
    versions_fence_writes_and_deletes,
    a_missing_index_is_never_made_by_a_write,
    a_replaced_index_is_noticed_and_can_be_prepared,
    one_bad_document_leaves_the_others,
    ids_of_any_text_come_back,
    an_index_is_created_as_told,
    an_existing_index_is_adopted,
    a_difference_from_what_was_asked_for_is_told_and_not_changed,
    an_index_has_one_owner_unless_shared,
    aliases_of_one_index_are_followed,
    findings_name_the_remedy,
    a_sweep_finds_every_old_document,
    a_sweep_that_lost_its_place_says_so,
    a_routing_is_known_for_each_shard_or_for_none,
);

fn options(server: &ElasticServer, index: &str) -> SinkOptions {
    let mut options = SinkOptions::new(vec![server.url()], index, "shop/orders");
    options.settings = Some(json!({"number_of_shards": 2, "number_of_replicas": 0}));
    options
}

fn sink(server: &ElasticServer, index: &str) -> Sink {
    Sink::new(options(server, index)).unwrap()
}

async fn ready(server: &ElasticServer, index: &str) -> Sink {
    let sink = sink(server, index);
    sink.prepare().await.unwrap();
    sink
}

/// One action per bulk: `Some(json)` writes, `None` deletes.
async fn write(sink: &Sink, id: &str, version: u64, document: Option<&str>) -> Verdict {
    let mut body = sink.body();
    match document {
        Some(json) => body.push_index(DocumentRef::new(id, version), json.as_bytes()),
        None => body.push_delete(DocumentRef::new(id, version)),
    }
    sink.bulk(&body.seal()).await.unwrap().remove(0)
}

fn superseded(current_version: u64) -> Verdict {
    Verdict::Superseded { current_version: Some(current_version) }
}

/// Invariant 5.
async fn versions_fence_writes_and_deletes(server: &ElasticServer) {
    let sink = ready(server, &name("fence")).await;
    let doc = Some(r#"{"n":1}"#);
    assert_eq!(write(&sink, "1", 10, doc).await, Verdict::Done(Outcome::Created));
    assert_eq!(write(&sink, "1", 10, doc).await, Verdict::Done(Outcome::Updated), "the same version again");
    assert_eq!(write(&sink, "1", 9, doc).await, superseded(10));
    assert_eq!(write(&sink, "1", 9, None).await, superseded(10));
    assert_eq!(write(&sink, "1", 12, None).await, Verdict::Done(Outcome::Deleted));
    assert_eq!(write(&sink, "1", 11, doc).await, superseded(12), "a late write does not raise the dead");
    assert_eq!(write(&sink, "2", 5, None).await, Verdict::Done(Outcome::NotFound));
    assert_eq!(write(&sink, "2", 4, doc).await, superseded(5), "nor one that was never there");
    let micros = 1_795_000_000_000_000;
    assert_eq!(write(&sink, "2", micros, doc).await, Verdict::Done(Outcome::Created));
    assert_eq!(write(&sink, "2", micros - 1, doc).await, superseded(micros));
}

async fn all_kinds_missing(sink: &Sink) {
    for (index, delete) in [(true, false), (false, true), (true, true)] {
        let mut body = sink.body();
        if delete {
            body.push_delete(DocumentRef::new("9", 7));
        }
        if index {
            body.push_index(DocumentRef::new("1", 7), b"{}");
        }
        let verdicts = sink.bulk(&body.seal()).await.unwrap();
        let missing = |verdict: &Verdict| matches!(verdict, Verdict::IndexMissing { .. });
        assert!(verdicts.iter().all(missing), "{verdicts:?}");
    }
}

async fn exists(search: &Search, names: &str) -> bool {
    !search.get(&format!("/{names}?expand_wildcards=all")).await.json().as_object().unwrap().is_empty()
}

async fn a_missing_index_is_never_made_by_a_write(server: &ElasticServer) {
    let (search, index) = (server.search(), name("missing"));
    let sink = ready(server, &index).await;
    let _ = search.delete(&format!("/{index}")).await.ok();
    all_kinds_missing(&sink).await;
    assert!(!exists(&search, &format!("{index}*")).await);
    assert_eq!(sink.index_uuid().await.unwrap(), None);
}

async fn a_replaced_index_is_noticed_and_can_be_prepared(server: &ElasticServer) {
    let (search, index) = (server.search(), name("replaced"));
    let sink = sink(server, &index);
    let first = sink.prepare().await.unwrap();
    let _ = search.delete(&format!("/{index}")).await.ok();
    let _ = search.put(&format!("/{index}"), &json!({})).await.ok();
    all_kinds_missing(&sink).await;
    assert_eq!(search.count(&index).await, 0);
    assert!(matches!(sink.mark_synced().await, Err(SinkError::IndexMissing { .. })));

    let second = sink.prepare().await.unwrap();
    assert_ne!(first.uuid, second.uuid);
    assert_eq!((second.created, second.was_synced), (false, false));
    assert_eq!(sink.index_uuid().await.unwrap(), Some(second.uuid));
    assert_eq!(write(&sink, "1", 7, Some("{}")).await, Verdict::Done(Outcome::Created));
}

async fn one_bad_document_leaves_the_others(server: &ElasticServer) {
    let (search, index) = (server.search(), name("bad"));
    let mut options = options(server, &index);
    options.mappings = Some(json!({"properties": {"n": {"type": "integer"}}}));
    let sink = Sink::new(options).unwrap();
    sink.prepare().await.unwrap();
    let mut body = sink.body();
    for id in 0..1000 {
        let value = if id == 500 { "\"many\"" } else { "1" };
        body.push_index(DocumentRef::new(&id.to_string(), 7), format!("{{\"n\":{value}}}").as_bytes());
    }
    body.push_index(DocumentRef::new(&"x".repeat(513), 7), b"{}");
    let verdicts = sink.bulk(&body.seal()).await.unwrap();
    assert_eq!(verdicts.len(), 1001);
    let done = |verdict: &&Verdict| **verdict == Verdict::Done(Outcome::Created);
    assert_eq!(verdicts.iter().filter(done).count(), 999);
    let Verdict::Rejected { kind, reason } = &verdicts[500] else { panic!("{:?}", verdicts[500]) };
    assert!(kind.ends_with("parsing_exception") && reason.contains("[n]"), "{kind}: {reason}");
    assert!(matches!(&verdicts[1000], Verdict::Rejected { kind, .. } if kind == "invalid_id"));
    sink.refresh().await.unwrap();
    assert_eq!(search.count(&index).await, 999);
}

async fn ids_of_any_text_come_back(server: &ElasticServer) {
    let (search, index) = (server.search(), format!("{}.with.dots-ä", name("ids")));
    let sink = ready(server, &index).await;
    let long = "é".repeat(256);
    let ids = ["a\"b\\c", "line\nbreak\ttab\u{1}", "名|\\|😀", " ", "%2F/..", long.as_str()];
    let mut body = sink.body();
    for id in ids {
        body.push_index(DocumentRef::new(id, 7), b"{\"n\":\n1}");
    }
    let verdicts = sink.bulk(&body.seal()).await.unwrap();
    assert_eq!(verdicts, vec![Verdict::Done(Outcome::Created); ids.len()]);
    let path = format!("/{}", index.replace('ä', "%C3%A4"));
    let docs = search.docs(path.trim_start_matches('/')).await.unwrap();
    assert_eq!(docs.keys().map(String::as_str).collect::<BTreeSet<_>>(), ids.into_iter().collect());
    let page = sink.sweep(8, None, 100).await.unwrap();
    assert_eq!(page.stale.len(), ids.len());
}

async fn an_index_is_created_as_told(server: &ElasticServer) {
    let (search, index) = (server.search(), name("create"));
    let mut options = options(server, &index);
    options.mappings = Some(json!({"dynamic": "strict", "_meta": {"team": "shop"}}));
    let sink = Sink::new(options.clone()).unwrap();
    let findings = sink.preflight().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Info);
    assert!(!exists(&search, &format!("{index}*")).await, "a preflight changes nothing");

    let state = sink.prepare().await.unwrap();
    assert_eq!((state.created, state.was_synced), (true, false));
    assert_eq!((state.name.as_str(), state.gc_deletes), (index.as_str(), Duration::from_secs(3600)));
    let made = search.get(&format!("/{index}")).await.json()[&index].clone();
    assert_eq!(made["mappings"]["dynamic"], "strict");
    assert_eq!(made["mappings"]["_meta"]["team"], "shop");
    assert_eq!(made["settings"]["index"]["number_of_shards"], "2");
    assert_eq!(made["settings"]["index"]["uuid"], state.uuid.as_str());
    assert!(made["aliases"].get(&state.write_alias).is_some());
    assert_eq!(sink.preflight().await, []);

    sink.mark_synced().await.unwrap();
    let again = Sink::new(options).unwrap().prepare().await.unwrap();
    assert_eq!((again.created, again.was_synced, again.uuid), (false, true, state.uuid));
    let made = search.get(&format!("/{index}")).await.json()[&index].clone();
    assert_eq!(made["mappings"]["dynamic"], "strict");
    assert_eq!(made["mappings"]["_meta"]["team"], "shop");
}

async fn a_difference_from_what_was_asked_for_is_told_and_not_changed(server: &ElasticServer) {
    let (search, index) = (server.search(), name("differs"));
    let mut options = options(server, &index);
    options.settings = Some(
        json!({"number_of_shards": 1, "index": {"refresh_interval": "5s", "number_of_replicas": "0"},
        "analysis": {"analyzer": {"parts": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase"]}}}}),
    );
    options.mappings = Some(json!({"dynamic": false, "properties": {
        "title": {"type": "text", "analyzer": "parts", "index": true, "fields": {"raw": {"type": "keyword", "ignore_above": 256}}},
        "price": {"type": "double", "doc_values": false}, "on": {"type": "date", "format": "epoch_millis"},
        "o": {"type": "object", "properties": {"x": {"type": "long"}}}}}));
    options.aliases = Some(json!({format!("{index}-all"): {}}));
    let sink = Sink::new(options.clone()).unwrap();
    sink.prepare().await.unwrap();
    assert_eq!(write(&sink, "1", 7, Some(r#"{"title":"A","new":1}"#)).await, Verdict::Done(Outcome::Created));
    assert_eq!(sink.preflight().await, [], "what was created is what was asked for");
    assert!(search.get(&format!("/{index}-all/_search")).await.status == 200);

    let before = search.get(&format!("/{index}")).await.json();
    options.settings = Some(json!({"refresh_interval": "9s"}));
    options.mappings = Some(json!({"properties": {"title": {"type": "keyword"}, "more": {"type": "long"}}}));
    options.aliases = Some(json!({"another": {}}));
    let sink = Sink::new(options).unwrap();
    let findings = sink.preflight().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        (findings[0].severity, findings[0].subject.as_str()),
        (Severity::Warning, "sink.elasticsearch.create")
    );
    for words in [
        "setting index.refresh_interval is 5s and not 9s",
        "mappings.properties.title.type is text and not keyword",
        "mappings.properties.more is not there",
        "alias another is not there",
    ] {
        assert!(findings[0].found.contains(words), "{words}: {}", findings[0].found);
    }
    sink.prepare().await.unwrap();
    assert_eq!(search.get(&format!("/{index}")).await.json(), before, "nothing was changed");
}

async fn an_existing_index_is_adopted(server: &ElasticServer) {
    let (search, index) = (server.search(), name("adopt"));
    let body = json!({"mappings": {"_meta": {"team": "shop"}, "properties": {"n": {"type": "long"}}}});
    let _ = search.put(&format!("/{index}"), &body).await.ok();
    let mut options = options(server, &index);
    options.create = CreateIndex::Never;
    let sink = Sink::new(options).unwrap();
    assert!(matches!(sink.bulk(&sink.body().seal()).await, Err(SinkError::NotPrepared)));
    let state = sink.prepare().await.unwrap();
    assert_eq!((state.created, state.gc_deletes), (false, Duration::from_secs(60)));
    let mappings = search.get(&format!("/{index}")).await.json()[&index]["mappings"].clone();
    assert_eq!(
        (&mappings["_meta"]["team"], &mappings["properties"]["n"]["type"]),
        (&json!("shop"), &json!("long"))
    );
    assert_eq!(write(&sink, "1", 7, Some("{}")).await, Verdict::Done(Outcome::Created));
    sink.release().await.unwrap();
    all_kinds_missing(&sink).await;
}

async fn an_index_has_one_owner_unless_shared(server: &ElasticServer) {
    let index = name("owner");
    let of = |task: &str, shared: bool| {
        let options = SinkOptions { task: task.into(), shared, ..options(server, &index) };
        Sink::new(options).unwrap()
    };
    of("a/one", false).prepare().await.unwrap();
    for shared in [false, true] {
        let other = of("b/two", shared);
        let error = other.prepare().await.unwrap_err();
        assert!(matches!(&error, SinkError::Refused(_)) && error.to_string().contains("a/one"), "{error}");
        let findings = other.preflight().await;
        assert!(findings.iter().any(|f| f.severity == Severity::Error && f.found.contains("a/one")));
    }
    of("a/one", true).prepare().await.unwrap();
    assert!(of("b/two", false).prepare().await.is_err());
    let second = of("b/two", true);
    second.prepare().await.unwrap();
    second.mark_synced().await.unwrap();
    assert!(of("b/two", true).prepare().await.unwrap().was_synced);
    assert!(!of("a/one", true).prepare().await.unwrap().was_synced);
    assert_eq!(write(&second, "1", 7, Some("{}")).await, Verdict::Done(Outcome::Created));
}

async fn aliases_of_one_index_are_followed(server: &ElasticServer) {
    let (search, alias) = (server.search(), name("alias"));
    let (one, two) = (format!("{alias}-v1"), format!("{alias}-v2"));
    let _ = search.put(&format!("/{one}"), &json!({"aliases": {&alias: {}}})).await.ok();
    let sink = sink(server, &alias);
    let state = sink.prepare().await.unwrap();
    assert_eq!((state.name.as_str(), state.created), (one.as_str(), false));
    assert_eq!(write(&sink, "1", 7, Some("{}")).await, Verdict::Done(Outcome::Created));
    sink.refresh().await.unwrap();
    assert_eq!(search.count(&one).await, 1);
    let _ = search.put(&format!("/{two}"), &json!({"aliases": {&alias: {}}})).await.ok();
    let error = sink.prepare().await.unwrap_err().to_string();
    assert!(error.contains(&one) && error.contains(&two), "{error}");
}

/// Field, finding and remedy, both in the preflight and as the error of `prepare`.
async fn expect(options: SinkOptions, severity: Severity, words: &str) {
    let sink = Sink::new(options).unwrap();
    let findings = sink.preflight().await;
    let hit = |f: &&Finding| f.severity == severity && f.to_string().contains(words) && !f.remedy.is_empty();
    assert!(findings.iter().any(|f| hit(&f)), "{words}: {findings:?}");
    let prepared = sink.prepare().await;
    match severity {
        Severity::Error => assert!(prepared.unwrap_err().to_string().contains(words)),
        _ => drop(prepared.unwrap()),
    }
}

async fn findings_name_the_remedy(server: &ElasticServer) {
    let search = server.search();
    let settings = [
        ("translog.durability", "async", Severity::Error, "index.translog.durability: async"),
        ("gc_deletes", "-1", Severity::Error, "index.gc_deletes: 0 s"),
        ("gc_deletes", "30s", Severity::Warning, "index.gc_deletes: 30 s"),
        ("blocks.read_only", "true", Severity::Error, "blocked: read_only"),
        ("blocks.write", "true", Severity::Error, "index.blocks.write"),
        ("blocks.read_only_allow_delete", "true", Severity::Error, "free disk space"),
    ];
    for (setting, value, severity, words) in settings {
        let index = name("finding");
        let body = json!({"settings": {format!("index.{setting}"): value}});
        let _ = search.put(&format!("/{index}"), &body).await.ok();
        expect(options(server, &index), severity, words).await;
    }
    let index = name("finding");
    let _ =
        search.put(&format!("/{index}"), &json!({"mappings": {"_routing": {"required": true}}})).await.ok();
    expect(options(server, &index), Severity::Error, "requires _routing").await;
    let index = name("finding");
    let _ = search.put(&format!("/{index}"), &json!({"settings": {"number_of_replicas": 0}})).await.ok();
    let _ = search.call("POST", &format!("/{index}/_close"), None).await.unwrap().ok();
    expect(options(server, &index), Severity::Error, "is closed").await;
    let mut missing = options(server, &name("finding"));
    missing.create = CreateIndex::Never;
    expect(missing, Severity::Error, "is missing and createIndex is Never").await;
    expect(options(server, "Finding"), Severity::Error, "lower-case").await;
    let mut broken = options(server, &name("finding"));
    broken.mappings = Some(json!({"properties": {"n": {"type": "nope"}}}));
    let error = Sink::new(broken).unwrap().prepare().await.unwrap_err().to_string();
    assert!(error.starts_with("sink.elasticsearch.index: ") && error.contains("nope"), "{error}");
    data_streams(server, &search).await;
}

/// Only where the server has them: this Elasticsearch is built without that module.
async fn data_streams(server: &ElasticServer, search: &Search) {
    let stream = name("stream");
    let template = json!({"index_patterns": [format!("{stream}*")], "data_stream": {}});
    let made = search.put(&format!("/_index_template/{stream}"), &template).await;
    let made = made.status == 200
        && search.put(&format!("/_data_stream/{stream}"), &Value::Null).await.status == 200;
    if made {
        expect(options(server, &stream), Severity::Error, "is a data stream").await;
    }
}

async fn fill(sink: &Sink, documents: u64) {
    for page in 0..documents.div_ceil(5000) {
        let mut body = sink.body();
        for id in page * 5000..((page + 1) * 5000).min(documents) {
            body.push_index(DocumentRef::new(&id.to_string(), 100 + id % 10), b"{\"n\":1}");
        }
        let verdicts = sink.bulk(&body.seal()).await.unwrap();
        assert!(verdicts.iter().all(|v| matches!(v, Verdict::Done(_))));
    }
}

async fn a_sweep_finds_every_old_document(server: &ElasticServer) {
    let sink = ready(server, &name("sweep")).await;
    let empty = sink.sweep(u64::MAX, None, 1000).await.unwrap();
    assert!(empty.stale.is_empty() && empty.cursor.is_none());

    fill(&sink, 23_000).await;
    assert_eq!(write(&sink, "3", 500, None).await, Verdict::Done(Outcome::Deleted));
    let (mut found, mut cursor, mut scanned) = (BTreeSet::new(), None, 0);
    loop {
        let page = sink.sweep(105, cursor, 10_000).await.unwrap();
        assert!(page.scanned > scanned && page.total == 22_999);
        scanned = page.scanned;
        found.extend(page.stale.into_iter().map(|stale| (stale.id.parse::<u64>().unwrap(), stale.version)));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected = (0..23_000).filter(|id| id % 10 < 5 && *id != 3).map(|id| (id, 100 + id % 10));
    assert_eq!(found, expected.collect());
}

async fn a_sweep_that_lost_its_place_says_so(server: &ElasticServer) {
    let search = server.search();
    let index = name("lost");
    let sink = ready(server, &index).await;
    fill(&sink, 100).await;
    let page = sink.sweep(1000, None, 10).await.unwrap();
    // with it goes what the server remembers of this walk, and of no other test's
    let _ = search.delete(&format!("/{index}")).await.ok();
    let error = sink.sweep(1000, page.cursor, 10).await.unwrap_err();
    assert!(matches!(error, SinkError::SweepLost { .. }), "{error}");
}

/// Invariant 1: a document of another routing is deleted in every shard, or not called deleted.
async fn a_routing_is_known_for_each_shard_or_for_none(server: &ElasticServer) {
    let (search, index) = (server.search(), name("unassigned"));
    let settings = json!({"settings": {"number_of_shards": 3, "number_of_replicas": 0,
        "routing.allocation.total_shards_per_node": 1}});
    let _ = search.put(&format!("/{index}?wait_for_active_shards=0"), &settings).await.ok();
    let sink = ready(server, &index).await;
    let error = sink.shard_routings().await.unwrap_err();
    assert!(error.to_string().contains("3 shards") && error.class() == Class::Retry, "{error}");

    let everywhere = json!({"index.routing.allocation.total_shards_per_node": -1});
    let _ = search.put(&format!("/{index}/_settings"), &everywhere).await.ok();
    let routings = wait_until("all shards", PATIENCE, async || {
        sink.shard_routings().await.map_err(|error| error.to_string())
    })
    .await;
    let mut reached = BTreeSet::new();
    for routing in routings.iter() {
        let answer = search.get(&format!("/{index}/_search_shards?routing={routing}")).await.json();
        reached.insert(answer["shards"][0][0]["shard"].as_u64().unwrap());
    }
    assert_eq!(reached, BTreeSet::from([0, 1, 2]), "{routings:?}");
}
