//! Asks every node, several times a second, what it believes itself to be; records each change.
//!
//! The answers are the nodes' own words: two of them may claim to lead at once, and that is worth seeing.
//! They name whom a strike on the leader hits. Nothing is concluded here.

use super::{Control, node_id};
use history::{Event, NodeId};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use targets::{Deployed, RoleView};
use tokio::task::AbortHandle;

const EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_millis(150);

/// The latest views, shared with whoever resolves roles.
pub type Latest = Arc<Mutex<Vec<Option<RoleView>>>>;

pub struct Roles {
    latest: Latest,
    task: AbortHandle,
}

impl Roles {
    pub fn start(deployed: Arc<dyn Deployed>, control: Arc<Control>) -> Roles {
        let latest: Latest = Arc::default();
        let task = tokio::spawn(watch(deployed, control, latest.clone())).abort_handle();
        Roles { latest, task }
    }

    pub fn latest(&self) -> Latest {
        self.latest.clone()
    }

    pub fn stop(&self) {
        self.task.abort();
    }
}

async fn watch(deployed: Arc<dyn Deployed>, control: Arc<Control>, latest: Latest) {
    let mut known: Vec<Option<RoleView>> = Vec::new();
    loop {
        let views = deployed.roles(PATIENCE).await;
        known.resize(views.len(), None);
        for (i, view) in views.iter().enumerate() {
            if let Some(view) = view
                && known[i].as_ref() != Some(view)
            {
                let (role, term) = (view.role.as_str().into(), view.term);
                control.record(|time| Event::Role { time, node: node_id(i), role, term });
                known[i] = Some(view.clone());
            }
        }
        *latest.lock().unwrap_or_else(|e| e.into_inner()) = views;
        tokio::time::sleep(EVERY).await;
    }
}

/// Who leads by its own word; of several the one with the highest term.
pub fn leader(latest: &Latest) -> Option<NodeId> {
    let views = latest.lock().unwrap_or_else(|e| e.into_inner());
    let leading =
        views.iter().enumerate().filter_map(|(i, v)| v.as_ref().filter(|v| v.leads).map(|v| (v.term, i)));
    leading.max().map(|(_, i)| node_id(i))
}
