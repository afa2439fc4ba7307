//! What each method does.

use std::sync::Arc;

use model::Nanos;
use prost::Message;
use prost::bytes::Bytes;
use store::execute::traceql::TraceMatch;

use super::packets::Sending;
use super::{Ask, Call, Told, frame};
use crate::api::call::seconds_range;
use crate::api::error::Fault;
use crate::api::pb::request::{
    QueryInstantRequest, QueryRangeRequest, SearchRequest, SearchTagValuesRequest,
    SearchTagsRequest,
};
use crate::api::pb::{
    SearchTagValuesResponse, SearchTagValuesV2Response, SearchTagsResponse, SearchTagsV2Response,
    TagScope, TagValue,
};
use crate::api::{Api, hint, names, search, series};

/// Every method.
pub const METHODS: &[Call] = &[
    Call {
        path: "/tempopb.StreamingQuerier/Search",
        doc: "traces as they are found, newest first; each message has only those that are new",
        run: searched,
    },
    Call {
        path: "/tempopb.StreamingQuerier/SearchTags",
        doc: "as `GET /api/search/tags`",
        run: tags_v1,
    },
    Call {
        path: "/tempopb.StreamingQuerier/SearchTagsV2",
        doc: "as `GET /api/v2/search/tags`",
        run: tags_v2,
    },
    Call {
        path: "/tempopb.StreamingQuerier/SearchTagValues",
        doc: "as `GET /api/search/tag/{tag}/values`",
        run: values_v1,
    },
    Call {
        path: "/tempopb.StreamingQuerier/SearchTagValuesV2",
        doc: "as `GET /api/v2/search/tag/{scoped}/values`",
        run: values_v2,
    },
    Call {
        path: "/tempopb.StreamingQuerier/MetricsQueryRange",
        doc: "as `GET /api/metrics/query_range`, about twice a second what is counted so far",
        run: ranged,
    },
    Call {
        path: "/tempopb.StreamingQuerier/MetricsQueryInstant",
        doc: "as `GET /api/metrics/query`, likewise",
        run: instant,
    },
];

fn decode<M: Message + Default>(bytes: &Bytes) -> Result<M, Fault> {
    M::decode(bytes.clone()).map_err(|fault| Fault::invalid(format!("the request: {fault}")))
}

/// 0 stands for nothing.
const fn some(number: u32) -> Option<u64> {
    if number == 0 { None } else { Some(number as u64) }
}

fn millis(number: u32) -> Option<Nanos> {
    some(number).map(|millis| Nanos(millis * Nanos::MILLISECOND.0))
}

fn searched(api: &Api, ask: &Ask, sending: &mut Sending) -> Result<Told, Fault> {
    let request: SearchRequest = decode(&ask.message()?)?;
    let hints = hint::of(&request.query);
    let usual = search::Terms::default();
    let terms = search::Terms {
        tags: (!request.tags.is_empty()).then(|| request.tags.into_iter().collect()),
        duration_min: millis(request.min_duration_ms),
        duration_max: millis(request.max_duration_ms),
        during: seconds_range(some(request.start), some(request.end))?,
        limit: some(request.limit).unwrap_or(usual.limit),
        spans: some(request.spans_per_span_set).unwrap_or(usual.spans),
        query: request.query,
    };
    let wanted = terms.wanted(&ask.guard)?;
    let mut sent = 0;
    let mut send = |traces: &[Arc<TraceMatch>], inspected| {
        sent += traces.len();
        let packets = frame::searched(search::response(traces, inspected));
        packets.iter().for_each(|packet| sending.message(packet));
    };
    let found = api.parts.traces.query(&ask.tenants, &wanted, &mut send)?;
    ask.guard.looked_at(found.inspected);
    let rest = found.traces.get(sent..).unwrap_or_default();
    let packets = frame::searched(search::response(rest, found.inspected));
    packets.iter().for_each(|packet| sending.message(packet));
    Ok(Told { partial: found.partial, hints })
}

fn tags_v1(api: &Api, ask: &Ask, sending: &mut Sending) -> Result<Told, Fault> {
    let (terms, response, partial) = tags(api, ask)?;
    let SearchTagsResponse { tag_names, metrics } = names::flat(&response, &terms.scope);
    for tag_names in frame::lists(tag_names, String::len) {
        sending.message(&SearchTagsResponse { tag_names, metrics });
    }
    Ok(Told { partial, ..Told::default() })
}

