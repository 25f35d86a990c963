//! What was last seen of the cluster, and who is to be told of a change.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::runtime::watcher::Event;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{Observed, secrets};
use crate::api::{Reindex, SyncTask};

/// Namespace and name.
pub(super) type Place = (String, String);

/// What is watched: a namespace, or all of them where it is `None`.
pub(super) type Scope = Option<String>;

/// Objects of one kind, as they were last seen.
pub(super) struct Cache<K> {
    objects: RwLock<BTreeMap<Place, Arc<K>>>,
    /// So many scopes have been listed once.
    listed: watch::Sender<usize>,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { objects: RwLock::default(), listed: watch::Sender::new(0) }
    }
}

impl<K: Resource> Cache<K> {
    pub(super) fn get(&self, place: &Place) -> Option<Arc<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The objects of a namespace, by name.
    pub(super) fn of(&self, namespace: &str) -> Vec<Arc<K>> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let from = objects.range((namespace.to_owned(), String::new())..);
        from.take_while(|(place, _)| place.0 == namespace).map(|(_, object)| Arc::clone(object)).collect()
    }

    /// Takes what a watch said; gives the objects that changed, as they are or last were.
    fn take(&self, scope: &Scope, list: &mut BTreeMap<Place, Arc<K>>, event: Event<K>) -> Vec<Arc<K>> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                list.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                list.insert(place(&object), Arc::new(object));
                Vec::new()
            }
            Event::InitDone => {
                let list = std::mem::take(list);
                let mine = |place: &Place| scope.as_ref().is_none_or(|namespace| place.0 == *namespace);
                let version = |object: &Arc<K>| object.meta().resource_version.clone();
                let known = |place: &Place, object| objects.get(place).map(version) == Some(version(object));
                let mut changed: Vec<_> = list
                    .iter()
                    .filter(|(place, object)| !known(place, object))
                    .map(|(_, o)| Arc::clone(o))
                    .collect();
                let gone = objects.iter().filter(|(place, _)| mine(place) && !list.contains_key(*place));
                changed.extend(gone.map(|(_, object)| Arc::clone(object)));
                objects.retain(|place, _| !mine(place));
                objects.extend(list);
                changed
            }
            Event::Apply(object) => {
                let object = Arc::new(object);
                objects.insert(place(&*object), Arc::clone(&object));
                vec![object]
            }
            Event::Delete(object) => {
                objects.remove(&place(&object));
                vec![Arc::new(object)]
            }
        }
    }

    /// Waits until so many scopes have been listed.
    async fn listed(&self, scopes: usize) {
        // the sender lives as long as the cache
        let _ = self.listed.subscribe().wait_for(|listed| *listed >= scopes).await;
    }
}

fn place<K: Resource>(object: &K) -> Place {
    let meta = object.meta();
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// All that is watched.
pub(super) struct World {
    pub(super) tasks: Cache<Observed<SyncTask>>,
    pub(super) reindexes: Cache<Observed<Reindex>>,
    /// Metadata only: values are read when they are needed.
    pub(super) secrets: Cache<PartialObjectMeta<Secret>>,
    /// Tasks to look at.
    changed: mpsc::UnboundedSender<Place>,
    scopes: usize,
}

impl World {
    /// Watches the scopes for as long as the world is used; `only` one task where it is given.
    pub(super) fn watch(
        client: &kube::Client,
        scopes: Vec<Scope>,
        only: Option<&str>,
        changed: mpsc::UnboundedSender<Place>,
    ) -> Arc<Self> {
        let (tasks, reindexes, secrets) = (Cache::default(), Cache::default(), Cache::default());
        let world = Arc::new(Self { tasks, reindexes, secrets, changed, scopes: scopes.len() });
        let task_config = match only {
            Some(name) => watcher::Config::default().fields(&format!("metadata.name={name}")),
            None => watcher::Config::default(),
        };
        for scope in scopes {
            let config = task_config.clone();
            tokio::spawn(follow(
                Arc::clone(&world),
                scope.clone(),
                api(client, &scope),
                config,
                |world| &world.tasks,
                Self::task_changed,
            ));
            let config = watcher::Config::default();
            tokio::spawn(follow(
                Arc::clone(&world),
                scope.clone(),
                api(client, &scope),
                config.clone(),
                |world| &world.reindexes,
                Self::reindex_changed,
            ));
            tokio::spawn(follow(
                Arc::clone(&world),
                scope.clone(),
                api(client, &scope),
                config,
                |world| &world.secrets,
                Self::secret_changed,
            ));
        }
        world
    }

    /// A world that nobody watches.
    #[cfg(test)]
    pub(super) fn of(tasks: Vec<Observed<SyncTask>>, all: Vec<Observed<Reindex>>) -> Arc<Self> {
        let (cached, reindexes) = (Cache::default(), Cache::default());
        for task in tasks {
            cached.take(&None, &mut BTreeMap::new(), Event::Apply(task));
        }
        for reindex in all {
            reindexes.take(&None, &mut BTreeMap::new(), Event::Apply(reindex));
        }
        let (changed, _) = mpsc::unbounded_channel();
        Arc::new(Self { tasks: cached, reindexes, secrets: Cache::default(), changed, scopes: 1 })
    }

    /// Waits until everything has been listed once.
    pub(super) async fn known(&self) {
        self.tasks.listed(self.scopes).await;
        self.reindexes.listed(self.scopes).await;
        self.secrets.listed(self.scopes).await;
    }

    /// The Reindexes that name a task.
    pub(super) fn reindexes_of(&self, task: &Place) -> Vec<Arc<Observed<Reindex>>> {
        let mut all = self.reindexes.of(&task.0);
        all.retain(|reindex| reindex.resource.as_ref().is_ok_and(|r| r.spec.task_ref.name == task.1));
        all
    }

    fn tell(&self, task: Place) {
        // nobody listens once the process ends
        let _ = self.changed.send(task);
    }

    fn task_changed(&self, task: &Observed<SyncTask>) {
        self.tell(place(task));
    }

    fn reindex_changed(&self, reindex: &Observed<Reindex>) {
        if let Ok(resource) = &reindex.resource {
            self.tell((place(reindex).0, resource.spec.task_ref.name.clone()));
        }
    }

    fn secret_changed(&self, secret: &PartialObjectMeta<Secret>) {
        let (namespace, name) = place(secret);
        for task in self.tasks.of(&namespace) {
            if task.resource.as_ref().is_ok_and(|task| secrets::names(&task.spec).contains(&name.as_str())) {
                self.tell(place(&*task));
            }
        }
    }
}

fn api<K>(client: &kube::Client, scope: &Scope) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

async fn follow<K>(
    world: Arc<World>,
    scope: Scope,
    api: Api<K>,
    config: watcher::Config,
    cache: fn(&World) -> &Cache<K>,
    changed: fn(&World, &K),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut events = pin!(watcher(api, config));
    let (mut list, mut first) = (BTreeMap::new(), true);
    // the next pause, where the last try failed
    let mut broken: Option<Duration> = None;
    let kind = K::kind(&()).into_owned();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                if broken.is_none() {
                    warn!(kind, namespace = scope, "watching is interrupted: {error}");
                }
                let pause = broken.unwrap_or(FIRST_PAUSE);
                broken = Some((pause * 2).min(LAST_PAUSE));
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
                continue;
            }
        };
        // a list that is begun is no success yet
        if !matches!(event, Event::Init) && broken.take().is_some() {
            info!(kind, namespace = scope, "watching goes on");
        }
        let done = matches!(event, Event::InitDone);
        let cache = cache(&world);
        for object in cache.take(&scope, &mut list, strip(event)) {
            changed(&world, &object);
        }
        if done && std::mem::take(&mut first) {
            cache.listed.send_modify(|listed| *listed += 1);
        }
    }
}

