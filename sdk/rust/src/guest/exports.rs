//! What the host calls, for each trait of plugins.

use super::bindings::base::traceweir::plugin::types as bound;
use super::bindings::{
    authenticator, base, head_sampler, processor, refresher, router, tail_sampler,
};
use super::{Component, Exported};
use crate::answer::Answer;
use crate::batch::Batch;
use crate::error::{ConfigError, PluginError};
use crate::plugin::{
    Authenticator, ClientCertificate, HeadSampler, InputLevel, Permission, Plugin, Processor,
    Refresher, Request, Route, Router, TailSampler,
};
use crate::projection::{Attribute, Budget, Field, Info, Intrinsic, MatchRule, Owner, Projection};

impl<P: Plugin + Exported> base::exports::traceweir::plugin::lifecycle::Guest for Component<P> {
    fn describe() -> bound::PluginInfo {
        P::describe().into()
    }

    fn configure(config: String) -> Result<bound::Projection, bound::ConfigError> {
        let (plugin, projection) = P::configure(&config)?;
        P::with(|instance| *instance = Some(plugin));
        Ok(projection.into())
    }
}

/// Gives a batch to the instance.
fn call<P: Exported, T>(
    batch: &[u8],
    what: impl FnOnce(&mut P, &Batch<'_>) -> Result<T, PluginError>,
) -> Result<T, bound::PluginError> {
    let batch = Batch::parse(batch)?;
    P::with(|instance| {
        let instance =
            instance.as_mut().ok_or_else(|| PluginError::NotReady("configure".into()))?;
        what(instance, &batch)
    })
    .map_err(Into::into)
}

/// Asks the instance for something; before `configure` there is nothing.
fn ask<P: Exported, T>(what: impl FnOnce(&mut P) -> T) -> Option<T> {
    P::with(|instance| instance.as_mut().map(what))
}

/// Gives a batch to the instance, which answers.
fn answer<P: Exported>(
    batch: &[u8],
    what: impl FnOnce(&mut P, &Batch<'_>) -> Result<Answer, PluginError>,
) -> Result<Vec<u8>, bound::PluginError> {
    call(batch, |plugin, batch| what(plugin, batch).map(|answer| answer.encode()))
}

impl<P: Processor + Exported> processor::exports::traceweir::plugin::span_processor::Guest
    for Component<P>
{
    fn process(batch: Vec<u8>) -> Result<Vec<u8>, bound::PluginError> {
        answer(&batch, P::process)
    }
}

impl<P: HeadSampler + Exported> head_sampler::exports::traceweir::plugin::head_sampler::Guest
    for Component<P>
{
    fn sample(batch: Vec<u8>) -> Result<Vec<u8>, bound::PluginError> {
        answer(&batch, P::sample)
    }
}

impl<P: TailSampler + Exported> tail_sampler::exports::traceweir::plugin::tail_sampler::Guest
    for Component<P>
{
    fn level() -> tail_sampler::exports::traceweir::plugin::tail_sampler::InputLevel {
        use tail_sampler::exports::traceweir::plugin::tail_sampler::InputLevel as Bound;
        match ask(|plugin: &mut P| plugin.level()) {
            Some(InputLevel::ProjectedSpans) => Bound::ProjectedSpans,
            _ => Bound::Summary,
        }
    }

    fn decide(traces: Vec<u8>) -> Result<Vec<u8>, bound::PluginError> {
        answer(&traces, P::decide)
    }
}

impl<P: Router + Exported> router::exports::traceweir::plugin::router::Guest for Component<P> {
    fn routes() -> Vec<String> {
        ask(|plugin: &mut P| plugin.routes()).unwrap_or_default()
    }

    fn route(batch: Vec<u8>) -> Result<Vec<u8>, bound::PluginError> {
        let place = |route| match route {
            Route::Stay => u16::MAX,
            Route::To(place) => place,
        };
        let routes = call(&batch, P::route)?;
        Ok(routes.into_iter().flat_map(|route| place(route).to_le_bytes()).collect())
    }
}

impl<P: Authenticator + Exported> authenticator::exports::traceweir::plugin::authenticator::Guest
    for Component<P>
{
    fn authenticate(
        request: authenticator::exports::traceweir::plugin::authenticator::RequestInfo,
    ) -> Result<
        authenticator::exports::traceweir::plugin::authenticator::Identity,
        authenticator::exports::traceweir::plugin::authenticator::Denied,
    > {
        use authenticator::exports::traceweir::plugin::authenticator as bound;
        let certificate = request.client_cert;
        let request = Request {
            method: request.method,
            path: request.path,
            peer_ip: request.peer_ip,
            headers: request.headers,
            client_certificate: certificate
                .map(|of| ClientCertificate { subject: of.subject, names: of.names }),
        };
        let denied = |status, message, ttl_seconds| bound::Denied { status, message, ttl_seconds };
        let identity = ask(|plugin: &mut P| plugin.authenticate(&request))
            .ok_or_else(|| denied(403, "not configured".to_owned(), 0))?
            .map_err(|no| denied(no.status, no.message, no.ttl_seconds))?;
        let permission = |permission| match permission {
            Permission::Ingest => bound::Permission::Ingest,
            Permission::Query => bound::Permission::Query,
            Permission::Admin => bound::Permission::Admin,
        };
        Ok(bound::Identity {
            tenants: identity.tenants,
            permissions: identity.permissions.into_iter().map(permission).collect(),
            rate_class: identity.rate_class,
            cluster: identity.cluster,
            ttl_seconds: identity.ttl_seconds,
        })
    }
}

impl<P: Refresher + Exported> refresher::exports::traceweir::plugin::refresher::Guest
    for Component<P>
{
    fn interval_seconds() -> u32 {
        ask(|plugin: &mut P| plugin.interval_seconds()).unwrap_or_default()
    }

    fn refresh() -> Result<Vec<refresher::exports::traceweir::plugin::refresher::TableData>, String>
    {
        use refresher::exports::traceweir::plugin::refresher::TableData;
        let tables = ask(P::refresh).unwrap_or_else(|| Err("not configured".to_owned()))?;
        let data =
            |table: crate::plugin::Table| TableData { name: table.name, entries: table.entries };
        Ok(tables.into_iter().map(data).collect())
    }
}

impl From<Info> for bound::PluginInfo {
    fn from(info: Info) -> Self {
        let Info { name, version, description, config_schema, stateless } = info;
        Self { name, version, description, config_schema, stateless }
    }
}

impl From<ConfigError> for bound::ConfigError {
    fn from(ConfigError { path, message }: ConfigError) -> Self {
        Self { path, message }
    }
}

impl From<PluginError> for bound::PluginError {
    fn from(error: PluginError) -> Self {
        match error {
            PluginError::BadInput(why) => Self::BadInput(why),
            PluginError::NotReady(why) => Self::NotReady(why),
            PluginError::Internal(why) => Self::Internal(why),
        }
    }
}

impl From<Projection> for bound::Projection {
    fn from(projection: Projection) -> Self {
        let rule = |MatchRule { key, any_of }| bound::MatchRule { key, any_of };
        let budget = |Budget { name, per, limit, window_ms }| bound::Budget {
            name,
            per: per.map(Into::into),
            limit,
            window_ms,
        };
        Self {
            reads: projection.reads.into_iter().map(Into::into).collect(),
            writes: projection.writes.into_iter().map(Into::into).collect(),
            match_resource: projection.match_resource.into_iter().map(rule).collect(),
            budgets: projection.budgets.into_iter().map(budget).collect(),
            max_batch_rows: projection.max_batch_rows,
        }
    }
}

impl From<Field> for bound::Field {
    fn from(field: Field) -> Self {
        match field {
            Field::Intrinsic(intrinsic) => Self::Intrinsic(intrinsic.into()),
            Field::Attribute(attribute) => Self::Attribute(attribute.into()),
            Field::Attributes(attribute) => Self::Attributes(attribute.into()),
        }
    }
}

impl From<Attribute> for bound::Attribute {
    fn from(Attribute { owner, key, complex }: Attribute) -> Self {
        let owner = match owner {
            Owner::Span => bound::Owner::Span,
            Owner::Resource => bound::Owner::Resource,
            Owner::Scope => bound::Owner::Scope,
            Owner::Event => bound::Owner::Event,
            Owner::Link => bound::Owner::Link,
        };
        Self { owner, key, complex }
    }
}

impl From<Intrinsic> for bound::Intrinsic {
    fn from(intrinsic: Intrinsic) -> Self {
        match intrinsic {
            Intrinsic::TraceId => Self::TraceId,
            Intrinsic::SpanId => Self::SpanId,
            Intrinsic::ParentSpanId => Self::ParentSpanId,
            Intrinsic::TraceState => Self::TraceState,
            Intrinsic::TraceFlags => Self::TraceFlags,
            Intrinsic::Name => Self::Name,
            Intrinsic::Kind => Self::Kind,
            Intrinsic::StartTime => Self::StartTime,
            Intrinsic::Duration => Self::Duration,
            Intrinsic::StatusCode => Self::StatusCode,
            Intrinsic::StatusMessage => Self::StatusMessage,
            Intrinsic::ScopeName => Self::ScopeName,
            Intrinsic::ScopeVersion => Self::ScopeVersion,
            Intrinsic::EventName => Self::EventName,
            Intrinsic::EventTime => Self::EventTime,
            Intrinsic::EventCount => Self::EventCount,
            Intrinsic::LinkCount => Self::LinkCount,
            Intrinsic::ResourceIndex => Self::ResourceIndex,
            Intrinsic::ScopeIndex => Self::ScopeIndex,
            Intrinsic::EventSpan => Self::EventSpan,
            Intrinsic::SpanAttributeKeys => Self::SpanAttributeKeys,
            Intrinsic::PeerAddress => Self::PeerAddress,
        }
    }
}
