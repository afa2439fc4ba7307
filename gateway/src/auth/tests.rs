//! Who is let in, by real headers, keys and files; time stands where a test puts it.

mod asked;
mod hostile;

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::*;
use crate::server::Certificate;

const NOW: Nanos = Nanos::from_secs(1_800_000_000);
const ISSUER: &str = "https://idp.example";

/// A clock that tests move.
#[derive(Debug)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now(&self) -> Nanos {
        Nanos(self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Nanos {
        self.now()
    }
}

/// An issuer with a key of its own.
struct Idp {
    kid: &'static str,
    key: EcdsaKeyPair,
}

impl Idp {
    fn new(kid: &'static str) -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.unwrap().as_ref());
        Self { kid, key: key.unwrap() }
    }

    /// Its public key as a JWK.
    fn jwk(&self) -> Value {
        // A point that is not compressed: 4, x, y.
        let point = self.key.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": part(1..33), "y": part(33..65),
        })
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "JWT", "kid": self.kid })
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }
}

fn claims() -> Value {
    let now = NOW.0 / 1_000_000_000;
    json!({
        "iss": ISSUER, "sub": "agent", "aud": "traceweir", "exp": now + 3600, "iat": now,
        "groups": ["a", "b"], "scope": "traces:write traces:read openid", "cluster": "eu-1",
    })
}

/// A request with these headers.
fn head(headers: HeaderMap) -> Parts {
    let mut head = http::Request::new(()).into_parts().0;
    head.headers = headers;
    head
}

/// The front door with a file of keys and one of tokens.
struct Rig {
    auth: Arc<Auth>,
    clock: Arc<Hands>,
    dir: tempfile::TempDir,
}

const TOKEN_CHANCE: [u8; token::SECRET_BYTES] = [7; token::SECRET_BYTES];

fn api_token(id: &str) -> String {
    token::make(id, &TOKEN_CHANCE).unwrap().0
}

fn tokens_yaml() -> String {
    let (_, sha256) = token::make("any", &TOKEN_CHANCE).unwrap();
    format!(
        "tokens:\n\
         - {{id: spoke, sha256: {sha256}, grants: {{tenants: [a], scopes: [traces:write], cluster: eu-1}}}}\n\
         - {{id: people, sha256: {sha256}, subject: the people, grants: {{read: [a, b], scopes: ['traces:read metrics:read']}}}}\n\
         - {{id: old, sha256: {sha256}, expires_at: 1700000000, grants: {{tenants: [a], scopes: [traces:read]}}}}\n\
         - {{id: root, sha256: {sha256}, grants: {{tenants: ['*'], scopes: [admin, traces:read, traces:write]}}}}\n"
    )
}

impl Rig {
    fn start(jwks: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("keys.json"), jwks.to_string()).unwrap();
        std::fs::write(path("tokens.yaml"), tokens_yaml()).unwrap();
        let yaml = format!(
            "certificates:\n\
             - uri: 'spiffe://acme/{{cluster}}/ns/{{ns}}'\n  \
               grants: {{tenants: ['{{ns}}'], scopes: [traces:write], cluster: '{{cluster}}'}}\n\
             issuers:\n\
             - issuer: {ISSUER}\n  \
               audience: [traceweir]\n  \
               jwks_file: {}\n  \
               grants: {{tenants: ['{{/groups}}'], scopes: ['{{/scope}}'], cluster: '{{/cluster}}'}}\n\
             tokens_file: {}\n",
            path("keys.json"),
            path("tokens.yaml"),
        );
        let config: Config = serde_saphyr::from_str(&yaml).unwrap();
        let mut faults = Faults::default();
        config.check(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let clock = Arc::new(Hands(NOW.0.into()));
        let auth = Auth::open(&config, Tenancy::Single, Arc::clone(&clock) as _).unwrap();
        Self { auth, clock, dir }
    }

    fn with(idp: &Idp) -> Self {
        Self::start(&json!({ "keys": [idp.jwk()] }))
    }

    fn keys(&self, jwks: &Value) {
        std::fs::write(self.dir.path().join("keys.json"), jwks.to_string()).unwrap();
    }

    fn later(&self, nanos: Nanos) {
        self.clock.0.fetch_add(nanos.0, Ordering::Relaxed);
    }

