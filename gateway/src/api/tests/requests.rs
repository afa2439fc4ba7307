//! What holds for every request: codes, tenants, methods, codings, ends.

use super::*;

#[tokio::test]
async fn kinds_of_the_store_become_codes() {
    for (kind, status, retry) in [
        (store::Kind::Invalid, 400, false),
        (store::Kind::TooLarge, 413, false),
        (store::Kind::Unavailable, 503, true),
        (store::Kind::Fatal, 503, true),
        (store::Kind::Corrupt, 500, false),
        (store::Kind::Io, 500, false),
    ] {
        let rig = Rig::new(Shelf { fails: Some(kind), ..Shelf::default() }, Tenancy::Single);
        let path = format!("/api/traces/{ID}");
        let response = rig.ask(Method::GET, &path, Listener::Query, &[]).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry);
        assert_eq!(response.body(), "the shelf is broken\n");
    }
}

#[tokio::test]
async fn tenants_are_told_apart_by_header_or_path() {
    let rig = Rig::new(shelf(), Tenancy::Header);
    let plain = format!("/api/traces/{ID}");
    let prefixed = format!("/api/traces/v1/team-b/tempo/api/traces/{ID}");
    let both = [("x-scope-orgid", "team-a")];
    let several = format!("/api/traces/v1/b%7Ca%7Cb/tempo/api/traces/{ID}");
    let (all, many) = (("x-scope-orgid", "a | b"), (0..33).map(|at| at.to_string()));
    let many = many.collect::<Vec<_>>().join("%7C");
    let many = format!("/api/traces/v1/{many}/tempo/api/traces/{ID}");
    for (path, headers, status, word) in [
        (&plain, &[][..], 401, "no org id"),
        (&plain, &[("x-scope-orgid", "a|")][..], 400, "X-Scope-OrgID"),
        (&plain, &both[..], 200, ""),
        (&prefixed, &[][..], 200, ""),
        (&prefixed, &both[..], 400, "different tenants"),
        (&plain, &[all][..], 200, ""),
        (&several, &[][..], 200, ""),
        (&several, &[all][..], 200, ""),
        (&several, &both[..], 400, "different tenants"),
        (&many, &[][..], 400, "at most 32"),
    ] {
        let response = rig.ask(Method::GET, path, Listener::Query, headers).await;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        assert_eq!(response.status().as_u16(), status, "{path} {text}");
        assert!(text.contains(word), "{text}");
    }
    let asked = rig.shelf.asked.lock().unwrap();
    let tenants: Vec<_> = asked.iter().map(|(tenants, ..)| tenants.to_string()).collect();
    assert_eq!(tenants, ["team-a", "team-b", "a|b", "a|b", "a|b"]);
}

#[tokio::test]
async fn methods_are_checked_and_head_has_no_body() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let path = format!("/api/traces/{ID}");
    let post = rig.ask(Method::POST, &path, Listener::Query, &[]).await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.headers()[header::ALLOW], "GET");
    let get = rig.ask(Method::GET, &path, Listener::Query, &[]).await;
    let head = rig.ask(Method::HEAD, &path, Listener::Query, &[]).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert!(head.body().is_empty() && !get.body().is_empty());
    assert_eq!(head.headers(), get.headers());
    assert_eq!(get.headers()[header::CONTENT_LENGTH], get.body().len().to_string().as_str());
}

#[tokio::test]
async fn long_answers_are_gzipped_for_who_takes_it() {
    let rig = Rig::new(shelf(), Tenancy::Single);
    let path = format!("/api/traces/{ID}");
    let plain = rig.ask(Method::GET, &path, Listener::Query, &[("accept-encoding", "br")]).await;
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    let refused = [("accept-encoding", "gzip;q=0, br")];
    let refused = rig.ask(Method::GET, &path, Listener::Query, &refused).await;
    assert_eq!(refused.body(), plain.body());
    let accept = [("accept-encoding", "br, gzip;q=0.5")];
    let packed = rig.ask(Method::GET, &path, Listener::Query, &accept).await;
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
    assert!(packed.body().len() < plain.body().len() / 4);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&**packed.body()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, **plain.body());
    let short = rig.ask(Method::GET, "/api/echo", Listener::Query, &accept).await;
    assert!(!short.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn an_empty_search_answers_tempos_empty_response() {
    let rig = Rig::new(Shelf::default(), Tenancy::Single);
    let (status, text) = rig.get("/api/search?q=%7B%7D&limit=5").await;
    assert_eq!((status, &*text), (StatusCode::OK, r#"{"traces":[],"metrics":{}}"#));
    let long = format!("/api/search?tags={}", "a".repeat(60_000));
    assert_eq!(rig.get(&long).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_handler_that_panics_takes_nobody_along() {
    let rig = Rig::new(Shelf::default(), Tenancy::Header);
    let tenant = [("x-scope-orgid", "panics")];
    let response = rig.ask(Method::GET, "/api/search", Listener::Query, &tenant).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let tenant = [("x-scope-orgid", "fine")];
    let response = rig.ask(Method::GET, "/api/search", Listener::Query, &tenant).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (_, stats) = rig.api.stats().find(|(path, _)| *path == "/api/search").unwrap();
    assert_eq!((stats.answered.get(), stats.failed.get(), stats.refused.get()), (1, 1, 0));
}

#[tokio::test]
async fn a_query_ends_with_its_client() {
    let rig = Rig::new(Shelf::default(), Tenancy::Header);
    let request = Request::get("/api/search?q=%7B.a%3D1%7D").header("x-scope-orgid", "waits");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let mut answer = Box::pin(Arc::clone(&rig.api).answer(request, (Listener::Query, &HERE)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(answer.as_mut().poll(&mut context).is_pending());
    rig.shelf.started.wait();
    drop(answer);
    rig.compute.close();
    assert!(rig.shelf.cancelled.load(Ordering::Relaxed));
}

#[tokio::test]
async fn what_is_missing_is_told_wherever_there_is_room() {
    let partial = Some("a block is damaged: é".to_owned());
    let rig = Rig::new(Shelf { partial, ..Shelf::default() }, Tenancy::Single);
    for path in
        ["/api/search?q=%7B.a%3D1%7D", "/api/metrics/query_range?q=%7B%7D%7Crate()&start=1&end=2"]
    {
        let response = rig.ask(Method::GET, path, Listener::Query, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let header = response.headers()["x-traceweir-partial"].to_str().unwrap();
        assert_eq!(header, "a block is damaged: %C3%A9", "{path}");
        let json: Value = serde_json::from_slice(response.body()).unwrap();
        let is_range = path.contains("range");
        assert_eq!(json["status"] == "PARTIAL", is_range, "{path}: {json}");
    }
}

#[test]
fn every_route_is_documented() {
    let doc = include_str!("../../../../docs/reference/api.md");
    for route in ROUTES {
        let row = format!("| `{} {}` |", route.method, route.path);
        assert!(doc.contains(&row), "docs/reference/api.md lacks {row}");
        assert!(doc.contains(route.doc), "docs/reference/api.md lacks {:?}", route.doc);
    }
    let methods = ["| `GET ", "| `POST ", "| `DELETE "];
    let is_row = |line: &&str| methods.iter().any(|method| line.starts_with(method));
    let rows = doc.lines().filter(is_row).count();
    assert_eq!(rows, ROUTES.len(), "docs/reference/api.md has rows of its own");
}
