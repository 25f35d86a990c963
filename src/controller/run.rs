//! The life of the operator (or of a worker's pod): watches, an actor for each task, and their end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::events::Events;
use super::world::{Place, World};
use super::{Cluster, ControllerError, Stage, reindex, task};
use crate::metrics::Metrics;

/// How long the end may take: what was in flight is done again by the next owner.
const DRAIN: Duration = Duration::from_secs(25);

/// The pause after an actor that broke: what broke it may be there still.
const BROKEN: Duration = Duration::from_secs(1);

/// What this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The operator: runs shared tasks, makes pods for dedicated ones, clears up.
    Operator {
        /// The image of pods for dedicated tasks that name none.
        image: Option<String>,
        /// Their ServiceAccount.
        service_account: String,
    },
    /// A pod for one dedicated task.
    Worker {
        /// The task's name.
        task: String,
    },
}

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Namespaces to watch; none: all.
    pub namespaces: Vec<String>,
    /// Who we are, for status and events.
    pub identity: String,
    /// What we are.
    pub mode: Mode,
}

/// What all actors share.
pub(super) struct Context {
    pub(super) cluster: Cluster,
    pub(super) world: Arc<World>,
    pub(super) events: Events,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: Settings,
}

impl Context {
    pub(super) fn is_operator(&self) -> bool {
        matches!(self.settings.mode, Mode::Operator { .. })
    }
}

/// Works until `stop` is true, then drains. `stage` becomes Working once everything has been seen.
///
/// # Errors
/// None at the moment but a mistake in the metrics: what the API server refuses is said and tried again.
pub(super) async fn run(
    cluster: Cluster,
    settings: Settings,
    metrics: Arc<Metrics>,
    stage: &watch::Sender<Stage>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ControllerError> {
    let (changed, mut to_look_at) = mpsc::unbounded_channel();
    let only = match &settings.mode {
        Mode::Worker { task } => Some(task.as_str()),
        Mode::Operator { .. } => None,
    };
    let scopes = match settings.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let world = World::watch(&cluster.raw(), scopes, only, changed);
    let events = Events::new(cluster.clone(), &settings.identity);
    let context = Arc::new(Context { cluster, world: Arc::clone(&world), events, metrics, settings });
    tokio::select! {
        () = world.known() => {}
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    }
    info!("the cluster's tasks are known");
    stage.send_replace(Stage::Working);
    let mut chores = JoinSet::new();
    if context.is_operator() {
        chores.spawn(reindex::clear_up(Arc::clone(&context)));
    }
    let mut actors = Actors { context, stop: stop.clone(), wakes: HashMap::new(), running: JoinSet::new() };
    loop {
        tokio::select! {
            Some(place) = to_look_at.recv() => actors.look_at(place),
            Some(ended) = actors.running.join_next() => actors.ended(ended),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    if tokio::time::timeout(DRAIN, async { while actors.running.join_next().await.is_some() {} })
        .await
        .is_err()
    {
        warn!("not every task ended within {} s; what was in flight is done again", DRAIN.as_secs());
    }
    Ok(())
}

/// The actors, one for each task.
struct Actors {
    context: Arc<Context>,
    stop: watch::Receiver<bool>,
    wakes: HashMap<Place, Arc<Notify>>,
    running: JoinSet<Place>,
}

impl Actors {
    fn look_at(&mut self, place: Place) {
        match self.wakes.get(&place) {
            Some(wake) => wake.notify_one(),
            None if self.context.world.tasks.get(&place).is_some() => {
                let wake = Arc::new(Notify::new());
                self.wakes.insert(place.clone(), Arc::clone(&wake));
                // boxed here: what watches over it would hold as much memory again
                let actor =
                    Box::pin(task::run(Arc::clone(&self.context), place.clone(), wake, self.stop.clone()));
                self.running.spawn(async move {
                    let inner = tokio::spawn(actor);
                    if inner.await.is_err() {
                        error!(namespace = place.0, task = place.1, "the task's actor broke; it begins anew");
                        tokio::time::sleep(BROKEN).await;
                    }
                    place
                });
            }
            None => {}
        }
    }

    /// An actor ended, and with it its worker. The task may have come back while it did.
    fn ended(&mut self, place: Result<Place, tokio::task::JoinError>) {
        if let Ok(place) = place {
            self.wakes.remove(&place);
            self.look_at(place);
        }
    }
}
