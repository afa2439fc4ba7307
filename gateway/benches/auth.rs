//! What it costs to know who asks: `cargo bench -p gateway --bench auth`.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use divan::{Bencher, black_box};
use gateway::auth::{Auth, Config, Tenancy, token};
use gateway::clock::SystemClock;
use gateway::server::Peer;
use http::Request;
use http::request::Parts;
use model::Clock;
use serde_json::json;

fn main() {
    divan::main();
}

/// A front door, and who signs for it.
struct Door {
    auth: Arc<Auth>,
    key: EcdsaKeyPair,
    token: String,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

fn peer() -> Peer {
    Peer::at(([127, 0, 0, 1], 1).into())
}

fn bearer(token: &str) -> Parts {
    let request = Request::builder().header(http::header::AUTHORIZATION, format!("Bearer {token}"));
    request.body(()).expect("tokens are text").into_parts().0
}

impl Door {
    fn open() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document =
            EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).expect("chance");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).expect("a key");
        let point = key.public_key().as_ref();
        let part = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": part(1), "y": part(33) });
        let (token, sha256) = token::make("agent", &[7; token::SECRET_BYTES]).expect("an id");
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("keys"), json!({ "keys": [jwk] }).to_string()).expect("written");
        let grants = "grants: {tenants: [shop], scopes: ['traces:write']}";
        let row = format!("tokens: [{{id: agent, sha256: {sha256}, {grants}}}]\n");
        std::fs::write(path("tokens"), row).expect("written");
        let issuer = format!(
            "{{issuer: 'https://a', audience: [b], jwks_file: '{}', {grants}}}",
            path("keys")
        );
        let yaml = format!("issuers: [{issuer}]\ntokens_file: '{}'\n", path("tokens"));
        let config: Config = serde_saphyr::from_str(&yaml).expect("a configuration");
        let auth = Auth::open(&config, Tenancy::Single, Arc::new(SystemClock::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (auth, runtime) = (auth.expect("files"), runtime.expect("a runtime"));
        Self { auth, key, token, runtime, _dir: dir }
    }

    /// A JWT of the usual size: about 600 bytes.
    fn jwt(&self, number: u64) -> String {
        let now = SystemClock::new().now().0 / 1_000_000_000;
        let claims = json!({
            "iss": "https://a", "aud": "b", "sub": format!("agent-{number}"), "iat": now, "exp": now + 3600,
            "groups": ["shop", "ops"], "scope": "traces:write traces:read", "padding": "x".repeat(200),
        });
        let encoded = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = encoded(json!({ "alg": "ES256", "kid": "k" }).to_string());
        let signed = format!("{header}.{}", encoded(claims.to_string()));
        let signature =
            self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// Has the keys come.
    fn warm(&self, head: &Parts) {
        for _ in 0..2 {
            self.runtime.block_on(self.auth.identify(head, &peer())).expect("let in");
        }
    }

    /// Nothing is waited for once keys are there.
    fn identify(&self, head: &Parts, peer: &Peer) {
        let mut asked = pin!(self.auth.identify(head, peer));
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(caller) => drop(black_box(caller.expect("let in"))),
            Poll::Pending => unreachable!("keys are there"),
        }
    }
}

/// One that held a moment ago.
#[divan::bench]
fn jwt_remembered(bencher: Bencher<'_, '_>) {
    let door = Door::open();
    let (head, peer) = (bearer(&door.jwt(0)), peer());
    door.warm(&head);
    bencher.bench_local(|| door.identify(black_box(&head), &peer));
}

/// One that is seen for the first time.
#[divan::bench(sample_count = 100, sample_size = 20)]
fn jwt_verified(bencher: Bencher<'_, '_>) {
    let door = Door::open();
    let peer = peer();
    door.warm(&bearer(&door.jwt(0)));
    let mut number = 0;
    let next = || {
        number += 1;
        bearer(&door.jwt(number))
    };
    bencher.with_inputs(next).bench_local_values(|head| door.identify(&head, &peer));
}

#[divan::bench]
fn api_token(bencher: Bencher<'_, '_>) {
    let door = Door::open();
    let (head, peer) = (bearer(&door.token), peer());
    bencher.bench_local(|| door.identify(black_box(&head), &peer));
}

#[divan::bench]
fn nobody_has_to_show_anything(bencher: Bencher<'_, '_>) {
    let auth = Auth::none(Tenancy::Single, Arc::new(SystemClock::new()));
    let (head, peer) = (Request::new(()).into_parts().0, peer());
    bencher.bench_local(|| {
        let mut asked = pin!(auth.identify(black_box(&head), &peer));
        drop(black_box(asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))));
    });
}
