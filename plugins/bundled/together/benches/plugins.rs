//! What each plugin costs, natively: `cargo bench`.
//!
//! A call on a batch of 1,000 spans with 20 attributes: reading the buffer, the plugin's own work, writing the answer.
//! Microseconds of a call are nanoseconds of a span. `cargo bench -- NAME` runs some.

mod batch;

use divan::{Bencher, black_box};
use traceweir_plugin::testing::{Fixture, Host};
use traceweir_plugin::{Batch, HeadSampler, Plugin, Processor, Projection};

fn main() {
    divan::main();
}

fn ready<P: Plugin>(config: &str, fixture: &Fixture) -> (P, Vec<u8>) {
    Host::default().table("k8s", batch::PODS.iter().copied()).install();
    let configured: Result<(P, Projection), _> = P::configure(config);
    let (plugin, projection) = configured.expect("the configuration is right");
    (plugin, fixture.batch(&projection))
}

fn process<P: Processor>(bencher: Bencher<'_, '_>, config: &str) {
    let (mut plugin, bytes) = ready::<P>(config, &batch::fixture());
    bencher.bench_local(|| {
        let batch = Batch::parse(black_box(&bytes)).expect("the kit writes batches");
        plugin.process(&batch).expect("the plugin answers").encode()
    });
}

fn sample<P: HeadSampler>(bencher: Bencher<'_, '_>, config: &str, fixture: &Fixture) {
    let (mut plugin, bytes) = ready::<P>(config, fixture);
    bencher.bench_local(|| {
        let batch = Batch::parse(black_box(&bytes)).expect("the kit writes batches");
        plugin.sample(&batch).expect("the plugin answers").encode()
    });
}

#[divan::bench]
fn keep_interesting(bencher: Bencher<'_, '_>) {
    sample::<keep_interesting::KeepInteresting>(bencher, "{}", &batch::fixture());
}

/// Every span is of another trace than the one before it.
#[divan::bench]
fn keep_interesting_scattered(bencher: Bencher<'_, '_>) {
    sample::<keep_interesting::KeepInteresting>(bencher, "{}", &batch::scattered());
}

#[divan::bench]
fn probabilistic_sampler(bencher: Bencher<'_, '_>) {
    let config = r#"{"ratio": 0.1}"#;
    sample::<probabilistic_sampler::ProbabilisticSampler>(bencher, config, &batch::fixture());
}

#[divan::bench]
fn probabilistic_sampler_services(bencher: Bencher<'_, '_>) {
    let config = r#"{"ratio": 0.1, "services": {"checkout": 1, "cart": 0.5}}"#;
    sample::<probabilistic_sampler::ProbabilisticSampler>(bencher, config, &batch::fixture());
}

#[divan::bench]
fn rate_limiting_sampler(bencher: Bencher<'_, '_>) {
    let config = r#"{"spans_per_second": 500, "per": "service.name"}"#;
    sample::<rate_limiting_sampler::RateLimitingSampler>(bencher, config, &batch::fixture());
}

#[divan::bench(args = [
    r#"{"actions": [{"action": "upsert", "key": "team", "value": "shop"}]}"#,
    r#"{"actions": [{"action": "hash", "key": "user.id"}]}"#,
    r#"{"actions": [{"action": "extract", "key": "url.full", "pattern": "^https?://(?P<url_host>[^/]+)"}]}"#,
    r#"{"actions": [{"action": "delete", "pattern": "^http\\.request\\.header\\."}]}"#,
    r#"{"actions": [{"action": "delete", "key": "user.id"}], "include": {"match_type": "regexp", "span_names": ["^GET /cart"]}}"#,
])]
fn attributes(bencher: Bencher<'_, '_>, config: &str) {
    process::<attributes::Attributes>(bencher, config);
}

#[divan::bench]
fn resource(bencher: Bencher<'_, '_>) {
    let config = r#"{"attributes": [
        {"action": "upsert", "key": "deployment.environment.name", "value": "production"},
        {"action": "insert", "key": "cluster", "from_attribute": "k8s.cluster.name"},
        {"action": "delete", "pattern": "^process\\."}]}"#;
    process::<resource::Resource>(bencher, config);
}

#[divan::bench(args = [
    "{}",
    r#"{"blocked_values": ["CUST-\\d{6}"]}"#,
    r#"{"patterns": ["card"], "owners": ["span"], "names": false}"#,
])]
fn redact(bencher: Bencher<'_, '_>, config: &str) {
    process::<redact::Redact>(bencher, config);
}

#[divan::bench(args = [
    r#"{"drop": "{ span.http.response.status_code >= 500 }"}"#,
    r#"{"drop": "{ resource.service.name = \"checkout\" && name =~ \"GET /cart.*\" && status != error }"}"#,
    r#"{"drop": "{ duration < 5ms && kind = internal }"}"#,
])]
fn filter(bencher: Bencher<'_, '_>, config: &str) {
    process::<filter::Filter>(bencher, config);
}

#[divan::bench]
fn url_template(bencher: Bencher<'_, '_>) {
    process::<url_template::UrlTemplate>(bencher, "{}");
}

#[divan::bench(args = ["{}", r#"{"mode": "both"}"#, r#"{"mode": "old"}"#])]
fn semconv(bencher: Bencher<'_, '_>, config: &str) {
    process::<semconv::Semconv>(bencher, config);
}

#[divan::bench]
fn k8s_enrich(bencher: Bencher<'_, '_>) {
    process::<k8s_enrich::K8sEnrich>(bencher, "{}");
}

#[divan::bench]
fn team(bencher: Bencher<'_, '_>) {
    process::<team::Team>(bencher, r#"{"teams": {"shop": "web", "pay": "money"}}"#);
}

#[divan::bench]
fn noise(bencher: Bencher<'_, '_>) {
    process::<noise::Noise>(bencher, "{}");
}
