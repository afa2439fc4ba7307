//! The pods that the spans come from: 207 of them, and the resource that each one sends.

use model::wire::put_bytes;

use super::catalog::{Language, SERVICES, Service};
use super::random::Random;
use super::value::{self, Value};

/// The three clusters: name, provider, region.
const CLUSTERS: [(&str, &str, &str); 3] = [
    ("prod-eu-1", "aws", "eu-central-1"),
    ("prod-us-1", "aws", "us-east-2"),
    ("prod-ap-1", "gcp", "asia-northeast1"),
];

/// How many clusters there are.
pub(super) const CLUSTERS_COUNT: usize = CLUSTERS.len();

/// How many instrumentation scopes a pod's spans are grouped by.
pub(super) const SCOPES: usize = 3;

/// One running instance of a service.
#[derive(Debug)]
pub(super) struct Pod {
    /// Index into [`SERVICES`].
    pub(super) service: usize,
    /// Index of the cluster.
    pub(super) cluster: usize,
    /// `Resource`, as field 1 of `ResourceSpans`.
    pub(super) resource: Vec<u8>,
    /// The pod's address, as `network.peer.address` of those who call it.
    pub(super) address: String,
}

/// All pods, by cluster and service: `first[cluster][service]` and the counts of [`SERVICES`].
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) pods: Vec<Pod>,
    first: [[usize; SERVICES.len()]; CLUSTERS_COUNT],
}

impl Fleet {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut pods = Vec::new();
        let mut first = [[0; SERVICES.len()]; CLUSTERS_COUNT];
        for (cluster, first) in first.iter_mut().enumerate() {
            for (index, service) in SERVICES.iter().enumerate() {
                first[index] = pods.len();
                let deployment = random.next();
                for _ in 0..service.pods {
                    pods.push(pod(&mut random, cluster, index, deployment));
                }
            }
        }
        Self { pods, first }
    }

    /// A pod of the service in the cluster.
    pub(super) fn pick(&self, random: &mut Random, cluster: usize, service: usize) -> usize {
        let offset = random.below(SERVICES[service].pods);
        self.first[cluster][service] + usize::try_from(offset).unwrap_or_default()
    }
}

fn pod(random: &mut Random, cluster: usize, index: usize, deployment: u64) -> Pod {
    let service = &SERVICES[index];
    let address =
        format!("10.{}.{}.{}", 16 + cluster, random.between(0, 63), random.between(2, 250));
    let resource = resource(random, cluster, service, deployment);
    Pod { service: index, cluster, resource, address }
}

/// The `Resource` message of a pod, as Kubernetes and an SDK's detectors fill it.
fn resource(random: &mut Random, cluster: usize, service: &Service, deployment: u64) -> Vec<u8> {
    let (cluster_name, provider, region) = CLUSTERS[cluster];
    let runtime = Runtime::of(service.language);
    let name = service.name;
    let node = random.between(1, 12);
    let suffix = suffix(random);
    let hash = format!("{:08x}", deployment >> 32);
    let zone = format!("{region}{}", random.pick(&["a", "b", "c"]));
    let version = format!("{}.{}.{}", 1 + deployment % 3, deployment / 3 % 20, deployment / 60 % 9);

    let mut message = Vec::new();
    let mut put =
        |key: &str, value: &str| value::attribute(&mut message, 1, key, Value::Str(value));
    put("service.name", name);
    put("service.namespace", "shop");
    put("service.version", &version);
    put("service.instance.id", &uuid(random));
    put("deployment.environment.name", "production");
    put("telemetry.sdk.name", "opentelemetry");
    put("telemetry.sdk.language", runtime.sdk);
    put("telemetry.sdk.version", runtime.sdk_version);
    put("host.name", &format!("ip-10-{}-0-{node}", 16 + cluster));
    put("host.arch", "amd64");
    put("os.type", "linux");
    put("process.executable.name", runtime.executable);
    put("process.runtime.name", runtime.name);
    put("process.runtime.version", runtime.version);
    put("container.id", &hex(&random.bytes::<32>()));
    put("container.image.name", &format!("registry.shop.example/{name}"));
    put("k8s.cluster.name", cluster_name);
    put("k8s.namespace.name", "shop");
    put("k8s.node.name", &format!("ip-10-{}-0-{node}.{region}.compute", 16 + cluster));
    put("k8s.deployment.name", name);
    put("k8s.pod.name", &format!("{name}-{hash}-{suffix}"));
    put("k8s.pod.uid", &uuid(random));
    put("k8s.container.name", name);
    put("cloud.provider", provider);
    put("cloud.region", region);
    put("cloud.availability_zone", &zone);
    let pid = i64::try_from(random.between(1, 40)).unwrap_or(1);
    value::attribute(&mut message, 1, "process.pid", Value::Int(pid));
    let tags = [&*version, "production"];
    value::attribute(&mut message, 1, "container.image.tags", Value::List(&tags));

    let mut field = Vec::new();
    put_bytes(&mut field, 1, &message);
    field
}