    async fn ask(&self, headers: &[(&'static str, String)]) -> Result<Caller, Denied> {
        self.auth.identify(&head(map(headers)), &here()).await
    }

    async fn bearer(&self, token: &str) -> Result<Caller, Denied> {
        self.ask(&[("authorization", format!("Bearer {token}"))]).await
    }
}

fn here() -> Peer {
    Peer::at(([127, 0, 0, 1], 1).into())
}

fn map(headers: &[(&'static str, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn forbidden<T: std::fmt::Debug>(result: Result<T, Denied>) -> String {
    match result {
        Err(Denied::Forbidden(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn claims_tell_tenants_scopes_and_cluster() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let token = idp.token(&claims());
    let caller = rig.bearer(&token).await.unwrap();
    let principal = caller.principal();
    assert_eq!((principal.subject.as_str(), principal.proof), ("agent", Proof::Jwt));
    assert_eq!(principal.scopes, [Scope::TracesWrite, Scope::TracesRead].into());
    assert_eq!(principal.cluster.as_deref(), Some("eu-1"));
    assert!(matches!(caller.writes(), Err(Denied::Malformed(_))), "which of two?");
    assert!(forbidden(principal.require(Scope::Admin)).contains("admin"));
    let named = |name: &str| {
        [("authorization", format!("Bearer {token}")), (TENANT_HEADER, name.to_owned())]
    };
    assert_eq!(rig.ask(&named("b")).await.unwrap().writes(), Ok(tenant("b")));
    assert!(forbidden(rig.ask(&named("c")).await.unwrap().writes()).contains("tenant c"));
    assert!(matches!(rig.ask(&named("../c")).await, Err(Denied::Malformed(_))));
    // A claim is no pattern: only the configuration gives all tenants.
    let mut all = claims();
    all["groups"] = json!(["*"]);
    let caller = rig.bearer(&idp.token(&all)).await.unwrap();
    assert_eq!(caller.principal().read, Tenants::Only([tenant("*")].into()));
}

#[tokio::test]
async fn a_token_that_held_is_not_verified_again_until_keys_change() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let token = idp.token(&claims());
    let remembered = || rig.auth.stats().remembered.get();
    // Keys come with the first, so the second is the first that they may be remembered for.
    rig.bearer(&token).await.unwrap();
    rig.bearer(&token).await.unwrap();
    rig.bearer(&token).await.unwrap();
    assert_eq!(remembered(), 1);
    rig.later(Nanos::from_secs(61));
    rig.bearer(&token).await.unwrap();
    assert_eq!(remembered(), 1);
    // The issuer takes its key away: what is remembered goes with it.
    let next = Idp::new("k2");
    rig.keys(&json!({ "keys": [next.jwk()] }));
    rig.later(Nanos::from_secs(31));
    rig.bearer(&next.token(&claims())).await.unwrap();
    assert!(matches!(rig.bearer(&token).await, Err(Denied::Unavailable(_) | Denied::Invalid(_))));
}

#[tokio::test]
async fn a_key_that_is_not_known_is_asked_for_once_in_a_while_and_nobody_is_refused_for_good() {
    let (idp, next) = (Idp::new("k1"), Idp::new("k2"));
    let rig = Rig::with(&idp);
    rig.bearer(&idp.token(&claims())).await.unwrap();
    // The issuer signs with its next key before its file has it.
    let token = next.token(&claims());
    assert!(matches!(rig.bearer(&token).await, Err(Denied::Unavailable(_))), "too soon to ask");
    rig.later(Nanos::from_secs(31));
    assert!(matches!(rig.bearer(&token).await, Err(Denied::Invalid(_))), "asked, and not there");
    rig.keys(&json!({ "keys": [idp.jwk(), next.jwk()] }));
    let other = Idp::new("k3").token(&claims());
    assert!(matches!(rig.bearer(&other).await, Err(Denied::Unavailable(_))));
    rig.later(Nanos::from_secs(31));
    assert!(matches!(rig.bearer(&other).await, Err(Denied::Invalid(_))));
    rig.bearer(&token).await.unwrap();
    let stats = rig.auth.issuers()[0].stats();
    assert_eq!((stats.fetched.get(), stats.changed.get(), stats.keys.get()), (3, 2, 2));
}

#[tokio::test]
async fn a_key_that_was_not_there_is_asked_for_again() {
    let (idp, next) = (Idp::new("k1"), Idp::new("k2"));
    let rig = Rig::with(&idp);
    rig.bearer(&idp.token(&claims())).await.unwrap();
    rig.later(Nanos::from_secs(31));
    let token = next.token(&claims());
    assert!(matches!(rig.bearer(&token).await, Err(Denied::Invalid(_))), "asked, and not there");
    // Its issuer publishes it, and nobody asks for any other: whoever named it early keeps it out no longer.
    rig.keys(&json!({ "keys": [idp.jwk(), next.jwk()] }));
    rig.later(Nanos::from_secs(29));
    assert!(matches!(rig.bearer(&token).await, Err(Denied::Invalid(_))), "too soon to ask");
    rig.later(Nanos::from_secs(2));
    rig.bearer(&token).await.unwrap();
}

#[tokio::test]
async fn keys_that_come_in_the_background_keep_no_token_waiting_for_ever() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let issuer = &rig.auth.issuers()[0];
    let (_trigger, drain) = crate::server::drain::channel();
    let fetched = async {
        while issuer.stats().fetched.get() == 0 {
            crate::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = issuer.keep_fresh(drain) => {}
        () = fetched => {}
    }
    let stranger = Idp::new("k9").token(&claims());
    assert!(matches!(rig.bearer(&stranger).await, Err(Denied::Invalid(_))));
}

#[tokio::test]
async fn where_a_token_does_not_tell_its_cluster_it_sends_nothing() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let mut other = claims();
    other["groups"] = json!(["a"]);
    let caller = rig.bearer(&idp.token(&other)).await.unwrap();
    assert_eq!(caller.writes(), Ok(tenant("a")));
    for cluster in [Value::Null, json!(""), json!([]), json!({})] {
        other["cluster"] = cluster;
        let caller = rig.bearer(&idp.token(&other)).await.unwrap();
        assert!(forbidden(caller.writes()).contains("write no tenant"));
        assert_eq!(caller.reads(), Ok(tenant("a").into()));
    }
}

#[tokio::test]
async fn without_keys_the_answer_is_to_come_back() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    std::fs::remove_file(rig.dir.path().join("keys.json")).unwrap();
    let token = idp.token(&claims());
    assert!(matches!(rig.bearer(&token).await, Err(Denied::Unavailable(_))));
    rig.keys(&json!({ "keys": [idp.jwk()] }));
    assert!(matches!(rig.bearer(&token).await, Err(Denied::Unavailable(_))), "within the second");
    rig.later(Nanos::from_secs(2));
    rig.bearer(&token).await.unwrap();
    // Then they hold for a day without their issuer.
    std::fs::remove_file(rig.dir.path().join("keys.json")).unwrap();
    let mut long = claims();
    long["exp"] = json!(NOW.0 / 1_000_000_000 + 86_400);
    let long = idp.token(&long);
    rig.later(Nanos::from_secs(86_300));
    rig.bearer(&long).await.unwrap();
    rig.later(Nanos::from_secs(200));
    assert!(matches!(rig.bearer(&long).await, Err(Denied::Unavailable(_))));
}

#[tokio::test]
async fn api_tokens_are_found_by_their_hash_and_revoked_by_their_row() {
    let rig = Rig::with(&Idp::new("k1"));
    let caller = rig.bearer(&api_token("spoke")).await.unwrap();
    assert_eq!(caller.writes(), Ok(tenant("a")));
    assert!(forbidden(caller.principal().require(Scope::TracesRead)).contains("token spoke"));
    let caller = rig.bearer(&api_token("people")).await.unwrap();
    assert_eq!(caller.principal().subject, "the people");
    assert!(forbidden(caller.writes()).contains("traces:write"));
    assert!(rig.bearer(&api_token("root")).await.unwrap().principal().write.has(&tenant("zz")));
    let root = rig.bearer(&api_token("root")).await.unwrap();
    assert_eq!(
        (root.changes(&tenant("zz")), root.principal().require(Scope::Admin)),
        (Ok(()), Ok(()))
    );
    let spoke = rig.bearer(&api_token("spoke")).await.unwrap();
    assert_eq!(spoke.changes(&tenant("a")), Ok(()));
    assert!(forbidden(spoke.changes(&tenant("b"))).contains("tenant b"));
    let invalid = async |token: &str| match rig.bearer(token).await {
        Err(Denied::Invalid(why)) => why,
        other => panic!("{token}: {other:?}"),
    };
    assert!(invalid(&api_token("old")).await.contains("expired"));
    let unknown = invalid(&api_token("nobody")).await;
    for token in ["twk_spoke_wrong", "twk_spoke_", "twk_spoke", "twk_", "twk__x", "twk_SPOKE_x"] {
        let why = invalid(token).await;
        assert_eq!(why, unknown, "which part is wrong is nobody's business");
        assert!(!why.contains("wrong"), "nothing of a secret is told");
    }
    std::fs::write(rig.dir.path().join("tokens.yaml"), "tokens: []\n").unwrap();
    rig.auth.files().unwrap().reload();
    assert_eq!(invalid(&api_token("spoke")).await, unknown);
    // What cannot be read takes nothing away, and gives nothing.
    for bad in
        ["tokens: [{}]", "nonsense", "tokens: [{id: x, sha256: 12, grants: {scopes: [admin]}}]"]
    {
        std::fs::write(rig.dir.path().join("tokens.yaml"), bad).unwrap();
        rig.auth.files().unwrap().reload();
        assert_eq!(invalid(&api_token("spoke")).await, unknown);
    }
    std::fs::write(rig.dir.path().join("tokens.yaml"), tokens_yaml()).unwrap();
    rig.auth.files().unwrap().reload();
    rig.bearer(&api_token("spoke")).await.unwrap();
}

#[tokio::test]
async fn basic_has_a_tenant_and_a_token() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let basic = |user: &str, password: &str| {
        ("authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    };
    let jwt = idp.token(&claims());
    for (user, password) in [("b", &jwt), ("b", &api_token("people"))] {
        let caller = rig.ask(&[basic(user, password)]).await.unwrap();
        assert_eq!(caller.reads(), Ok(tenant("b").into()));
    }
    let caller = rig.ask(&[basic("", &api_token("spoke"))]).await.unwrap();
    assert_eq!(caller.writes(), Ok(tenant("a")));
    assert!(forbidden(rig.ask(&[basic("c", &jwt)]).await.unwrap().reads()).contains("tenant c"));
    let both = [basic("a", &jwt), (TENANT_HEADER, "b".to_owned())];
    assert!(matches!(rig.ask(&both).await, Err(Denied::Malformed(_))));
    let caller = rig.ask(&[basic("b", &jwt), (TENANT_HEADER, "b".to_owned())]).await.unwrap();
    assert_eq!(caller.writes(), Ok(tenant("b")));
    for value in ["Basic", "Basic !!", "Basic YQ==", "Digest x", "Bearer", "twk_spoke_x"] {
        let denied = rig.ask(&[("authorization", value.to_owned())]).await.unwrap_err();
        assert!(matches!(denied, Denied::Invalid(_)), "{value}: {denied:?}");
    }
    let twice = [basic("a", &jwt), ("authorization", format!("Bearer {jwt}"))];
    assert!(matches!(rig.ask(&twice).await, Err(Denied::Malformed(_))));
    assert!(matches!(rig.ask(&[]).await, Err(Denied::Missing(_))));
}

#[tokio::test]
async fn several_tenants_are_read_by_who_may_read_each() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let asks = async |user: &str, named: &str, token: &str| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{token}")));
        let named = (!named.is_empty()).then(|| (TENANT_HEADER, named.to_owned()));
        rig.ask(&named.into_iter().chain([("authorization", basic)]).collect::<Vec<_>>()).await
    };
    let (people, root) = (api_token("people"), api_token("root"));
    let both = Federation::parse("a|b").unwrap();
    for (user, named) in [("", "b|a"), ("", " a | b | a "), ("a|b", ""), ("b|a", "a|b")] {
        for token in [&people, &root, &idp.token(&claims())] {
            let caller = asks(user, named, token).await.unwrap();
            assert_eq!(caller.reads(), Ok(both.clone()), "{user:?} {named:?}");
            // Nobody sends for two.
            assert!(matches!(caller.writes(), Err(Denied::Malformed(_) | Denied::Forbidden(_))));
        }
    }
    let caller = asks("", "a|c|b|d", &people).await.unwrap();
    assert_eq!(forbidden(caller.reads()), "the people may not read tenant c");
    assert!(matches!(asks("a", "a|b", &people).await, Err(Denied::Malformed(_))));
    let many = |count: usize| (0..count).map(|at| format!("t{at}")).collect::<Vec<_>>().join("|");
    assert_eq!(asks("", &many(32), &root).await.unwrap().reads().unwrap().iter().len(), 32);
    for (user, named) in [(&*many(33), ""), ("", &*many(33))] {
        let Err(Denied::Malformed(why)) = asks(user, named, &root).await else { panic!("taken") };
        assert!(why.contains("33 tenants are named, at most 32"), "{why}");
    }
    for named in ["a|", "|", "a||b", "a|..", "a|b/c"] {
        assert!(matches!(asks("", named, &root).await, Err(Denied::Malformed(_))), "{named}");
    }
}

#[tokio::test]
async fn a_certificate_that_a_rule_knows_comes_first() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let shown = |uri: &str| Peer {
        certificate: Some(Arc::new(Certificate {
            subject: "CN=x".to_owned(),
            uris: vec![uri.to_owned()],
            not_after: NOW,
        })),
        ..here()
    };
    let headers = map(&[("authorization", format!("Bearer {}", idp.token(&claims())))]);
    let known = shown("spiffe://acme/us-2/ns/shop");
    let caller = rig.auth.identify(&head(headers.clone()), &known).await.unwrap();
    assert_eq!(
        (caller.principal().proof, caller.writes()),
        (Proof::Certificate, Ok(tenant("shop")))
    );
    assert_eq!(caller.principal().cluster.as_deref(), Some("us-2"));
    let foreign = shown("spiffe://acme/us-2/ns/a/b");
    let caller = rig.auth.identify(&head(headers), &foreign).await.unwrap();
    assert_eq!(caller.principal().proof, Proof::Jwt);
    let denied = rig.auth.identify(&head(HeaderMap::new()), &foreign).await.unwrap_err();
    assert!(matches!(denied, Denied::Missing(_)));
    let stats = rig.auth.stats();
    let admitted = stats.admitted.each_ref().map(Counter::get);
    assert_eq!((admitted, stats.denied[0].get()), ([0, 1, 1, 0, 0], 1));
}

#[tokio::test]
async fn where_nobody_has_to_show_anything_the_header_names_the_tenant_or_nobody() {
    let clock = || Arc::new(Hands(NOW.0.into()));
    let single = Auth::none(Tenancy::Single, clock());
    let header = Auth::none(Tenancy::Header, clock());
    let named = |name: &str| map(&[(TENANT_HEADER, name.to_owned())]);
    let caller = single.identify(&head(named("a|b")), &here()).await.unwrap();
    assert_eq!(caller.writes(), Ok(TenantId::single()));
    let caller = caller.naming(tenant("x").into(), "path").unwrap();
    assert_eq!(caller.reads(), Ok(TenantId::single().into()));
    let caller = header.identify(&head(named("team-a")), &here()).await.unwrap();
    assert_eq!(caller.writes(), Ok(tenant("team-a")));
    assert!(matches!(caller.naming(tenant("x").into(), "path"), Err(Denied::Malformed(_))));
    for name in ["", " "] {
        let caller = header.identify(&head(named(name)), &here()).await.unwrap();
        assert!(matches!(caller.writes(), Err(Denied::Missing(_))));
    }
    for name in ["..", "a/b", "__x"] {
        let denied = header.identify(&head(named(name)), &here()).await.unwrap_err();
        assert!(matches!(denied, Denied::Malformed(_)), "{name}");
    }
    let twice = map(&[(TENANT_HEADER, "a".to_owned()), (TENANT_HEADER, "b".to_owned())]);
    assert!(matches!(header.identify(&head(twice), &here()).await, Err(Denied::Malformed(_))));
    assert!(!header.is_on() && !single.is_on());
}

#[test]
fn faults_of_the_configuration_are_told_with_their_keys() {
    let keys = |yaml: &str| {
        let config: Config = serde_saphyr::from_str(yaml).unwrap();
        let mut faults = Faults::default();
        config.check(&mut faults);
        faults.list().iter().map(|fault| fault.key.clone()).collect::<Vec<_>>()
    };
    assert!(keys("{}").is_empty());
    let issuer = "{issuer: 'https://a', audience: [x], grants: {scopes: [admin]}}";
    assert!(keys(&format!("issuers: [{issuer}]")).is_empty());
    assert_eq!(keys(&format!("issuers: [{issuer}, {issuer}]")), ["auth.issuers[1].issuer"]);
    assert_eq!(
        keys("issuers: [{issuer: 'http://a', grants: {}}]"),
        ["auth.issuers[0].audience", "auth.issuers[0].issuer", "auth.issuers[0].grants.scopes"]
    );
    assert_eq!(
        keys(
            "issuers: [{issuer: a, jwks_file: f, audience: [x], lifetime_max: 1s, grants: {tenants: ['{x}', '/'], scopes: [nothing]}}]"
        ),
        [
            "auth.issuers[0].lifetime_max",
            "auth.issuers[0].grants.tenants",
            "auth.issuers[0].grants.tenants",
            "auth.issuers[0].grants.scopes",
        ]
    );
    let rule = |rule: &str| keys(&format!("certificates: [{rule}]"));
    assert!(rule("{uri: 'a/{b}', grants: {tenants: ['{b}'], scopes: [admin]}}").is_empty());
    assert_eq!(rule("{uri: a, subject: b, grants: {scopes: [admin]}}"), ["auth.certificates[0]"]);
    assert_eq!(rule("{uri: 'a{', grants: {scopes: [admin]}}"), ["auth.certificates[0]"]);
    let place = rule("{uri: 'a/{b}', grants: {tenants: ['{c}'], scopes: [admin]}}");
    assert_eq!(place, ["auth.certificates[0].grants.tenants"]);
}
