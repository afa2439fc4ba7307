//! From a URL and settings to a bucket.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::Secret;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig,
    StaticCredentialProvider,
};
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
    /// Whether the bucket is a part of the path, or else of the host (S3).
    pub is_path_style: bool,
    /// The name of a key (S3).
    pub access_key_id: Secret,
    /// The key (S3).
    pub secret_access_key: Secret,
    /// What a key that ends soon comes with (S3).
    pub session_token: Secret,
    /// The storage account (Azure).
    pub account: Option<String>,
    /// Its key (Azure).
    pub account_key: Secret,
    /// A shared access signature instead of the key (Azure).
    pub sas_token: Secret,
    /// The JSON file of a service account (Google).
    pub service_account_file: Option<String>,
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

impl From<object_store::Error> for Unusable {
    fn from(fault: object_store::Error) -> Self {
        Self(fault.to_string())
    }
}

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
    Ok((settings.objects(&scheme, &parsed, stats)?, root))
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
        url: &Url,
        stats: &Arc<Stats>,
    ) -> Result<Arc<dyn ObjectStore>, Unusable> {
        let counting = Counting { stats: Arc::clone(stats), budget: Arc::<Budget>::default() };
        let (client, retry) = (self.client(), self.retry());
        match scheme {
            ObjectStoreScheme::AmazonS3 => {
                let builder = self.s3(url)?.with_client_options(client).with_retry(retry);
                Ok(Arc::new(builder.with_http_connector(counting).build()?))
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = self.azure(url).with_client_options(client).with_retry(retry);
                Ok(Arc::new(builder.with_http_connector(counting).build()?))
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = self.google(url).with_client_options(client).with_retry(retry);
                Ok(Arc::new(builder.with_http_connector(counting).build()?))
            }
            _ => Err(Unusable::other()),
        }
    }

    fn client(&self) -> ClientOptions {
        // Keys and spans go in the clear only where that was asked for.
        let is_plain = self.endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
        ClientOptions::new()
            .with_allow_http(is_plain)
            .with_timeout(self.timeout)
            .with_connect_timeout(self.timeout.min(CONNECT))
    }

    fn retry(&self) -> RetryConfig {
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        };
        RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: self.retry }
    }

    fn s3(&self, url: &Url) -> Result<AmazonS3Builder, Unusable> {
        // One object is removed at a time, and not every store that speaks S3 has a request for many.
        let mut builder = AmazonS3Builder::from_env()
            .with_url(url.as_str())
            .with_disable_bulk_delete(true)
            .with_virtual_hosted_style_request(!self.is_path_style);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(match self.is_path_style {
                true => endpoint.clone(),
                false => in_host(endpoint, url.host_str().unwrap_or_default())?,
            });
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some((id, key)) = self.access_key_id.reveal().zip(self.secret_access_key.reveal()) {
            // All of it: a token of the environment belongs to another key.
            let credential = AwsCredential {
                key_id: id.to_owned(),
                secret_key: key.to_owned(),
                token: self.session_token.reveal().map(str::to_owned),
            };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)));
        }
        Ok(builder)
    }

    fn azure(&self, url: &Url) -> MicrosoftAzureBuilder {
        let mut builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(account) = &self.account {
            builder = builder.with_account(account);
        }
        if let Some(key) = self.account_key.reveal() {
            builder = builder.with_access_key(key).with_credential_type("access_key");
        }
        if let Some(token) = self.sas_token.reveal() {
            builder = builder
                .with_config(AzureConfigKey::SasKey, token)
                .with_credential_type("sas_token");
        }
        builder
    }

    fn google(&self, url: &Url) -> GoogleCloudStorageBuilder {
        let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if let Some(file) = &self.service_account_file {
            builder = builder.with_service_account_path(file);
        }
        builder
    }
}

/// An endpoint with the bucket in its host: `https://bucket.host:port`.
fn in_host(endpoint: &str, bucket: &str) -> Result<String, Unusable> {
    let odd = || Unusable(format!("{endpoint} has no host that a bucket may stand before"));
    let mut url = Url::parse(endpoint).map_err(|_| odd())?;
    let host = url.domain().map(|host| format!("{bucket}.{host}")).ok_or_else(odd)?;
    url.set_host(Some(&host)).map_err(|_| odd())?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The most time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Attempts besides the first.
const RETRIES_MAX: usize = 10;
