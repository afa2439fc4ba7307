//! The gRPC services that tonic provides: health and reflection, called from inside our own
//! dispatch by the name of the service.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::codegen::Service;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::descriptor;
use crate::server::{Body, Reply};

type Call = Arc<dyn Fn(Request<Incoming>) -> Reply + Send + Sync>;

/// Services by name.
pub(super) struct Services {
    health: HealthReporter,
    serves: Serves,
    calls: Vec<(&'static str, Call)>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.calls.iter().map(|(name, _)| name)).finish()
    }
}

const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

/// What a port has beside health and reflection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Spans,
    SpansAndQueries,
}

impl Serves {
    /// The services whose health is told; the empty name is the whole server.
    const fn healthy(self) -> &'static [&'static str] {
        match self {
            Self::Spans => &["", TRACES],
            Self::SpansAndQueries => &["", TRACES, "tempopb.StreamingQuerier"],
        }
    }
}

impl Services {
    pub(super) fn new(serves: Serves) -> Self {
        let (health, service) = tonic_health::server::health_reporter();
        start_unready(&health, serves);
        let mut calls = vec![("grpc.health.v1.Health", call(service))];
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_file_descriptor_set(descriptor::set(serves))
        };
        // Both are made of our own table, so they fail in every test or never.
        if let Ok(service) = reflection().build_v1() {
            calls.push(("grpc.reflection.v1.ServerReflection", call(service)));
        }
        if let Ok(service) = reflection().build_v1alpha() {
            calls.push(("grpc.reflection.v1alpha.ServerReflection", call(service)));
        }
        Self { health, serves, calls }
    }

    /// The service of this name.
    pub(super) fn call(&self, service: &str) -> Option<Call> {
        let call = self.calls.iter().find(|(name, _)| *name == service);
        call.map(|(_, call)| Arc::clone(call))
    }

    pub(super) async fn set_ready(&self, ready: bool) {
        report(&self.health, self.serves, ready).await;
    }
}

/// Tonic starts as serving. Nobody else has the new reporter's lock, so one poll is enough.
fn start_unready(health: &HealthReporter, serves: Serves) {
    let mut told = pin!(report(health, serves, false));
    let told = told.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    debug_assert!(told.is_ready(), "the lock of a new reporter is free");
}

async fn report(health: &HealthReporter, serves: Serves, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in serves.healthy() {
        health.set_service_status(service, status).await;
    }
}

/// Hides the type of a tonic service.
fn call<S>(service: S) -> Call
where
    S: Service<Request<Incoming>, Response = Response<tonic::body::Body>>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Error: Into<std::convert::Infallible>,
    S::Future: Send,
{
    Arc::new(move |request| {
        // A clone is two reference counts; the original is shared by all connections.
        let mut service = service.clone();
        let answer: Reply = Box::pin(async move {
            match service.call(request).await {
                Ok(response) => response.map(Body::stream),
                Err(never) => match never.into() {},
            }
        });
        answer
    })
}
