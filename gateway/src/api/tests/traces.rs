//! Traces by id, in each form that a client may ask for.

use super::*;

#[tokio::test]
async fn a_trace_comes_as_json_of_either_version() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let (status, v1) = rig.get(&format!("/api/traces/{ID}")).await;
    assert_eq!(status, StatusCode::OK);
    let v1: Value = serde_json::from_str(&v1).unwrap();
    let span = &v1["batches"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "W47/95gDgQPSabYzgT/GDA==");
    assert_eq!(span["kind"], "SPAN_KIND_SERVER");
    let (_, v2) = rig.get(&format!("/api/v2/traces/{ID}?q=%7B%20%7D")).await;
    let v2: Value = serde_json::from_str(&v2).unwrap();
    assert_eq!(v2["trace"]["resourceSpans"], v1["batches"]);
    assert_eq!(v2["metrics"], json!({}));
    assert_eq!(v2.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_trace_comes_as_protobuf_for_who_asks() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let accept = [("accept", "text/html, Application/Protobuf;q=0.9")];
    let path = format!("/api/traces/{ID}");
    let v1 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    assert_eq!(v1.headers()[header::CONTENT_TYPE], "application/protobuf");
    assert_eq!(**v1.body(), otlp());
    let path = format!("/api/v2/traces/{ID}");
    let v2 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    let mut reader = model::wire::Reader::new(v2.body());
    let trace = reader.next().unwrap().unwrap();
    assert_eq!((trace.number, trace.value), (1, model::wire::Value::Bytes(&otlp())));
    let metrics = reader.next().unwrap().unwrap();
    assert_eq!((metrics.number, metrics.value), (2, model::wire::Value::Bytes(&[])));
    assert!(reader.next().unwrap().is_none());
}

#[tokio::test]
async fn a_trace_that_is_too_large_says_what_is_missing() {
    let rig = Rig::new(Shelf { left_out: 7, ..shelf() }, Tenancy::Single);
    let path = format!("/api/v2/traces/{ID}");
    let (status, text) = rig.get(&path).await;
    assert_eq!(status, StatusCode::OK);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["status"], "PARTIAL");
    assert!(json["message"].as_str().unwrap().contains("spans 1 to 1 of 8 are shown"), "{text}");
    let accept = [("accept", "application/protobuf")];
    let v2 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    let mut reader = model::wire::Reader::new(v2.body());
    let numbers: Vec<u32> =
        std::iter::from_fn(|| reader.next().unwrap()).map(|field| field.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let path = format!("/api/traces/{ID}");
    let v1 = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    assert_eq!(v1.headers()["x-traceweir-spans-left-out"], "7");
    assert_eq!(**v1.body(), otlp());
}

#[tokio::test]
async fn ids_and_times_reach_the_store_in_every_spelling() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    for path in [
        "/api/traces/463AC35C9F6413AD",
        "/api/v2/traces/0000000000000000463ac35c9f6413ad?start=1&end=2",
        "/base/api/v2/traces/00000000-0000-0000-463a-c35c9f6413ad",
        "/api/traces/v1/team/tempo/api/traces/463ac35c9f6413ad/",
    ] {
        assert_eq!(rig.get(path).await.0, StatusCode::OK, "{path}");
    }
    let asked = rig.shelf.asked.lock().unwrap();
    let id = TraceId::parse("463ac35c9f6413ad").unwrap();
    assert!(asked.len() == 4 && asked.iter().all(|(_, asked, _)| *asked == id));
    assert_eq!(asked[0].2, TimeRange::ALL);
    assert_eq!(asked[1].2.start, Nanos::from_secs(1));
}

#[tokio::test]
async fn what_is_wrong_with_a_trace_request_is_said() {
    let rig = Rig::new(Shelf::default(), Tenancy::Single);
    for (path, status, word) in [
        (format!("/api/traces/{ID}"), 404, "not known"),
        (format!("/api/v2/traces/{ID}"), 404, "not known"),
        ("/api/traces/xyz".to_owned(), 400, "not hexadecimal"),
        ("/api/v2/traces/00".to_owned(), 400, "all zeros"),
        (format!("/api/traces/{ID}00"), 400, "too many"),
        (format!("/api/traces/{ID}?start=2&end=2"), 400, "before end"),
        (format!("/api/v2/traces/{ID}?q=%7B.a%7D%7Crate()"), 400, "single filter"),
        (format!("/api/v2/traces/{ID}?q=%7B.a%7D&match_depth=-2"), 400, "match_depth"),
        ("/api/traces".to_owned(), 404, "nothing lives at"),
        ("/api/traces/a/b".to_owned(), 404, "nothing lives at"),
    ] {
        let (code, text) = rig.get(&path).await;
        assert_eq!(code.as_u16(), status, "{path}: {text}");
        assert!(text.contains(word), "{path}: {text}");
    }
    assert_eq!(rig.api.unknown(), 2);
}

#[tokio::test]
async fn a_trace_that_is_too_large_comes_in_pages() {
    let rig = Rig::new(Shelf { left_out: 1, ..shelf() }, Tenancy::Single);
    for version in ["/api/traces", "/api/v2/traces"] {
        let path = format!("{version}/{ID}?start=1&end=2");
        let first = rig.ask(Method::GET, &path, Listener::Query, &[]).await;
        let link = format!("<?start=1&end=2&after={}>; rel=\"next\"", next());
        assert_eq!(first.headers()[header::LINK], link);
        let path = format!("{version}/{ID}?after={}&start=1&end=2", next());
        let last = rig.ask(Method::GET, &path, Listener::Query, &[]).await;
        assert_eq!(last.status(), StatusCode::OK);
        assert!(!last.headers().contains_key(header::LINK));
    }
    let (_, first) = rig.get(&format!("/api/v2/traces/{ID}")).await;
    let first: Value = serde_json::from_str(&first).unwrap();
    let message = first["message"].as_str().unwrap();
    assert!(message.ends_with(&format!("the next ones are at after={}", next())), "{message}");
    let (_, last) = rig.get(&format!("/api/v2/traces/{ID}?after={}", next())).await;
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["status"], "PARTIAL");
    assert!(last["message"].as_str().unwrap().starts_with("spans 2 to 2 of 2"), "{last}");
    let (status, text) = rig.get(&format!("/api/v2/traces/{ID}?after=x")).await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("after: \"x\""), "{text}");
}
