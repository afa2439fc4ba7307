//! From a URL and settings to a bucket.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use super::attempts::{Budget, Counting};
use super::{Bucket, Limits, Stats};

/// How a bucket is reached, besides its URL. What is not set here comes from the environment as the
/// cloud's own tools read it (`AWS_*`, `AZURE_*`, `GOOGLE_*`), from files that it names, or from the
/// identity of the machine.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Another address than the cloud's own: `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// The region of the bucket (S3).
    pub region: Option<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long attempts are made.
    pub retry: Duration,
    /// How much is asked at a time.
    pub limits: Limits,
}

/// Why there is no bucket: for people.
#[derive(Debug)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

impl Unusable {
    fn other() -> Self {
        Self("only s3://, gs:// and az:// are buckets".to_owned())
    }
}

/// Tells what is wrong with a URL or with settings, without asking anybody.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(url: &str, settings: &Settings) -> Result<(), Unusable> {
    parse(url, settings, &Arc::default()).map(drop)
}

fn parse(
    url: &str,
    settings: &Settings,
    stats: &Arc<Stats>,
) -> Result<(Arc<dyn ObjectStore>, Path), Unusable> {
    let parsed = Url::parse(url).map_err(|fault| Unusable(format!("no URL: {fault}")))?;
    if parsed.password().is_some() {
        return Err(Unusable("secrets do not belong into the URL".to_owned()));
    }
    let (scheme, root) = ObjectStoreScheme::parse(&parsed).map_err(|_| Unusable::other())?;
    Ok((settings.objects(&scheme, url, stats)?, root))
}

impl Bucket {
    /// Opens a bucket: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`. Nothing
    /// is asked of it yet.
    ///
    /// # Errors
    /// What is wrong with the URL or the settings.
    pub fn open(url: &str, settings: &Settings) -> Result<Self, Unusable> {
        let stats = Arc::<Stats>::default();
        let (objects, root) = parse(url, settings, &stats)?;
        Self::with(objects, root, url.to_owned(), settings.limits, stats)
            .map_err(|fault| Unusable(fault.to_string()))
    }
}

impl Settings {
    fn objects(
        &self,
        scheme: &ObjectStoreScheme,
        url: &str,
        stats: &Arc<Stats>,
    ) -> Result<Arc<dyn ObjectStore>, Unusable> {
        let Self { endpoint, region, .. } = self;
        let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let client = ClientOptions::new()
            .with_allow_http(is_plain)
            .with_timeout(self.timeout)
            .with_connect_timeout(self.timeout.min(CONNECT));
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: RETRIES_MAX,
            retry_timeout: self.retry,
        };
        let counting = Counting { stats: Arc::clone(stats), budget: Arc::<Budget>::default() };
        let fail = |fault: object_store::Error| Unusable(fault.to_string());
        Ok(match scheme {
            ObjectStoreScheme::AmazonS3 => {
                // One object is removed at a time, and not every store that speaks S3 has a request
                // for many.
                let mut builder =
                    AmazonS3Builder::from_env().with_url(url).with_disable_bulk_delete(true);
                if let Some(endpoint) = endpoint {
                    // What is not Amazon's has no host for each bucket, mostly.
                    builder =
                        builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
                }
                if let Some(region) = region {
                    builder = builder.with_region(region);
                }
                let builder = builder.with_client_options(client).with_retry(retry);
                Arc::new(builder.with_http_connector(counting).build().map_err(fail)?)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let mut builder = MicrosoftAzureBuilder::from_env().with_url(url);
                if let Some(endpoint) = endpoint {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                let builder = builder.with_client_options(client).with_retry(retry);
                Arc::new(builder.with_http_connector(counting).build().map_err(fail)?)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url);
                let builder = builder.with_client_options(client).with_retry(retry);
                Arc::new(builder.with_http_connector(counting).build().map_err(fail)?)
            }
            _ => return Err(Unusable::other()),
        })
    }
}

/// The most time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Attempts besides the first.
const RETRIES_MAX: usize = 10;
