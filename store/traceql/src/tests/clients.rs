//! What Grafana's Traces Drilldown, its search builder and Kiali send.

use crate::{hints, parse, plan};

/// What Drilldown looks at: all spans, roots, servers, consumers, databases.
const SIGNALS: [&str; 5] =
    ["nestedSetParent<0", "true", "kind=server", "kind=consumer", "span.db.system.name!=\"\""];

/// What its user has narrowed it to.
const FILTERS: [&str; 4] = [
    "true",
    "resource.service.name=\"cart\"",
    "span.http.response.status_code>=500 && status=error && resource.k8s.pod.name!=\"a-b/1\"",
    "event.exception.message=~\"no (disk|space).*\" && duration>1.5s && .\"a b\"!=nil",
];

/// Its tabs; `$` stands for the two with `&&`.
const TABS: [&str; 18] = [
    "{$} | rate() ",
    "{$ && status=error} | rate()",
    "{$} | rate() by(resource.service.name)",
    "{$ && resource.service.name != nil} | rate() by(resource.service.name) with(sample=true)",
    "{$ && span.http.route != nil} | quantile_over_time(duration, 0.9) by(span.http.route)",
    "{$} | quantile_over_time(duration, 0.9,0.5) by(name)",
    "{$} | histogram_over_time(duration) with(sample=true)",
    "{$} | histogram_over_time(duration)",
    "{$} | compare({status = error})",
    "{$} | compare({status = error}, 10, 1700000000000000000, 1700000600000000000)",
    "{$} | compare({duration >= 1.2ms && duration <= 3s}, 10)",
    "{$} | select(resource.service.name,name,duration,span.http.method)",
    "{$ && status = error} | select(status,name)",
    "{$&& duration > 250ms} | select(duration)",
    "{$ && duration >= 1ms && duration <= 2.5ms} | select(duration)",
    "({$} &>> { kind = server }) || ({$}) | select(status, resource.service.name, name, \
     nestedSetParent, nestedSetLeft, nestedSetRight)",
    "({$} &>> { duration > 1s }) || ({$}) | select(nestedSetLeft)",
    "{$ && status = error} | select(resource.service.name, event.exception.message,\
     event.exception.stacktrace,event.exception.type) with(most_recent=true)",
];

const OTHERS: [&str; 7] = [
    "{} | rate()",
    "{}",
    "{ .service.name = \"x\"  && name = \"GET /\" } && {  }| select(status, .service_name, name)",
    "{resource.service.name=\"x\" && name=~\"a|b\" && duration>100ms && duration<5s}",
    "{resource.service.name!=\"x\" && status=error && span.http.status_code=200}",
    "{ status = error } >> { kind = client } | by(resource.service.name) | count() > 2",
    "{ resource.deployment.environment = `prod` } | rate() by (name) | topk(10)",
];

#[test]
fn all_of_them_are_queries_without_hints() {
    let of_signals = SIGNALS.iter().flat_map(|signal| {
        let both = |filter: &&str| format!("{signal} && {filter}");
        FILTERS.iter().map(both).collect::<Vec<_>>()
    });
    let with = |both: String| TABS.map(|tab| tab.replace('$', &both));
    let all = of_signals.flat_map(with).chain(OTHERS.map(str::to_owned));
    for text in all {
        let query = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let normal = plan::normal(query.clone()).to_string();
        assert!(!normal.contains("true") || normal.contains("with("), "{normal}");
        assert_eq!(hints(&text), [], "{text}");
        let words = ["rate()", "_over_time(", "compare("];
        assert_eq!(query.is_metrics(), words.iter().any(|word| text.contains(word)), "{text}");
    }
}
