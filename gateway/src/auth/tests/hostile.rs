//! Tokens that must not be believed, each with what is wrong with it.

use super::*;

/// Seconds since 1970.
const AT: i64 = 1_800_000_000;

/// What is done to claims that hold.
type Change = fn(&mut Value);

/// A claim that is taken away, or is something else.
const CLAIMS: &[(&str, Change)] = &[
    ("no aud", |claims| drop(claims.as_object_mut().unwrap().remove("aud"))),
    ("aud is a number", |claims| claims["aud"] = json!(5)),
    ("aud is an object", |claims| claims["aud"] = json!({})),
    ("aud is null", |claims| claims["aud"] = Value::Null),
    ("aud is nobody", |claims| claims["aud"] = json!([])),
    ("aud is somebody else", |claims| claims["aud"] = json!("other")),
    ("aud begins like ours", |claims| claims["aud"] = json!("traceweir2")),
    ("aud in another case", |claims| claims["aud"] = json!("Traceweir")),
    ("aud has more than texts", |claims| claims["aud"] = json!(["traceweir", 5])),
    ("aud nests", |claims| claims["aud"] = json!([["traceweir"]])),
    ("no iss", |claims| drop(claims.as_object_mut().unwrap().remove("iss"))),
    ("iss is a number", |claims| claims["iss"] = json!(1)),
    ("iss is a list", |claims| claims["iss"] = json!(["https://evil.example", ISSUER])),
    ("iss is a list of ours", |claims| claims["iss"] = json!([ISSUER])),
    ("iss is somebody else", |claims| claims["iss"] = json!("https://evil.example")),
    ("iss with a slash", |claims| claims["iss"] = json!("https://idp.example/")),
    ("iss in another case", |claims| claims["iss"] = json!("https://IDP.example")),
    ("iss is empty", |claims| claims["iss"] = json!("")),
    ("no sub", |claims| drop(claims.as_object_mut().unwrap().remove("sub"))),
    ("sub is a number", |claims| claims["sub"] = json!(7)),
    ("sub is empty", |claims| claims["sub"] = json!("")),
    ("no exp", |claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
    ("exp is null", |claims| claims["exp"] = Value::Null),
    ("exp is a text", |claims| claims["exp"] = json!("1900000000")),
    ("exp is a list", |claims| claims["exp"] = json!([AT + 60])),
    ("exp is past", |claims| claims["exp"] = json!(AT - 3600)),
    ("exp is past by more than clocks differ", |claims| claims["exp"] = json!(AT - 31)),
    ("exp is negative", |claims| claims["exp"] = json!(-1)),
    ("exp is huge", |claims| claims["exp"] = json!(1e300)),
    ("exp is the year 9999", |claims| claims["exp"] = json!(253_402_300_000_i64)),
    ("exp is in two days", |claims| claims["exp"] = json!(AT + 2 * 86_400)),
    ("exp is far, iat too", |claims| {
        claims["iat"] = json!(AT + 86_400);
        claims["exp"] = json!(AT + 90_000);
    }),
    ("nbf is later", |claims| claims["nbf"] = json!(AT + 3600)),
    ("nbf is later by more than clocks differ", |claims| claims["nbf"] = json!(AT + 31)),
    ("nbf is a text", |claims| claims["nbf"] = json!("0")),
    ("iat is later", |claims| claims["iat"] = json!(AT + 60)),
    ("iat is a text", |claims| claims["iat"] = json!("now")),
    ("lives longer by its nbf", |claims| {
        claims.as_object_mut().unwrap().remove("iat");
        claims["nbf"] = json!(AT - 86_400);
    }),
];

/// A header that is something else.
const HEADERS: &[(&str, &str)] = &[
    ("crit", r#"{"alg":"ES256","kid":"k1","crit":["exp"],"exp":1}"#),
    ("crit of what nobody knows", r#"{"alg":"ES256","kid":"k1","crit":["foo"],"foo":1}"#),
    ("crit is empty", r#"{"alg":"ES256","kid":"k1","crit":[]}"#),
    ("crit b64", r#"{"alg":"ES256","kid":"k1","crit":["b64"],"b64":false}"#),
    ("b64", r#"{"alg":"ES256","kid":"k1","b64":false}"#),
    ("zip", r#"{"alg":"ES256","kid":"k1","zip":"DEF"}"#),
    ("enc", r#"{"alg":"ES256","kid":"k1","enc":"A128GCM"}"#),
    ("typ of a proof", r#"{"alg":"ES256","kid":"k1","typ":"dpop+jwt"}"#),
    ("typ of a log-out", r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#),
    ("typ is a number", r#"{"alg":"ES256","kid":"k1","typ":1}"#),
    ("alg none", r#"{"alg":"none","kid":"k1"}"#),
    ("alg None", r#"{"alg":"None","kid":"k1"}"#),
    ("alg HS256", r#"{"alg":"HS256","kid":"k1"}"#),
    ("alg RS256", r#"{"alg":"RS256","kid":"k1"}"#),
    ("alg ES384", r#"{"alg":"ES384","kid":"k1"}"#),
    ("alg in another case", r#"{"alg":"es256","kid":"k1"}"#),
    ("alg is a number", r#"{"alg":256,"kid":"k1"}"#),
    ("no alg", r#"{"kid":"k1"}"#),
    ("alg twice", r#"{"alg":"none","alg":"ES256","kid":"k1"}"#),
    ("kid twice", r#"{"alg":"ES256","kid":"k2","kid":"k1"}"#),
    ("kid is a number", r#"{"alg":"ES256","kid":1}"#),
    ("kid is null", r#"{"alg":"ES256","kid":null}"#),
    ("header is a list", r#"[{"alg":"ES256","kid":"k1"}]"#),
    ("header ends early", r#"{"alg":"ES256","kid":"k1""#),
];

/// Claims as text, with what JSON alone cannot say twice.
fn texts() -> Vec<(&'static str, String)> {
    let whole = claims().to_string();
    let more = |more: &str| format!("{},{more}}}", whole.trim_end_matches('}'));
    vec![
        ("aud twice", more(r#""aud":"other""#)),
        ("exp twice", more(r#""exp":1900000000"#)),
        ("groups twice", more(r#""groups":["c"]"#)),
        ("a name twice, deep", more(r#""x":{"y":{"a":1,"a":2}}"#)),
        ("a name twice, escaped", more(r#""\u0069ss":"https://evil.example""#)),
        ("more behind it", format!("{whole} {{}}")),
        ("a list", format!("[{whole}]")),
        ("nothing", String::new()),
        ("no JSON", "claims".to_owned()),
        ("nests for ever", format!("{}1{}", "[".repeat(4_000), "]".repeat(4_000))),
    ]
}

/// Every token, with what is wrong with it.
fn hostile(idp: &Idp) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (what, change) in CLAIMS {
        let mut changed = claims();
        change(&mut changed);
        all.push((format!("claims: {what}"), idp.token(&changed)));
    }
    for (what, header) in HEADERS {
        all.push((format!("header: {what}"), idp.sign(header, &claims().to_string())));
    }
    for (what, text) in texts() {
        all.push((format!("claims: {what}"), idp.sign(&idp.header().to_string(), &text)));
    }
    let good = idp.token(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = signed.split_once('.').unwrap();
    let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
    let public = idp.key.public_key().as_ref().to_vec();
    let confused = {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"k1"}"#);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &public);
        let tag = aws_lc_rs::hmac::sign(&key, format!("{header}.{body}").as_bytes());
        format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let der = {
        let key: aws_lc_rs::encoding::PublicKeyX509Der<'_> = idp.key.public_key().as_der().unwrap();
        URL_SAFE_NO_PAD.encode(key.as_ref())
    };
    let stranger = Idp::new("k1");
    // Its own key in the header: whoever believes it believes everybody.
    let own = json!({ "alg": "ES256", "kid": "k1", "jwk": stranger.jwk(), "jku": "https://evil.example",
                      "x5u": "https://evil.example", "x5c": [der] });
    let other = {
        let mut claims = claims();
        claims["groups"] = json!(["root"]);
        URL_SAFE_NO_PAD.encode(claims.to_string())
    };
    for (what, token) in [
        ("signed by a stranger with the same kid", stranger.token(&claims())),
        ("brings its own key", stranger.sign(&own.to_string(), &claims().to_string())),
        ("claims are others than were signed", format!("{header}.{other}.{signature}")),
        ("no signature", format!("{signed}.")),
        ("no third part", signed.to_owned()),
        ("a signature of zeros", format!("{signed}.{zeros}")),
        ("a signature that is short", format!("{signed}.{}", signature.split_at(80).0)),
        ("a signature that is longer", format!("{good}AA")),
        ("four parts", format!("{good}.x")),
        ("five parts, as if encrypted", format!("a.b.{good}")),
        ("padded", format!("{header}=.{body}.{signature}")),
        ("not base64", format!("{header}.{body}!.{signature}")),
        ("base64 of another kind", format!("{header}+.{body}/.{signature}")),
        ("HS256 with the public key", confused),
        ("dots alone", "..".to_owned()),
        ("too long", {
            let mut long = claims();
            long["padding"] = json!("x".repeat(9_000));
            idp.token(&long)
        }),
        ("a kid that is too long", {
            let header = json!({ "alg": "ES256", "kid": "k".repeat(129) });
            idp.sign(&header.to_string(), &claims().to_string())
        }),
        ("a kid that is a path", {
            let header = json!({ "alg": "ES256", "kid": "../../dev/null" });
            idp.sign(&header.to_string(), &claims().to_string())
        }),
    ] {
        all.push((what.to_owned(), token));
    }
    all
}

#[tokio::test]
async fn no_hostile_token_is_believed() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    // Each is a change of this one.
    rig.bearer(&idp.token(&claims())).await.unwrap();
    let all = hostile(&idp);
    assert!(all.len() >= 60, "{}", all.len());
    for (what, token) in all {
        // A key that nobody knows may be one of tomorrow: it is asked for once in a while.
        rig.later(Nanos::from_secs(0));
        let denied = rig.bearer(&token).await;
        let may_pass = what.contains("kid that is a path");
        match denied {
            Err(Denied::Invalid(why)) => assert!(!why.contains(&token), "{what}: {why}"),
            Err(Denied::Unavailable(_)) if may_pass => {}
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(rig.auth.stats().remembered.get(), 0, "{what}");
    }
}

#[tokio::test]
async fn what_is_right_is_believed_in_each_of_its_forms() {
    let idp = Idp::new("k1");
    let rig = Rig::with(&idp);
    let forms: [(&str, Change); 7] = [
        ("as it is", |_| {}),
        ("aud is a list", |claims| claims["aud"] = json!(["other", "traceweir"])),
        ("exp is a fraction", |claims| claims["exp"] = json!(1_800_000_100.5)),
        ("exp is past by less than clocks differ", |claims| claims["exp"] = json!(AT - 20)),
        ("nbf is later by less", |claims| claims["nbf"] = json!(AT + 20)),
        ("no iat", |claims| drop(claims.as_object_mut().unwrap().remove("iat"))),
        ("more claims", |claims| claims["x"] = json!({ "y": [1, { "z": null }] })),
    ];
    for (what, change) in forms {
        let mut changed = claims();
        change(&mut changed);
        assert!(rig.bearer(&idp.token(&changed)).await.is_ok(), "{what}");
    }
    let body = claims().to_string();
    for header in [
        r#"{"alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"application/at+JWT"}"#,
        r#"{"alg":"ES256","kid":"k1","jku":"https://evil.example/keys","cty":"x"}"#,
    ] {
        assert!(rig.bearer(&idp.sign(header, &body)).await.is_ok(), "{header}");
    }
}

#[test]
fn keys_that_are_of_no_use_are_none() {
    let good = Idp::new("k1").jwk();
    let parse = |keys: Value| jwt::Keys::parse(json!({ "keys": keys }).to_string().as_bytes());
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        jwk
    };
    let secret = json!({ "kty": "oct", "kid": "k1", "alg": "HS256", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" });
    let short = json!({ "kty": "RSA", "kid": "k1", "alg": "RS256", "e": "AQAB",
                        "n": URL_SAFE_NO_PAD.encode([255; 128]) });
    for bad in [
        secret,
        short,
        with("use", json!("enc")),
        with("key_ops", json!(["encrypt"])),
        with("alg", json!("ES384")),
        with("alg", json!("HS256")),
        with("crv", json!("P-521")),
        with("crv", json!("P-384")),
        with("x", json!("AA")),
        json!({ "kty": "unheard-of", "kid": "k1" }),
        json!("k1"),
    ] {
        assert!(parse(json!([bad])).is_err(), "{bad}");
        // And they keep nothing that is of use out.
        assert_eq!(parse(json!([bad, good])).unwrap().len(), 1, "{bad}");
    }
    assert!(parse(json!(vec![good.clone(); 101])).is_err());
    assert!(jwt::Keys::parse(b"{}").is_err() && jwt::Keys::parse(b"[]").is_err());
    assert!(jwt::Keys::parse(br#"{"keys":[],"keys":[]}"#).is_err());
}
