//! Attempts of requests, one by one: how many fail, and whether another is worth its while.
//!
//! The client tries a request again up to ten times, each time after a longer and random wait. While a
//! store is away, or slow for the number of requests, that makes ten requests of one for everybody. So
//! what is tried again is held to a share of what succeeds, as the clouds' own clients do: past it a
//! request fails with its first attempt.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

use super::Stats;

/// Attempts that may be made again when all was well before.
const SAVED_MAX: u64 = 50;
/// So many attempts have to succeed for one that may be made again.
const SUCCESSES_FOR_ONE: u64 = 5;
/// How much of an answer that is given up is told.
const TOLD_BYTES_MAX: usize = 1_000;

/// What may still be tried again; all attempts of a bucket share it.
#[derive(Debug)]
pub(super) struct Budget(AtomicU64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(SAVED_MAX * SUCCESSES_FOR_ONE))
    }
}

impl Budget {
    fn earn(&self) {
        let more = |saved: u64| (saved + 1).min(SAVED_MAX * SUCCESSES_FOR_ONE);
        self.0.update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn spend(&self) -> bool {
        let less = |saved: u64| saved.checked_sub(SUCCESSES_FOR_ONE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Makes connections whose requests are counted.
#[derive(Debug)]
pub(super) struct Counting {
    pub(super) stats: Arc<Stats>,
    pub(super) budget: Arc<Budget>,
}

impl HttpConnector for Counting {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        let (stats, budget) = (Arc::clone(&self.stats), Arc::clone(&self.budget));
        Ok(HttpClient::new(Counted { inner, stats, budget }))
    }
}

#[derive(Debug)]
struct Counted {
    inner: HttpClient,
    stats: Arc<Stats>,
    budget: Arc<Budget>,
}

/// Why an attempt was the last one.
#[derive(Debug)]
struct Spent(String);

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (not tried again: too many requests fail)", self.0)
    }
}

impl std::error::Error for Spent {}

#[async_trait]
impl HttpService for Counted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.inner.execute(request).await;
        if !answer.as_ref().map_or(true, passes) {
            self.budget.earn();
            return answer;
        }
        self.stats.faults.inc();
        if self.budget.spend() {
            return answer;
        }
        self.stats.given_up.inc();
        let why = match answer {
            Ok(answer) => {
                let status = answer.status();
                let body = answer.into_body().bytes().await.unwrap_or_default();
                let told = body.get(..TOLD_BYTES_MAX).unwrap_or(&body);
                format!("{status}: {}", String::from_utf8_lossy(told))
            }
            Err(fault) => std::error::Error::source(&fault).unwrap_or(&fault).to_string(),
        };
        // Of this kind the client tries none again.
        Err(HttpError::new(HttpErrorKind::Unknown, Spent(why)))
    }
}

/// Whether an answer is one that the client waits after, and asks again.
fn passes(answer: &HttpResponse) -> bool {
    let status = answer.status();
    status.is_server_error() || [408, 429].contains(&status.as_u16())
}

#[cfg(test)]
mod tests {
    use object_store::client::{HttpRequestBody, HttpResponseBody};

    use super::*;

    /// Answers each request with this status.
    #[derive(Debug)]
    struct Always(u16);

    #[async_trait]
    impl HttpService for Always {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            let mut answer = HttpResponse::new(HttpResponseBody::from(b"SlowDown".to_vec()));
            *answer.status_mut() = self.0.try_into().unwrap();
            Ok(answer)
        }
    }

    fn client(status: u16, budget: &Arc<Budget>) -> (HttpClient, Arc<Stats>) {
        let (stats, budget) = (Arc::<Stats>::default(), Arc::clone(budget));
        let inner = HttpClient::new(Always(status));
        (HttpClient::new(Counted { inner, stats: Arc::clone(&stats), budget }), stats)
    }

    async fn ask(client: &HttpClient) -> Result<u16, String> {
        let answer = client.execute(HttpRequest::new(HttpRequestBody::empty())).await;
        answer.map(|answer| answer.status().as_u16()).map_err(|fault| fault.to_string())
    }

    #[tokio::test]
    async fn while_all_fails_requests_are_not_multiplied_and_later_they_may_be_again() {
        let budget = Arc::<Budget>::default();
        let (away, stats) = client(503, &budget);
        for _ in 0..SAVED_MAX {
            assert_eq!(ask(&away).await, Ok(503), "the client tries again");
        }
        let told = ask(&away).await.unwrap_err();
        assert!(told.contains("503") && told.contains("SlowDown"), "{told}");
        assert_eq!((stats.faults.get(), stats.given_up.get()), (SAVED_MAX + 1, 1));
        let (back, stats) = client(200, &budget);
        for _ in 0..SUCCESSES_FOR_ONE {
            assert_eq!(ask(&back).await, Ok(200));
        }
        assert_eq!(stats.faults.get(), 0);
        assert_eq!(ask(&away).await, Ok(503));
        assert!(ask(&away).await.is_err());
    }

    #[tokio::test]
    async fn what_the_client_asks_once_costs_nothing() {
        let budget = Arc::<Budget>::default();
        for status in [404, 412, 403] {
            let (client, stats) = client(status, &budget);
            assert_eq!(ask(&client).await, Ok(status));
            assert_eq!(stats.faults.get(), 0);
        }
    }
}