fn tags_v2(api: &Api, ask: &Ask, sending: &mut Sending) -> Result<Told, Fault> {
    let (_, response, partial) = tags(api, ask)?;
    let told = Told { partial, ..Told::default() };
    if response.encoded_len() <= frame::PACKET_BYTES_MAX {
        sending.message(&response);
        return Ok(told);
    }
    let metrics = response.metrics;
    for TagScope { name, tags } in response.scopes {
        for tags in frame::lists(tags, String::len) {
            let scopes = vec![TagScope { name: name.clone(), tags }];
            sending.message(&SearchTagsV2Response { scopes, metrics });
        }
    }
    Ok(told)
}

type Tags = (names::Terms, SearchTagsV2Response, Option<String>);

fn tags(api: &Api, ask: &Ask) -> Result<Tags, Fault> {
    let request: SearchTagsRequest = decode(&ask.message()?)?;
    let terms = names::Terms {
        scope: request.scope,
        query: request.query,
        during: seconds_range(some(request.start), some(request.end))?,
        limit: u64::from(request.max_tags_per_scope),
    };
    let (response, partial) = names::tags(api, &ask.tenants, &terms, &ask.guard)?;
    Ok((terms, response, partial))
}

fn values_v1(api: &Api, ask: &Ask, sending: &mut Sending) -> Result<Told, Fault> {
    let request: SearchTagValuesRequest = decode(&ask.message()?)?;
    let field = names::unscoped(&request.tag_name);
    let (response, partial) = values(api, ask, &field, request)?;
    let SearchTagValuesResponse { tag_values, metrics } = names::untyped(response);
    for tag_values in frame::lists(tag_values, String::len) {
        sending.message(&SearchTagValuesResponse { tag_values, metrics });
    }
    Ok(Told { partial, ..Told::default() })
}

fn values_v2(api: &Api, ask: &Ask, sending: &mut Sending) -> Result<Told, Fault> {
    let request: SearchTagValuesRequest = decode(&ask.message()?)?;
    let field = names::scoped(&request.tag_name)?;
    let (response, partial) = values(api, ask, &field, request)?;
    let metrics = response.metrics;
    for tag_values in frame::lists(response.tag_values, TagValue::encoded_len) {
        sending.message(&SearchTagValuesV2Response { tag_values, metrics });
    }
    Ok(Told { partial, ..Told::default() })
}

fn values(
    api: &Api,
    ask: &Ask,
    field: &traceql::ast::Field,
    request: SearchTagValuesRequest,
) -> Result<(SearchTagValuesV2Response, Option<String>), Fault> {
    let terms = names::Terms {
        scope: String::new(),
        query: request.query,
        during: seconds_range(some(request.start), some(request.end))?,
        limit: u64::from(request.max_tag_values),
    };
    names::values(api, &ask.tenants, field, &terms, &ask.guard)
}

fn ranged(api: &Api, ask: &Ask, sending: &mut Sending) -> Result<Told, Fault> {
    let request: QueryRangeRequest = decode(&ask.message()?)?;
    let terms = series::Terms {
        step: Nanos(request.step),
        exemplars: u64::from(request.exemplars),
        series_max: u64::from(request.max_series),
        ..series::Terms::of(request.query, request.start, request.end, api.parts.clock.now())
    };
    let wanted = terms.range(&ask.guard)?;
    // Clients keep the last message: each has all that is counted so far.
    let mut so_far = |response| sending.whole(&frame::ranged(response));
    let response = series::query_range(api, (&ask.tenants, &ask.guard), &wanted, &mut so_far)?;
    let response = frame::ranged(response);
    sending.whole(&response);
    Ok(Told { partial: Some(response.message), hints: hint::of(&terms.query) })
}

fn instant(api: &Api, ask: &Ask, sending: &mut Sending) -> Result<Told, Fault> {
    let request: QueryInstantRequest = decode(&ask.message()?)?;
    let now = api.parts.clock.now();
    let terms = series::Terms::of(request.query, request.start, request.end, now);
    let wanted = terms.instant(&ask.guard)?;
    let mut so_far = |response| sending.whole(&frame::instant(response));
    let response = series::query_instant(api, (&ask.tenants, &ask.guard), &wanted, &mut so_far)?;
    let response = frame::instant(response);
    sending.whole(&response);
    Ok(Told { partial: Some(response.message), hints: hint::of(&terms.query) })
}
