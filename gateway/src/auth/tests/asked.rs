//! Plugins that say who somebody is.

use http::Request;

use super::*;
use crate::attach::tests::one;
use crate::auth::asked::Rule;

fn config() -> Config {
    let rule = Rule {
        plugin: "one".to_owned(),
        headers: vec!["x-api-key".to_owned()],
        certificates: false,
    };
    Config { plugins: vec![rule], ..Config::default() }
}

struct Door {
    auth: Arc<Auth>,
    clock: Arc<Hands>,
    _dir: tempfile::TempDir,
}

impl Door {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hands(AtomicU64::new(NOW.0)));
        let auth = Auth::open(&config(), Tenancy::Single, Arc::<Hands>::clone(&clock)).unwrap();
        let guest = plugins::guests::authenticator();
        auth.attach(&one(dir.path(), &guest, "")).unwrap();
        Self { auth, clock, _dir: dir }
    }

    async fn ask(&self, key: &str) -> Result<Caller, Denied> {
        self.ask_from("127.0.0.1:1", key).await
    }

    async fn ask_from(&self, addr: &str, key: &str) -> Result<Caller, Denied> {
        let request = Request::builder().header("x-api-key", key).body(()).unwrap();
        self.auth.identify(&request.into_parts().0, &Peer::at(addr.parse().unwrap())).await
    }

    fn asked(&self) -> u64 {
        self.auth.asked().asked.get()
    }
}

#[tokio::test]
async fn a_credential_is_asked_about_once_and_holds_for_as_long_as_it_says() {
    let door = Door::open();
    let caller = door.ask("good").await.unwrap();
    let principal = caller.principal();
    assert_eq!(principal.proof, Proof::Plugin);
    assert_eq!(caller.writes().unwrap(), TenantId::parse("shop").unwrap());
    for scope in [Scope::TracesWrite, Scope::TracesRead, Scope::MetricsRead, Scope::Admin] {
        principal.require(scope).unwrap();
    }
    door.ask("good").await.unwrap();
    assert_eq!(door.asked(), 1);
    // Another address is another credential: what a plugin says may hang on it.
    door.ask_from("127.0.0.2:1", "good").await.unwrap();
    assert_eq!(door.asked(), 2);
    door.clock.0.fetch_add(61_000_000_000, Ordering::Relaxed);
    door.ask("good").await.unwrap();
    assert_eq!(door.asked(), 3);
}

#[tokio::test]
async fn who_is_denied_is_not_asked_about_for_a_while() {
    let door = Door::open();
    for _ in 0..3 {
        assert_eq!(door.ask("denied").await.unwrap_err(), Denied::Forbidden("away".to_owned()));
    }
    assert_eq!(door.asked(), 1);
    door.clock.0.fetch_add(11_000_000_000, Ordering::Relaxed);
    door.ask("denied").await.unwrap_err();
    assert_eq!(door.asked(), 2);
}

#[tokio::test]
async fn a_plugin_that_fails_lets_nobody_in_and_locks_nobody_else_out() {
    let door = Door::open();
    for number in 0..20 {
        let denied = door.ask(&format!("panic {number}")).await.unwrap_err();
        assert!(matches!(&denied, Denied::Unavailable(why) if why.contains("panic")), "{denied}");
    }
    let denied = door.ask("tenant").await.unwrap_err();
    assert!(matches!(&denied, Denied::Unavailable(why) if why.contains("bad_output")), "{denied}");
    door.ask("good").await.unwrap();
    assert_eq!(door.auth.asked().failed.get(), 21);
}

#[tokio::test]
async fn what_shows_no_such_header_is_nobodys() {
    let door = Door::open();
    let request = Request::builder().body(()).unwrap().into_parts().0;
    let denied = door.auth.identify(&request, &Peer::at("127.0.0.1:1".parse().unwrap())).await;
    assert!(matches!(denied, Err(Denied::Missing(_))));
    assert_eq!(door.asked(), 0);
}

#[test]
fn rules_that_ask_nothing_are_told() {
    let rule = |yaml: &str| serde_saphyr::from_str::<Rule>(yaml).unwrap();
    for (yaml, key) in [
        ("{headers: [a]}", "auth.plugins[0].plugin"),
        ("{plugin: one}", "auth.plugins[0]"),
        ("{plugin: one, headers: [X-Key]}", "auth.plugins[0].headers"),
        ("{plugin: one, headers: ['a b']}", "auth.plugins[0].headers"),
    ] {
        let mut faults = Faults::default();
        Config { plugins: vec![rule(yaml)], ..Config::default() }.check(&mut faults);
        assert_eq!(faults.list().first().map(|fault| fault.key.as_str()), Some(key), "{yaml}");
    }
}
