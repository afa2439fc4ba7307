//! One kind of objects: listed, then watched from the version of the list on; listed anew where the server does not know
//! that version any more.

use std::time::Duration;

use super::Shared;
use super::api::{Api, Kind, Refused};
use super::cluster::OBJECTS_MAX;
use super::object::{Event, Object};
use crate::attach::tables::sink::{self, Fault};
use crate::clock::{self, spread};

/// After a request that came to nothing; twice as long each time.
const FAILED_WAIT: Duration = Duration::from_secs(1);
/// Doublings of it, at most: a minute.
const DOUBLINGS_MAX: u32 = 6;
/// A watch that ends at once is not begun again at once.
const ENDED_WAIT: Duration = Duration::from_secs(1);

/// Keeps up with all objects of a kind.
#[expect(clippy::infinite_loop, reason = "it ends with its task")]
pub(super) async fn follow(api: &Api, kind: Kind, shared: &Shared) {
    let (mut version, mut failures) = (None, 0_u32);
    loop {
        let told = step(api, kind, shared, &mut version, &mut failures).await;
        let wait = match told {
            Ok(()) => ENDED_WAIT,
            Err(fault) => {
                failures = failures.saturating_add(1);
                shared.failed(kind, &fault);
                FAILED_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS_MAX))
            }
        };
        clock::sleep(wait.mul_f64(0.75 + 0.5 * spread(shared.sink.now().0))).await;
    }
}

/// Lists where no version is known, and watches until the server ends it.
async fn step(
    api: &Api,
    kind: Kind,
    shared: &Shared,
    version: &mut Option<String>,
    failures: &mut u32,
) -> Result<(), Fault> {
    let from = match version.clone() {
        Some(from) => from,
        None => {
            let (objects, from) = list(api, kind).await?;
            let now = shared.sink.now();
            shared.change(|cluster| cluster.all(kind, &objects, now));
            shared.answered(kind);
            version.insert(from).clone()
        }
    };
    let told = watch(api, kind, shared, from, version).await;
    match told {
        Ok(()) => {
            *failures = 0;
            Ok(())
        }
        Err(Refused::Gone) => {
            *version = None;
            Ok(())
        }
        Err(Refused::Other(why)) => Err(Fault::unavailable(why)),
    }
}

async fn list(api: &Api, kind: Kind) -> Result<(Vec<Object>, String), Fault> {
    let (mut objects, mut next) = (Vec::new(), String::new());
    loop {
        let page = api.page(kind, &next).await.map_err(|refused| match refused {
            Refused::Gone => Fault::unavailable(format!("{}: the list took too long", kind.name())),
            Refused::Other(why) => Fault::unavailable(why),
        })?;
        objects.extend(page.items.unwrap_or_default());
        if objects.len() > OBJECTS_MAX {
            let why = format!("more than {OBJECTS_MAX} {}", kind.name());
            return Err(Fault::new(sink::Kind::TooLarge, why));
        }
        next = page.metadata.next;
        if next.is_empty() {
            return Ok((objects, page.metadata.resource_version));
        }
    }
}

async fn watch(
    api: &Api,
    kind: Kind,
    shared: &Shared,
    from: String,
    version: &mut Option<String>,
) -> Result<(), Refused> {
    let mut watch = api.watch(kind, &from).await?;
    while let Some(event) = watch.next().await? {
        let (Event::Added(object)
        | Event::Modified(object)
        | Event::Deleted(object)
        | Event::Bookmark(object)) = &event
        else {
            continue;
        };
        *version = Some(object.metadata.resource_version.clone());
        shared.answered(kind);
        match event {
            Event::Added(object) | Event::Modified(object) => {
                shared.change(|cluster| cluster.one(kind, &object));
            }
            Event::Deleted(object) => {
                let now = shared.sink.now();
                shared.change(|cluster| cluster.gone(kind, &object, now));
            }
            // Nothing has changed, and the server has said so.
            Event::Bookmark(_) | Event::Error(_) => {}
        }
    }
    Ok(())
}