fn suffix(random: &mut Random) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| char::from(random.pick(LETTERS))).collect()
}

fn uuid(random: &mut Random) -> String {
    let mut text = Vec::new();
    value::uuid(&mut text, random.bytes());
    text.into_iter().map(char::from).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    value::hex(&mut text, bytes);
    text.into_iter().map(char::from).collect()
}

/// What a language's SDK says about itself.
#[derive(Debug)]
struct Runtime {
    sdk: &'static str,
    sdk_version: &'static str,
    executable: &'static str,
    name: &'static str,
    version: &'static str,
}

impl Runtime {
    const fn of(language: Language) -> Self {
        let (sdk, sdk_version, executable, name, version) = match language {
            Language::Cpp => ("cpp", "1.22.0", "server", "c++", "20"),
            Language::Dotnet => ("dotnet", "1.12.0", "dotnet", ".NET", "9.0.4"),
            Language::Go => ("go", "1.38.0", "server", "go", "go1.25.1"),
            Language::Java => ("java", "1.54.0", "java", "OpenJDK Runtime Environment", "21.0.8"),
            Language::Node => ("nodejs", "2.1.0", "node", "nodejs", "22.19.0"),
            Language::Php => ("php", "1.7.0", "php-fpm", "cli", "8.4.12"),
            Language::Python => ("python", "1.37.0", "python3", "CPython", "3.13.7"),
            Language::Rust => ("rust", "0.31.0", "server", "rustc", "1.90.0"),
        };
        Self { sdk, sdk_version, executable, name, version }
    }
}

/// The scopes of a language's pods, each an `InstrumentationScope` as field 1 of `ScopeSpans`:
/// for servers and clients, for databases and queues, for the service's own code.
pub(super) fn scopes(language: Language) -> [Vec<u8>; SCOPES] {
    let names = match language {
        Language::Cpp => ["envoy.tracing", "pg_tracing", "shop"],
        Language::Dotnet => ["Microsoft.AspNetCore", "Npgsql", "Shop"],
        Language::Go => [
            "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
            "github.com/exaring/otelpgx",
            "shop/internal",
        ],
        Language::Java => ["io.opentelemetry.grpc-1.6", "io.opentelemetry.jdbc", "shop"],
        Language::Node => {
            ["@opentelemetry/instrumentation-http", "@opentelemetry/instrumentation-pg", "shop-app"]
        }
        Language::Php => {
            ["io.opentelemetry.contrib.php.slim", "io.opentelemetry.contrib.php.pdo", "shop"]
        }
        Language::Python => {
            ["opentelemetry.instrumentation.grpc", "opentelemetry.instrumentation.psycopg", "shop"]
        }
        Language::Rust => ["tower-otel", "sqlx-otel", "shop"],
    };
    let version = Runtime::of(language).sdk_version;
    names.map(|name| {
        let mut scope = Vec::new();
        put_bytes(&mut scope, 1, name.as_bytes());
        put_bytes(&mut scope, 2, version.as_bytes());
        let mut field = Vec::new();
        put_bytes(&mut field, 1, &scope);
        field
    })
}