/// Pauses between two tries of a watch, doubled from the first to the last. kube's own grow to half a minute,
/// and begin anew with each list that is only begun.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Leaves out what nobody here reads and what may be large.
fn strip<K: Resource<DynamicType = ()>>(event: Event<K>) -> Event<K> {
    event.modify(|object| {
        object.meta_mut().managed_fields = None;
        // kubectl keeps what was applied in an annotation, values and all
        if K::kind(&()) == "Secret" {
            object.meta_mut().annotations = None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Meta = PartialObjectMeta<Secret>;

    fn secret(namespace: &str, name: &str, version: &str) -> Meta {
        let mut meta = Meta::default();
        meta.metadata.namespace = Some(namespace.into());
        meta.metadata.name = Some(name.into());
        meta.metadata.resource_version = Some(version.into());
        meta
    }

    #[test]
    fn what_a_secret_says_is_not_kept() {
        let mut applied = secret("a", "mysql", "1");
        let annotation = ("kubectl.kubernetes.io/last-applied-configuration".to_owned(), "data".to_owned());
        applied.metadata.annotations = Some([annotation.clone()].into());
        let Event::Apply(kept) = strip(Event::Apply(applied)) else { panic!("another event") };
        assert_eq!(kept.metadata.annotations, None);
        // a task's tell when to restart it
        let (key, value) = annotation;
        let task = serde_json::json!({"metadata": {"annotations": {key: value}}});
        let task: Observed<SyncTask> = serde_json::from_value(task).unwrap();
        let Event::Apply(kept) = strip(Event::Apply(task)) else { panic!("another event") };
        assert!(kept.meta().annotations.is_some());
    }

    #[test]
    fn a_list_tells_what_changed_and_what_is_gone_of_its_scope() {
        let cache = Cache::<Meta>::default();
        let (scope, mut list) = (Some("a".to_owned()), BTreeMap::new());
        let names = |changed: Vec<Arc<Meta>>| {
            changed.iter().filter_map(|meta| meta.metadata.name.clone()).collect::<Vec<_>>()
        };
        for object in [secret("a", "stays", "1"), secret("a", "goes", "1"), secret("b", "other", "1")] {
            cache.take(&None, &mut list, Event::Apply(object));
        }
        cache.take(&scope, &mut list, Event::Init);
        cache.take(&scope, &mut list, Event::InitApply(secret("a", "stays", "1")));
        cache.take(&scope, &mut list, Event::InitApply(secret("a", "new", "2")));
        let mut changed = names(cache.take(&scope, &mut list, Event::InitDone));
        changed.sort();
        assert_eq!(changed, ["goes", "new"]);
        assert_eq!((cache.of("a").len(), cache.of("b").len()), (2, 1));
        assert_eq!(names(cache.take(&scope, &mut list, Event::Delete(secret("a", "new", "3")))), ["new"]);
        assert!(cache.get(&("a".into(), "new".into())).is_none());
    }
}
