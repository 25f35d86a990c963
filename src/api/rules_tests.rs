//! The schema, the rules in Rust and the CEL rules agree on good and bad objects.

#![allow(clippy::too_many_lines)] // tables of cases

use serde_json::{Value, json};

use super::super::{Reindex, Resource, SyncTask, check};

/// A spec with nothing but what must be there.
pub(in crate::api) fn task() -> Value {
    json!({
        "source": {"host": "127.0.0.1", "credentials": {"secretRef": {"name": "shop-mysql"}}},
        "query": {"sql": "SELECT o.id FROM shop.orders o WHERE o.id IN (:ids)", "key": "id"},
        "sink": {"elasticsearch": {"addresses": ["http://127.0.0.1:9200"], "index": "orders"}},
    })
}

fn object(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": super::super::API_VERSION, "kind": kind, "metadata": {"name": "orders"}, "spec": spec})
}

/// The task with one value set, `null` to remove it.
pub(in crate::api) fn with(pointer: &str, value: Value) -> Value {
    let mut spec = task();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut at = &mut spec;
    for part in parent.split('/').filter(|p| !p.is_empty()) {
        at = &mut at[part];
        if at.is_null() {
            *at = json!({});
        }
    }
    if value.is_null() {
        at.as_object_mut().unwrap().remove(name);
    } else {
        at[name] = value;
    }
    spec
}

pub(in crate::api) fn fields<R: Resource>(kind: &str, spec: &Value) -> Vec<String> {
    match check::<R>(&object(kind, spec)) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    }
}

/// Both judges on a spec that its types can hold.
pub(in crate::api) fn cel<R>(kind: &str, spec: &Value) -> (Vec<String>, String)
where
    R: Resource + serde::Serialize + kube::CustomResourceExt,
{
    let resource: R = serde_json::from_value(object(kind, spec)).unwrap();
    let ours = resource.validate().iter().map(ToString::to_string).collect();
    let theirs = kube::core::cel::validate_cel(&resource).err().map(|e| e.to_string()).unwrap_or_default();
    // kube-cel has no type(); an API server has. There the judge is the e2e test on a real one.
    let theirs = theirs.lines().filter(|l| l.contains("spec") && !l.contains("rule references 'type'"));
    (ours, theirs.collect())
}

#[test]
fn a_task_with_defaults_is_fine() {
    let task: SyncTask = check(&object("SyncTask", &task())).unwrap();
    assert_eq!((task.spec.source.port(), task.spec.limits.lanes), (3306, 8));
    assert_eq!(task.spec.stall_timeout.to_string(), "5m");
    assert!(kube::core::cel::validate_cel(&task).is_ok());
}

