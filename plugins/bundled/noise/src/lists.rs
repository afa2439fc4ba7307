//! What is known as noise without being configured: paths, agents, and services of gRPC.

use serde::Deserialize;

/// Why a request is noise. Where it is for several reasons, the first counts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// Somebody asks whether it lives.
    Health,
    /// Somebody fetches metrics.
    Scrape,
    /// Crawlers, previews of links, scanners.
    Bot,
    /// A browser asks whether it may ask.
    Preflight,
}

impl Reason {
    /// All, by their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::Health, Self::Scrape, Self::Bot, Self::Preflight];

    /// Its name in configurations, in reasons of drops and in attributes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Scrape => "scrape",
            Self::Bot => "bot",
            Self::Preflight => "preflight",
        }
    }
}

/// Whole paths, without a query; with a `*` at its start all that end so, at its end all that begin so.
pub(crate) const PATHS: &[(Reason, &[&str])] = &[
    (
        Reason::Health,
        &[
            "*/healthz",
            "*/livez",
            "*/readyz",
            "/healthz/*",
            "/livez/*",
            "/readyz/*",
            "/health",
            "/health/live",
            "/health/liveness",
            "/health/ready",
            "/health/readiness",
            "/health/started",
            "/health/startup",
            "/healthcheck",
            "/health-check",
            "/health_check",
            "/_health",
            "/__heartbeat__",
            "/__lbheartbeat__",
            "/-/healthy",
            "/-/ready",
            "/actuator/health",
            "/actuator/health/*",
            "/q/health",
            "/q/health/*",
            "/ping",
        ],
    ),
    (
        Reason::Scrape,
        &["/metrics", "/metrics/*", "/federate", "/actuator/prometheus", "/q/metrics"],
    ),
    (Reason::Bot, &["/robots.txt"]),
];

/// What stands in a user agent, in small letters.
pub(crate) const AGENTS: &[(Reason, &[&str])] = &[
    (
        Reason::Health,
        &[
            "amazon-route53-health-check-service",
            "better uptime bot",
            "blackbox exporter/",
            "check_http/",
            "cloudflare-healthchecks/",
            "cloudflare-traffic-manager/",
            "consul health check",
            "edge health probe",
            "elb-healthchecker/",
            "envoy/hc",
            "googlehc/",
            "googlestackdrivermonitoring-uptimechecks",
            "kube-probe/",
            "load balancer agent",
            "pingdom",
            "site24x7",
            "statuscake",
            "uptime-kuma/",
            "uptimerobot/",
        ],
    ),
    (
        Reason::Scrape,
        &["alloy/", "datadog agent/", "grafanaagent/", "prometheus/", "telegraf/", "vm_promscrape"],
    ),
    (
        Reason::Bot,
        &[
            "apis-google",
            "censysinspect",
            "crawler",
            "duckduckgo-favicons",
            "embedly/",
            "facebookcatalog/",
            "facebookexternalhit/",
            "feedfetcher-google",
            "google-inspectiontool/",
            "googleother",
            "ia_archiver",
            "mediapartners-google",
            "meta-externalagent/",
            "scrapy/",
            "skypeuripreview",
            "slurp",
            "spider",
            "whatsapp/",
            "zgrab/",
        ],
    ),
];

/// Services of gRPC.
pub(crate) const SERVICES: &[(Reason, &[&str])] = &[(Reason::Health, &["grpc.health.v1.Health"])];
