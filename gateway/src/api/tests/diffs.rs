//! The difference of two traces, as clients ask for it.

use super::*;

async fn post(rig: &Rig, path: &str, body: &str) -> (u16, String) {
    let request = Request::post(path).body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let response = Arc::clone(&rig.api).answer(request, (Listener::Query, &HERE)).await;
    (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
}

const PATH: &str = "/api/v2/traces/diff";

#[tokio::test]
async fn two_traces_are_compared_in_three_forms() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    for (format, version) in [
        ("", "trace-patch-v0"),
        (r#","format":"trace-patch-v0""#, "trace-patch-v0"),
        (r#","format":"trace-summary-v0-native""#, "trace-summary-v0-native"),
        (r#","format":"trace-summary-v0-composed""#, "trace-summary-v0-composed"),
    ] {
        let body = format!(
            r#"{{"base":{{"traceId":"{ID}","start":1,"end":2}},"compare":{{"traceId":"1"}}{format}}}"#
        );
        let (status, text) = post(&rig, &format!("/base{PATH}"), &body).await;
        assert_eq!(status, 200, "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["version"], version);
    }
    let asked = rig.shelf.asked.lock().unwrap();
    assert_eq!(asked[0].2.start, Nanos::from_secs(1));
    assert_eq!((asked[1].1, asked[1].2), (TraceId::parse("1").unwrap(), TimeRange::ALL));
}

#[tokio::test]
async fn what_is_wrong_with_a_diff_is_said() {
    let both = format!(r#"{{"base":{{"traceId":"{ID}"}},"compare":{{"traceId":"1"}}}}"#);
    let with = |base: &str| format!(r#"{{"base":{base},"compare":{{"traceId":"1"}}}}"#);
    let rig = Rig::new(shelf(), Tenancy::Single);
    let long = " ".repeat(70_000);
    for (body, status, word) in [
        ("{}", 400, "missing field `base`"),
        ("", 400, "no request for a diff"),
        (&with(r#"{"traceId":"xyz"}"#), 400, "base.traceId"),
        (&with(r#"{"traceId":"1","start":1}"#), 400, "base: start and end go together"),
        (&with(r#"{"traceId":"1","start":2,"end":1}"#), 400, "base: start"),
        (&both.replacen('{', r#"{"format":"html","#, 1), 400, "trace-summary-v0-native"),
        (&long, 413, "65536"),
    ] {
        let (code, text) = post(&rig, PATH, body).await;
        assert_eq!(code, status, "{body}: {text}");
        assert!(text.contains(word), "{body}: {text}");
    }
    let get = rig.ask(Method::GET, PATH, Listener::Query, &[]).await;
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(get.headers()[header::ALLOW], "POST");
    for (shelf, status, word) in [
        (Shelf::default(), 404, "base: trace"),
        (Shelf { left_out: 1, ..shelf() }, 422, "partial"),
        (Shelf { partial: Some("a block is gone".to_owned()), ..shelf() }, 422, "a block is gone"),
    ] {
        let (code, text) = post(&Rig::new(shelf, Tenancy::Single), PATH, &both).await;
        assert_eq!(code, status, "{text}");
        assert!(text.contains(word), "{text}");
    }
}