#[test]
fn everything_that_may_be_given_is_fine() {
    let mut spec = task();
    spec["query"]["keys"] = json!(["a", "b"]);
    spec["query"].as_object_mut().unwrap().remove("key");
    spec["query"]["volatile"] = json!("Allow");
    spec["source"]["tls"] = json!({"mode": "VerifyIdentity", "serverName": "db",
        "caSecretRef": {"name": "ca", "key": "pem"}, "clientSecretRef": {"name": "me"}});
    spec["source"]["serverId"] = json!(4_294_967_295_i64);
    spec["sink"]["shared"] = json!(true);
    spec["sink"]["elasticsearch"]["addresses"] = json!(["https://a:9200", "https://b/es"]);
    spec["sink"]["elasticsearch"]["tls"] =
        json!({"insecureSkipVerify": true, "clientSecretRef": {"name": "me"}});
    spec["sink"]["elasticsearch"]["refresh"] = json!("wait_for");
    spec["sink"]["elasticsearch"]["gzip"] = json!(true);
    spec["sink"]["elasticsearch"]["auth"] = json!({"apiKey": {"secretRef": {"name": "es"}}});
    spec["mapping"] = json!({"tables": [
        {"table": "shop.a", "column": "id"}, {"table": "b", "ignore": true}, {"table": "c", "all": true},
        {"table": "d", "columns": ["x"]},
        {"table": "e", "lookup": {"sql": "SELECT id FROM x WHERE y IN (:keys)", "key": "z", "pageSize": 5,
            "orderKey": "id", "maxPages": 3}}],
        "rewrite": [{"match": "^a_[0-9]+$", "table": "a"}],
        "sharding": {"variable": "shard", "strategy": "crc32", "shards": 64, "suffixWidth": 2}});
    spec["query"]["table"] = json!("shop.a");
    spec["query"]["batch"] = json!("One");
    spec["query"]["rows"] = json!("First");
    spec["query"]["children"] = json!([{"field": "x", "sql": "SELECT a, b, c FROM y WHERE (a, b) IN (:ids)",
        "keys": ["a", "b"], "orderBy": "c", "fields": ["c"]}]);
    spec["onMissing"] = json!("Keep");
    spec["isolation"] = json!("Dedicated");
    spec["worker"] = json!({"nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}],
        "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}, "priorityClassName": "low"});
    spec["onChange"] = json!("Keep");
    spec["deletionPolicy"] = json!("DeleteIndex");
    spec["limits"] = json!({"lanes": 8, "queryTimeout": "90s", "linger": "50ms", "connections": 8});
    let (ours, theirs) = cel::<SyncTask>("SyncTask", &spec);
    assert!(fields::<SyncTask>("SyncTask", &spec).is_empty() && ours.is_empty(), "{ours:?}");
    assert_eq!(theirs, "");
    for selection in [
        json!({}),
        json!({"range": {"min": 1000, "max": 5000}}),
        json!({"range": {"min": "b", "max": "a"}}),
        json!({"where": "id > 5"}),
        json!({"ids": [1, "a"]}),
        json!({"deadLetters": true}),
    ] {
        let spec = json!({"taskRef": {"name": "orders"}, "selection": selection});
        assert!(fields::<Reindex>("Reindex", &spec).is_empty(), "{spec}");
        let (ours, theirs) = cel::<Reindex>("Reindex", &spec);
        assert!(ours.is_empty() && theirs.is_empty(), "{spec}: {ours:?} {theirs}");
    }
}

#[test]
fn the_schema_names_field_finding_and_remedy() {
    for (pointer, value, expected) in [
        (
            "/hosts",
            json!(1),
            "spec.hosts: unknown field; remove it (known here: deletionPolicy, initialSync, isolation",
        ),
        ("/source/hots", json!("x"), "spec.source.hots: unknown field; did you mean \"host\"?"),
        ("/dryRun", json!(true), "spec.dryRun: not supported by this version; remove it"),
        ("/source/host", Value::Null, "spec.source.host: missing; add it (Host name or address)"),
        ("/source/host", json!(""), "spec.source.host: empty; needs at least 1 characters"),
        (
            "/source/port",
            json!("3306"),
            "spec.source.port: found the text \"3306\", expected an integer; write",
        ),
        ("/source/port", json!(0), "spec.source.port: found 0; must be between 1 and 65535"),
        ("/source/port", json!(3306.5), "spec.source.port: found the number 3306.5, expected an integer"),
        (
            "/source/host",
            json!(12),
            "spec.source.host: found the number 12, expected a text; put it in quotes",
        ),
        (
            "/state",
            json!("running"),
            "spec.state: found the text \"running\"; use one of Running, Paused, Stopped",
        ),
        (
            "/source/tls/mode",
            json!("preferred"),
            "spec.source.tls.mode: found the text \"preferred\"; use one of",
        ),
        (
            "/stallTimeout",
            json!("5 minutes"),
            "spec.stallTimeout: found the text \"5 minutes\"; write for example",
        ),
        ("/query/keys", json!(["a", "a"]), "spec.query.keys[1]: the same as entry [0]; remove one of them"),
        ("/query/keys", json!("a"), "spec.query.keys: found the text \"a\", expected a list"),
        (
            "/sink/elasticsearch/addresses",
            json!([]),
            "spec.sink.elasticsearch.addresses: empty; needs at least 1",
        ),
        (
            "/sink/elasticsearch/index",
            json!("Orders"),
            "spec.sink.elasticsearch.index: found \"Orders\"; use lower case",
        ),
        (
            "/sink/elasticsearch/auth",
            json!({}),
            "spec.sink.elasticsearch.auth: nothing chosen; give exactly one of",
        ),
        (
            "/sink/elasticsearch/refresh",
            json!(false),
            "spec.sink.elasticsearch.refresh: found false, expected a text",
        ),
        (
            "/mapping/tables",
            json!([{"table": "a", "lookup": {}}]),
            "spec.mapping.tables[0].lookup.key: missing; add it",
        ),
        (
            "/mapping/tables",
            json!([{"table": "a", "all": true}, {"table": "a", "ignore": true}]),
            "spec.mapping.tables[1]: the same as entry [0]",
        ),
    ] {
        let found = fields::<SyncTask>("SyncTask", &with(pointer, value));
        assert!(found.iter().any(|f| f.starts_with(expected)), "{pointer}: {found:#?}");
    }
    assert_eq!(
        fields::<SyncTask>("SyncTask", &Value::Null),
        ["spec: found nothing, expected a map of fields; write it"]
    );
    let login = with("/sink/elasticsearch/addresses", json!(["http://u:planted@h:9200"]));
    let found = fields::<SyncTask>("SyncTask", &login).concat();
    assert!(found.contains("(hidden)@h:9200") && !found.contains("planted"), "{found}");
}

#[test]
fn rules_between_fields_are_the_cel_rules() {
    for (pointer, value, expected) in [
        ("/query/key", Value::Null, "spec.query.key: neither"),
        ("/query/keys", json!(["a", "b"]), "spec.query.key: both"),
        ("/query/sql", json!("SELECT id FROM t WHERE id = :id"), "spec.query.sql: no placeholder"),
        ("/query/sql", json!("SELECT bin(:ids) FROM t"), "spec.query.sql: no placeholder"),
        (
            "/source/tls",
            json!({"mode": "Required", "caSecretRef": {"name": "a"}}),
            "spec.source.tls.caSecretRef: a CA is given",
        ),
        (
            "/source/tls",
            json!({"serverName": "a"}),
            "spec.source.tls.serverName: a name is given, but mode Pref",
        ),
        (
            "/source/tls",
            json!({"mode": "Disabled", "clientSecretRef": {"name": "a"}}),
            "spec.source.tls.clientSecretRef: a certificate is given",
        ),
        (
            "/sink/elasticsearch/tls",
            json!({}),
            "spec.sink.elasticsearch.addresses[0]: \"http://127.0.0.1:9200\"",
        ),
        (
            "/sink/elasticsearch",
            json!({"addresses": ["https://a"], "index": "a",
                "tls": {"insecureSkipVerify": true, "caSecretRef": {"name": "a"}}}),
            "spec.sink.elasticsearch.tls: a CA is given",
        ),
        (
            "/mapping/tables",
            json!([{"table": "a"}]),
            "spec.mapping.tables[0]: the rule for \"a\" says nothing",
        ),
        (
            "/mapping/tables",
            json!([{"table": "a", "column": "b", "all": true}]),
            "spec.mapping.tables[0]: the rule for \"a\" gives column and all",
        ),
        (
            "/mapping/tables",
            json!([{"table": "a", "ignore": false}]),
            "spec.mapping.tables[0].ignore: found false",
        ),
        (
            "/mapping/rewrite",
            json!([{"match": "a(", "table": "b"}]),
            "spec.mapping.rewrite[0].match: \"a(\" is no regular expression",
        ),
        (
            "/query/children",
            json!([{"field": "x", "sql": "SELECT a FROM b WHERE a IN (:ids)"}]),
            "spec.query.children[0].key: no key is given",
        ),
        (
            "/query/children",
            json!([{"field": "x", "sql": "SELECT a FROM b WHERE a = 1", "key": "a"}]),
            "spec.query.children[0].sql: no placeholder",
        ),
        ("/limits/linger", json!("11s"), "spec.limits.linger: found 11s"),
        ("/worker", json!({"image": "a"}), "spec.worker: a pod is described"),
        ("/stallTimeout", json!("500ms"), "spec.stallTimeout: found 500ms; must be between 1s and 24h"),
        ("/limits/queryTimeout", json!("2h"), "spec.limits.queryTimeout: found 2h"),
        ("/limits/bulkTimeout", json!("0s"), "spec.limits.bulkTimeout: found 0s"),
        ("/limits/checkpointInterval", json!("11m"), "spec.limits.checkpointInterval: found 11m"),
    ] {
        let spec = with(pointer, value);
        let found = fields::<SyncTask>("SyncTask", &spec);
        assert!(found.iter().any(|f| f.starts_with(expected)), "{pointer}: {found:#?}");
        let (ours, theirs) = cel::<SyncTask>("SyncTask", &spec);
        assert!(!ours.is_empty() && !theirs.is_empty(), "{spec}: {ours:?} against CEL {theirs:?}");
    }
    for sql in ["id in(?)", "id IN ( :auto_ids )", "(a, b) IN (:keys)", "id\nIN\n(:x1)"] {
        let spec = with("/query/sql", json!(format!("SELECT 1 FROM t WHERE {sql}")));
        let (ours, theirs) = cel::<SyncTask>("SyncTask", &spec);
        assert!(ours.is_empty() && theirs.is_empty(), "{sql}: {ours:?} {theirs}");
    }
}

#[test]
fn variables_of_sharded_names() {
    for (value, expected) in [
        (json!({"variable": "a b", "shards": 2}), "spec.mapping.sharding[0].variable: found"),
        (json!([{"variable": "a", "shards": 0}]), "spec.mapping.sharding[0].shards: found 0"),
        (json!({"variable": "a", "shards": 2, "format": "x"}), "spec.mapping.sharding[0].format"),
        (
            json!({"variable": "a", "shards": 2, "strategy": "md5"}),
            ": spec.mapping.sharding: unknown variant",
        ),
        (json!({"variable": "a", "shards": 2, "suffix": 3}), ": spec.mapping.sharding: unknown field"),
    ] {
        let found = fields::<SyncTask>("SyncTask", &with("/mapping/sharding", value.clone()));
        assert!(found.iter().any(|f| f.contains(expected.trim_start_matches(": "))), "{value}: {found:#?}");
    }
}

/// What an API server says to an edit.
fn edited<R>(kind: &str, before: &Value, after: &Value) -> String
where
    R: Resource + serde::Serialize + kube::CustomResourceExt,
{
    let [before, after]: [R; 2] =
        [before, after].map(|spec| serde_json::from_value(object(kind, spec)).unwrap());
    let refused = kube::core::cel::validate_cel_update(&after, &before).err();
    refused.map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_must_not_change_does_not() {
    let reindex = |task: &str, ids: Value| json!({"taskRef": {"name": task}, "selection": {"ids": ids}});
    let before = reindex("orders", json!(["a"]));
    let mut shorter = before.clone();
    shorter["ttlSecondsAfterFinished"] = json!(60);
    assert_eq!(edited::<Reindex>("Reindex", &before, &shorter), "");
    for after in [reindex("other", json!(["a"])), reindex("orders", json!(["b"]))] {
        let said = edited::<Reindex>("Reindex", &before, &after);
        assert!(said.contains("cannot change; make another Reindex"), "{after}: {said}");
    }
    let mut kept = with("/onChange", json!("Keep"));
    let before = kept.clone();
    kept["query"]["sql"] = json!("SELECT o.id, o.a FROM shop.orders o WHERE o.id IN (:ids)");
    assert_eq!(edited::<SyncTask>("SyncTask", &before, &kept), "");
    kept["query"]["key"] = json!("a");
    assert!(edited::<SyncTask>("SyncTask", &before, &kept).contains("query.key cannot change"));
    kept["onChange"] = json!("Full");
    assert_eq!(edited::<SyncTask>("SyncTask", &before, &kept), "");
}

#[test]
fn selections_exclude_each_other() {
    for (selection, expected) in [
        (json!({"where": "a", "ids": [1]}), "spec.selection: found where and ids; give one of"),
        (json!({"range": {}}), "spec.selection.range: neither min nor max"),
        (json!({"range": {"min": 5, "max": 5}}), "spec.selection.range: found min 5 and max 5"),
        (json!({"deadLetters": false}), "spec.selection.deadLetters: found false"),
    ] {
        let spec = json!({"taskRef": {"name": "orders"}, "selection": selection});
        let found = fields::<Reindex>("Reindex", &spec);
        assert!(found.iter().any(|f| f.starts_with(expected)), "{spec}: {found:#?}");
        let (ours, theirs) = cel::<Reindex>("Reindex", &spec);
        let judged = !theirs.is_empty() || spec["selection"]["range"]["min"].is_number();
        assert!(!ours.is_empty() && judged, "{spec}: {ours:?} against CEL {theirs:?}");
    }
    let spec = json!({"taskRef": {"name": "orders"}, "selection": {"ids": [1.5]}, "pageSize": 0});
    let found = fields::<Reindex>("Reindex", &spec);
    assert!(found[0].starts_with("spec.pageSize: found 0; must be between 1 and 10000"), "{found:?}");
    assert!(
        found[1].starts_with("spec.selection.ids[0]: found the number 1.5, expected an integer or a text")
    );
}

#[test]
fn a_reindex_has_not_the_name_of_a_tasks_own_builds() {
    let mut object = object("Reindex", &json!({"taskRef": {"name": "orders"}}));
    let fine: Reindex = check(&object).unwrap();
    assert!(kube::core::cel::validate_cel(&fine).is_ok());
    object["metadata"]["name"] = json!("full");
    assert_eq!(check::<Reindex>(&object).unwrap_err()[0].field, "metadata.name");
    let named: Reindex = serde_json::from_value(object).unwrap();
    let theirs = kube::core::cel::validate_cel(&named).unwrap_err().to_string();
    assert!(theirs.contains("must be another one than full"), "{theirs}");
}
