//! The refresher among the examples, before a host that stands in for a service.

use traceweir_plugin::host::fetch::Response;
use traceweir_plugin::testing::{Host, host, refusal};
use traceweir_plugin::{Plugin as _, Refresher as _, Table};

#[path = "../examples/rows.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod rows;

use rows::Rows;

const URL: &str = "https://cmdb.example/pods";
const CONFIG: &str = r#"{"url": "https://cmdb.example/pods", "table": "owners", "key": "uid", "prefix": "pod_uid/"}"#;

fn refreshed(status: u16, body: &str) -> Result<Vec<Table>, String> {
    let response = Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
    let mut service = Host::default();
    service.responses.insert(URL.to_owned(), response);
    service.install();
    let (mut rows, _) = Rows::configure(CONFIG).expect("it is as the schema says");
    assert_eq!(rows.interval_seconds(), 300);
    rows.refresh()
}

#[test]
fn objects_become_entries_by_their_key() {
    let tables =
        refreshed(200, r#"[{"uid": "u-1", "team": "checkout"}, {"uid": 7}, {"team": "nobody"}]"#);
    let entries = [("pod_uid/u-1", r#"{"team":"checkout"}"#), ("pod_uid/7", "{}")];
    let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    assert_eq!(tables, Ok(vec![Table { name: "owners".to_owned(), entries }]));
    assert_eq!(host(|host| host.requests.len()), 1);
}

#[test]
fn what_does_not_come_is_told() {
    assert!(refreshed(503, "").unwrap_err().contains("503"));
    assert!(refreshed(200, "{}").unwrap_err().contains("array"));
    let (mut rows, _) = Rows::configure(&CONFIG.replace("/pods", "/other")).unwrap();
    assert!(rows.refresh().unwrap_err().contains("NotAllowed"));
    assert!(refusal::<Rows>(r#"{"url": "a"}"#).is_some());
}
