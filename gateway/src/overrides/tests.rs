//! Layers of limits, and files that change.

use super::*;

const FILE: &str = "
defaults: {ingestion: {rate_spans: 100, attributes_max: 64}}
classes: {gold: {ingestion: {rate_spans: 1000, burst_spans: 5000}}}
tenants:
  shop:
    ingestion: {rate_bytes: 1MiB}
    query: {wait: 1m}
    clusters:
      eu-1: {ingestion: {rate_spans: 7, attributes_max: 8}}
      '*': {ingestion: {rate_spans: 5}}
";

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn whose<'a>(tenant: &'a TenantId, class: Option<&'a str>, cluster: Option<&'a str>) -> Whose<'a> {
    Whose { tenant, class, cluster }
}

#[test]
fn the_stronger_layer_counts_field_by_field() {
    let defaults = Limits::default();
    let file = File::parse(FILE.as_bytes(), "overrides.yaml", &defaults).unwrap();
    let (shop, other) = (tenant("shop"), tenant("other"));
    let spans = |whose: Whose<'_>| file.limits(&defaults, whose).ingestion.spans();
    let rate = |per_second, burst| Some(values::Rate { per_second, burst });
    assert_eq!(spans(whose(&other, None, None)), rate(100, 200));
    assert_eq!(spans(whose(&other, Some("gold"), None)), rate(1_000, 5_000));
    assert_eq!(spans(whose(&other, Some("unknown"), None)), rate(100, 200));
    assert_eq!(spans(whose(&other, None, Some("eu-1"))), None);
    assert_eq!(spans(whose(&shop, None, Some("eu-1"))), rate(7, 14));
    assert_eq!(spans(whose(&shop, Some("gold"), Some("us-1"))), rate(5, 10));
    let limits = file.limits(&defaults, whose(&shop, None, None));
    assert_eq!(limits.ingestion.rate_bytes, model::ByteSize::mib(1));
    assert_eq!((limits.query.wait, limits.ingestion.attributes_max), (model::Wait::secs(60), 64));
    // What is no rate goes on to the cluster.
    let limits = file.limits(&defaults, whose(&shop, None, Some("us-1")));
    assert_eq!((limits.ingestion.attributes_max, limits.ingestion.bytes()), (64, None));
    assert_eq!(
        file.limits(&defaults, whose(&shop, None, Some("eu-1"))).ingestion.attributes_max,
        8
    );
}

#[test]
fn each_value_tells_where_it_comes_from() {
    let defaults = Limits::default();
    let file = File::parse(FILE.as_bytes(), "overrides.yaml", &defaults).unwrap();
    let shop = tenant("shop");
    let rows = file.rows(&defaults, whose(&shop, Some("gold"), Some("eu-1")));
    let row = |key: &str| {
        let found = rows.iter().find(|(known, ..)| known == key).unwrap();
        format!("{} ({})", found.1, found.2)
    };
    assert_eq!(row("ingestion.rate_spans"), "7 (overrides: cluster eu-1 of tenant shop)");
    assert_eq!(row("ingestion.rate_bytes"), "0B (default)");
    assert_eq!(row("query.wait"), "1m (overrides: tenant shop)");
    assert_eq!(row("query.series_max"), "10000 (default)");
    let rows = file.rows(&defaults, whose(&shop, Some("gold"), None));
    assert!(rows.iter().any(
        |row| row.0 == "ingestion.burst_spans" && row.2.to_string() == "overrides: class gold"
    ));
}

#[test]
fn all_that_is_wrong_is_told_with_its_key() {
    let wrong = "
classes: {gold: {ingestion: {rate_span: 1}}}
tenants:
  shop: {ingestion: {rate_bytes: fast}, quary: {}}
  __ours: {}
  far: {clusters: {eu-1: {query: {wait: 0s}}}}
";
    let faults = File::parse(wrong.as_bytes(), "o.yaml", &Limits::default()).unwrap_err();
    let told: Vec<String> = faults.list().iter().map(ToString::to_string).collect();
    for (at, part) in [
        "classes.gold.ingestion.rate_span: an unknown key",
        "tenants.far.clusters.eu-1.query.wait: 0s is not accepted, expected 1ms to 1h",
        "tenants.shop.ingestion.rate_bytes: fast",
        "tenants.shop.quary: an unknown key",
        "tenants.__ours: tenant id is reserved",
    ]
    .iter()
    .enumerate()
    {
        assert!(told.iter().any(|told| told.starts_with(part)), "{at}: {part}: {told:#?}");
    }
    assert_eq!(told.len(), 5, "{told:#?}");
    for text in ["tenants: 7", "tenant: {}", "a: [", "\u{0}"] {
        let faults = File::parse(text.as_bytes(), "o.yaml", &Limits::default()).unwrap_err();
        assert_eq!(faults.list()[0].key, "o.yaml", "{text}");
    }
    let empty = File::parse(b"# nothing yet\n", "o.yaml", &Limits::default()).unwrap();
    assert_eq!(empty, File::default());
}

#[test]
fn a_changed_file_holds_and_a_wrong_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("overrides.yaml");
    std::fs::write(&path, FILE).unwrap();
    let config = Config { file: path.display().to_string(), ..Config::default() };
    let overrides = Overrides::open(&config).unwrap();
    let other = tenant("other");
    let spans = || overrides.limits(whose(&other, None, None)).ingestion.rate_spans;
    assert_eq!((spans(), overrides.generation()), (100, 1));
    overrides.reload();
    assert_eq!(overrides.generation(), 1);
    std::fs::write(&path, FILE.replace("rate_spans: 100,", "rate_spans: 101,")).unwrap();
    overrides.reload();
    assert_eq!((spans(), overrides.generation()), (101, 2));
    std::fs::write(&path, "tenants: [").unwrap();
    overrides.reload();
    std::fs::remove_file(&path).unwrap();
    overrides.reload();
    assert_eq!((spans(), overrides.generation(), overrides.stats().failed.get()), (101, 2, 2));
    assert!(Overrides::open(&config).is_err());
}

#[test]
fn every_plugin_that_some_layer_names_is_known() {
    let file = "
defaults: {ingestion: {plugins: [cards]}}
classes: {gold: {ingestion: {router: by-class}}}
tenants:
  shop:
    ingestion: {plugins: [{plugin: team, canary: 5%}], router: ''}
    clusters: {eu-1: {ingestion: {router: by-cluster}}}
";
    let file = File::parse(file.as_bytes(), "overrides.yaml", &Limits::default()).unwrap();
    let mut named = file.attached();
    named.sort();
    assert_eq!(named, ["by-class", "by-cluster", "cards", "team"]);
    let mut limits = Limits::default();
    limits.ingestion.router = "by".to_owned();
    assert!(limits.ingestion.has_plugins());
    assert_eq!(Overrides::of(limits).attached(), BTreeSet::from(["by".to_owned()]));
}
