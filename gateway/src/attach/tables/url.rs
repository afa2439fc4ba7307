//! Tables that are somewhere on the web: asked for now and then, with the tag of what is known.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH};

use super::parse::{self, Format};
use super::sink::{Fault, Kind, Sink};
use super::{Definition, SOURCE_BYTES_MAX};
use crate::clock::{self, spread};
use crate::web::{self, Ask, Courier, Running, Url, Web};

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(30);
/// After an answer that did not come; twice as long each time.
const FAILED_WAIT: Duration = Duration::from_secs(5);
/// Doublings of it, at most: five minutes.
const DOUBLINGS_MAX: u32 = 6;

/// A place, and what is known of it.
struct Place {
    web: Web,
    url: Url,
    bearer_file: Option<PathBuf>,
    format: Format,
    tag: Option<String>,
}

/// Keeps asking, until what is returned is dropped.
pub(super) fn start(
    definition: &Definition,
    web: Web,
    courier: &Courier,
    sink: Sink,
) -> Result<Running, String> {
    let url = web::url(&definition.url)?;
    let bearer = &definition.bearer_file;
    let bearer_file = (!bearer.is_empty()).then(|| PathBuf::from(bearer));
    let place = Place { web, url, bearer_file, format: definition.format(), tag: None };
    let every = definition.refresh.0;
    let kept = keep(place, every, sink);
    courier.spawn("table from a URL", kept).map_err(|fault| fault.to_string())
}

#[expect(clippy::infinite_loop, reason = "it ends with its task")]
async fn keep(mut place: Place, every: Duration, sink: Sink) {
    let mut failures = 0_u32;
    loop {
        let told = place.ask().await;
        failures = if told.is_ok() { 0 } else { failures.saturating_add(1) };
        match told {
            Ok(Some(body)) => {
                let entries = parse::entries(place.format, &body);
                if !sink.put(entries.map_err(|fault| fault.within(place.url.as_str()))) {
                    // What is wrong with it is told until it is another one.
                    place.tag = None;
                }
            }
            Ok(None) => sink.same(),
            Err(fault) => sink.failed(&fault.within(place.url.as_str())),
        }
        clock::sleep(after(failures, every).mul_f64(0.9 + 0.2 * spread(sink.now().0))).await;
    }
}

fn after(failures: u32, every: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => every,
        Some(before) => FAILED_WAIT.saturating_mul(1 << before.min(DOUBLINGS_MAX)),
    }
}

impl Place {
    /// What is there, if it has changed.
    async fn ask(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let mut ask = Ask::get(&self.url, WAIT, SOURCE_BYTES_MAX).header(ACCEPT, "*/*");
        if let Some(path) = &self.bearer_file {
            let token = tokio::fs::read_to_string(path).await;
            let token =
                token.map_err(|why| Fault::unavailable(format!("{}: {why}", path.display())))?;
            ask = ask.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        if let Some(tag) = &self.tag {
            ask = ask.header(IF_NONE_MATCH, tag);
        }
        let said = self.web.ask(ask).await.map_err(|why| match why {
            web::Fault::TooLarge(_) => Fault::new(Kind::TooLarge, why.to_string()),
            _ => Fault::unavailable(why.to_string()),
        })?;
        match said.status {
            StatusCode::OK => {
                self.tag = said.header(ETAG.as_str()).map(str::to_owned);
                Ok(Some(said.body))
            }
            StatusCode::NOT_MODIFIED if self.tag.is_some() => Ok(None),
            status => Err(Fault::unavailable(format!("it answers {status}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_asked_less_and_less_often() {
        let every = Duration::from_secs(60);
        let waits: Vec<u64> = (0..10).map(|failures| after(failures, every).as_secs()).collect();
        assert_eq!(waits, [60, 5, 10, 20, 40, 80, 160, 320, 320, 320]);
    }
}
