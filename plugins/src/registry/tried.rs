//! What is to take over is tried on requests that came lately.

use std::sync::Arc;

use crate::chain::{Chain, Link, OnFailure, Rejected, Scratch, Whose};
use crate::configured::Configured;
use crate::draft::Draft;
use crate::route::Router;
use crate::samples::Sample;
use crate::worlds::World;

/// A plugin that is tried on requests that came lately.
pub(super) enum Tried {
    Chain(Chain),
    Router(Router),
}

impl Tried {
    /// Nothing for one that is not called with what requests bring.
    pub(super) fn new(configured: &Arc<Configured>) -> Option<Self> {
        let configured = Arc::clone(configured);
        match configured.plugin().world() {
            World::SpanProcessor | World::HeadSampler | World::TailSampler => {
                let on_failure = OnFailure::Reject;
                let link = Link { configured, on_failure, canary: None, is_shadow: false };
                Some(Self::Chain(Chain::new(vec![link], Arc::default())))
            }
            World::Router => {
                Some(Self::Router(Router::new(configured, OnFailure::Reject, Arc::default())))
            }
            World::Authenticator | World::TableRefresher => None,
        }
    }

    pub(super) fn run(&self, sample: &Sample, scratch: &mut Scratch) -> Result<(), Rejected> {
        let wants = match self {
            Self::Chain(chain) => chain.wants(),
            Self::Router(router) => router.wants(),
        };
        let Some(mut draft) = Draft::of(&sample.body, wants) else { return Ok(()) };
        let whose = Whose { tenant: &sample.tenant, peer: None };
        match self {
            Self::Chain(chain) => chain.run(&mut draft, whose, scratch),
            Self::Router(router) => router.run(&draft, whose, scratch).map(drop),
        }
    }
}
