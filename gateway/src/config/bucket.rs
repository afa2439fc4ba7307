//! The object store that has blocks and manifest, and who we are to it.

use model::{Faults, Secret, Wait};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tree;

/// The object store that has blocks and manifest; where there is none, they are in the data
/// directory. What is empty here is as the environment says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bucket {
    /// Bucket and prefix: `s3://bucket/prefix`. Empty: none.
    pub url: String,
    /// Another address than the cloud's own. Empty: none.
    pub endpoint: String,
    /// The region of a bucket of S3.
    pub region: String,
    /// Whether a bucket of S3 is a part of the path, or else of the host.
    pub path_style: bool,
    /// S3: the name of a key.
    pub access_key_id: Secret,
    /// S3: the key.
    pub secret_access_key: Secret,
    /// S3: what a key that ends soon comes with.
    pub session_token: Secret,
    /// Azure: the storage account.
    pub account: String,
    /// Azure: its key.
    pub account_key: Secret,
    /// Azure: a shared access signature instead of the key.
    pub sas_token: Secret,
    /// Google: the JSON file of a service account.
    pub service_account_file: String,
    /// How long one attempt of a request may take.
    pub timeout: Wait,
    /// How long a request is tried again.
    pub retry: Wait,
    /// How often what other processes have changed is looked for.
    pub poll: Wait,
    /// How long blocks stay that are in use no more, as queries of other processes may read them.
    pub grace: Wait,
    /// Requests under way at a time; others wait.
    pub requests_max: u32,
    /// Of a hundred reads so many may be sent a second time.
    pub hedge_percent_max: u8,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            url: String::new(),
            endpoint: String::new(),
            region: String::new(),
            path_style: true,
            access_key_id: Secret::default(),
            secret_access_key: Secret::default(),
            session_token: Secret::default(),
            account: String::new(),
            account_key: Secret::default(),
            sas_token: Secret::default(),
            service_account_file: String::new(),
            timeout: Wait::secs(10),
            retry: Wait::secs(30),
            poll: Wait::secs(30),
            grace: Wait::secs(900),
            requests_max: 64,
            hedge_percent_max: 5,
        }
    }
}

/// A data directory keeps the URL of its bucket in a short file.
const URL_MAX: usize = 200;

impl Bucket {
    /// The URL and how the bucket is reached; nothing where there is none.
    #[must_use]
    pub fn settings(&self) -> Option<(&str, objects::Settings)> {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let settings = objects::Settings {
            endpoint: some(&self.endpoint),
            region: some(&self.region),
            is_path_style: self.path_style,
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
            account: some(&self.account),
            account_key: self.account_key.clone(),
            sas_token: self.sas_token.clone(),
            service_account_file: some(&self.service_account_file),
            timeout: self.timeout.0,
            retry: self.retry.0,
            limits: objects::Limits {
                requests_max: self.requests_max as usize,
                hedge_percent_max: self.hedge_percent_max,
            },
        };
        (!self.url.is_empty()).then_some((self.url.as_str(), settings))
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        faults.check_range("bucket.timeout", self.timeout, Wait::millis(100)..=Wait::secs(300));
        faults.check_range("bucket.retry", self.retry, Wait::millis(0)..=Wait::secs(280));
        let (hour, day) = (Wait::secs(3_600), Wait::secs(86_400));
        faults.check_range("bucket.poll", self.poll, Wait::millis(100)..=hour);
        faults.check_range("bucket.grace", self.grace, Wait::secs(0)..=day);
        faults.check_range("bucket.requests_max", self.requests_max, 1..=1024);
        faults.check_range("bucket.hedge_percent_max", self.hedge_percent_max, 0..=100);
        self.check_credentials(faults);
        let Some((url, settings)) = self.settings() else { return };
        let shown = tree::shown(&Value::String(url.to_owned()));
        if url.len() > URL_MAX {
            let accepted = format!("a URL of at most {URL_MAX} bytes");
            faults.push("bucket.url", shown, accepted);
        } else if let Err(fault) = objects::check(url, &settings) {
            let accepted = format!("a bucket such as s3://bucket/prefix ({fault})");
            faults.push("bucket.url", shown, accepted);
        }
    }

    /// Notes what goes with another key, or with another cloud.
    fn check_credentials(&self, faults: &mut Faults) {
        let is_set = |secret: &Secret| secret.reveal().is_some();
        let (id, key) = (is_set(&self.access_key_id), is_set(&self.secret_access_key));
        let token = is_set(&self.session_token);
        for (key, is_alone, other) in [
            ("access_key_id", id && !key, "bucket.secret_access_key"),
            ("secret_access_key", key && !id, "bucket.access_key_id"),
            ("session_token", token && !(id && key), "bucket.access_key_id and its key"),
            ("account_key", is_set(&self.account_key) && self.account.is_empty(), "bucket.account"),
            ("sas_token", is_set(&self.sas_token) && self.account.is_empty(), "bucket.account"),
        ] {
            if is_alone {
                faults.push(&format!("bucket.{key}"), "***", format!("{other} beside it"));
            }
        }
        if is_set(&self.account_key) && is_set(&self.sas_token) {
            faults.push("bucket.sas_token", "***", "either it or bucket.account_key");
        }
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme);
        for (key, is_set, schemes) in [
            ("access_key_id", id, ["s3", "s3a"]),
            ("account", !self.account.is_empty(), ["az", "azure"]),
            ("service_account_file", !self.service_account_file.is_empty(), ["gs", "gs"]),
        ] {
            if let Some(found) = scheme.filter(|scheme| is_set && !schemes.contains(scheme)) {
                let accepted = format!("a bucket of {}://", schemes[0]);
                faults.push(&format!("bucket.{key}"), format!("set, with {found}://"), accepted);
            }
        }
    }
}
