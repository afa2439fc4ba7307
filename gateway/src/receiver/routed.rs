//! A request in parts, one for each tenant that a router sends some of its resources to.
//!
//! A part is a request of its own: it is looked through by the rules of its tenant, counts against that one's limits,
//! and passes its plugins. Bytes of resources are copied as they are.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::TenantId;
use model::otlp::{Outline, REFUSALS_TOLD_MAX};
use plugins::Route;
use store::{Accepted, Refusal};

use crate::auth::Principal;

/// As what spans are counted that go to a tenant whom their sender may not write.
const REASON: &str = "route";

/// What goes to one tenant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Whose it is; none: of whom it was sent for.
    pub(super) tenant: Option<TenantId>,
    /// A request.
    pub(super) body: Bytes,
    places: Places,
}

/// Which spans of the request those of a part are: from this one of the part on, this one of the request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places(Vec<(u64, u64)>);

impl Places {
    fn of_request(&self, span: u64) -> u64 {
        let before = self.0.partition_point(|(part, _)| *part <= span);
        let begun = before.checked_sub(1).and_then(|at| self.0.get(at));
        begun.map_or(span, |(part, request)| request + (span - part))
    }
}

impl Part {
    /// All of a request, for whom it was sent for.
    pub(super) fn whole(body: Bytes) -> Self {
        Self { tenant: None, body, places: Places::default() }
    }

    /// What became of the part, with spans numbered as in the request.
    pub(super) fn told(&self, mut accepted: Accepted) -> Accepted {
        for refusal in &mut accepted.refusals {
            refusal.span = self.places.of_request(refusal.span);
        }
        accepted
    }
}

/// Where everything goes.
#[derive(Debug)]
pub(super) struct Split {
    /// A part for each tenant.
    pub(super) parts: Vec<Part>,
    /// What nobody gets, as its sender may not write for whom it is meant.
    pub(super) refused: Accepted,
}

#[derive(Default)]
struct Gathered {
    body: Vec<u8>,
    places: Places,
    spans: u64,
}

/// Puts a request apart as a router says. `home` is whom it was sent for.
pub(super) fn split(
    (body, outline): (&Bytes, &Outline),
    (routes, tenants): (&[Route], &[TenantId]),
    (principal, home): (&Principal, &TenantId),
) -> Split {
    let mut refused = Accepted::default();
    if routes.iter().all(|route| *route == Route::Stays) {
        return Split { parts: vec![Part::whole(body.clone())], refused };
    }
    let mut gathered: BTreeMap<Option<&TenantId>, Gathered> = BTreeMap::new();
    let mut ordinal = 0;
    for (resource, route) in outline.resources.iter().zip(routes) {
        let scopes = outline.scopes.get(resource.scopes.range()).unwrap_or_default();
        let spans = scopes.iter().map(|of| u64::from(of.spans.count + of.refused.count)).sum();
        let first = ordinal;
        ordinal += spans;
        let tenant = match route {
            Route::Dropped => continue,
            Route::Stays => None,
            Route::To(number) => tenants.get(usize::from(*number)).filter(|tenant| *tenant != home),
        };
        if let Some(tenant) = tenant.filter(|tenant| !principal.write.has(tenant)) {
            refuse(&mut refused, (first, spans), tenant, &principal.subject);
            continue;
        }
        let Some(bytes) = body.get(resource.at as usize..resource.end as usize) else { continue };
        let part = gathered.entry(tenant).or_default();
        part.body.extend_from_slice(bytes);
        part.places.0.push((part.spans, first));
        part.spans += spans;
    }
    let part = |(tenant, Gathered { body, places, .. }): (Option<&TenantId>, Gathered)| Part {
        tenant: tenant.cloned(),
        body: body.into(),
        places,
    };
    Split { parts: gathered.into_iter().map(part).collect(), refused }
}

fn refuse(refused: &mut Accepted, (first, spans): (u64, u64), tenant: &TenantId, subject: &str) {
    if spans == 0 {
        return;
    }
    refused.refused += spans;
    match refused.reasons.first_mut() {
        Some((_, count)) => *count += spans,
        None => refused.reasons.push((REASON, spans)),
    }
    if refused.refusals.len() < REFUSALS_TOLD_MAX {
        let reason =
            format!("its resource goes to tenant {tenant}, and {subject} may not write it");
        refused.refusals.push(Refusal { span: first, name: String::new(), reason });
    }
}

/// Adds what became of a part.
pub(super) fn add(all: &mut Accepted, part: Accepted) {
    all.spans += part.spans;
    all.refused += part.refused;
    let room = REFUSALS_TOLD_MAX.saturating_sub(all.refusals.len());
    all.refusals.extend(part.refusals.into_iter().take(room));
    all.reasons.extend(part.reasons);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::Nanos;
    use model::otlp::{Open, Rules, Wants, outline_with};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::*;
    use crate::auth::{Proof, Tenants};

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn principal(write: &[&str]) -> Principal {
        let write: BTreeSet<TenantId> = write.iter().map(|name| tenant(name)).collect();
        Principal {
            subject: "spoke".to_owned(),
            proof: Proof::Token,
            write: Tenants::Only(write),
            read: Tenants::Any,
            scopes: BTreeSet::new(),
            cluster: None,
            class: None,
            expires_at: Nanos(u64::MAX),
        }
    }

    /// Resources with so many spans each.
    fn request(spans: &[u8]) -> ExportTraceServiceRequest {
        let span =
            |number| Span { trace_id: vec![1; 16], span_id: vec![number; 8], ..Span::default() };
        let resource = |(at, count): (usize, &u8)| {
            let first = u8::try_from(at * 10 + 1).unwrap();
            let spans = (first..first + count).map(span).collect();
            let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
            ResourceSpans { scope_spans, ..ResourceSpans::default() }
        };
        let resource_spans = spans.iter().enumerate().map(resource).collect();
        ExportTraceServiceRequest { resource_spans }
    }

    fn parts(request: &ExportTraceServiceRequest, routes: &[Route], write: &[&str]) -> Split {
        let body = Bytes::from(request.encode_to_vec());
        let outline = outline_with(&body, &Rules::NONE, &mut Open, Wants::default()).unwrap().1;
        let tenants = [tenant("a"), tenant("b"), tenant("home")];
        split((&body, &outline), (routes, &tenants), (&principal(write), &tenant("home")))
    }

    #[test]
    fn resources_go_where_the_router_says_and_nothing_else_changes() {
        let request = request(&[2, 1, 3, 1, 2]);
        let routes = [Route::To(1), Route::Stays, Route::To(0), Route::To(1), Route::To(2)];
        let Split { parts, refused } = parts(&request, &routes, &["a", "b", "home"]);
        assert_eq!((refused.refused, parts.len()), (0, 3));
        for (part, (name, places)) in
            parts.iter().zip([(None, &[1usize, 4][..]), (Some("a"), &[2]), (Some("b"), &[0, 3])])
        {
            assert_eq!(part.tenant, name.map(tenant));
            let told = ExportTraceServiceRequest::decode(&*part.body).unwrap();
            let expected: Vec<_> =
                places.iter().map(|at| request.resource_spans[*at].clone()).collect();
            assert_eq!(told.resource_spans, expected);
        }
        // The third span of b's part is the first of the fourth resource: spans 0 to 5 are before it.
        assert_eq!(parts[2].places.of_request(2), 6);
        assert_eq!(parts[2].places.of_request(1), 1);
    }

    #[test]
    fn a_request_that_stays_is_not_copied() {
        let request = request(&[2, 1]);
        let Split { parts, refused } = parts(&request, &[Route::Stays; 2], &["home"]);
        assert_eq!((parts.len(), refused.refused), (1, 0));
        assert_eq!(parts[0].body, request.encode_to_vec());
        assert_eq!(parts[0].told(Accepted::default()).spans, 0);
    }

    #[test]
    fn what_its_sender_may_not_write_is_refused_and_the_rest_is_not() {
        let request = request(&[2, 1, 4]);
        let routes = [Route::To(0), Route::Stays, Route::To(1)];
        let Split { parts, refused } = parts(&request, &routes, &["a", "home"]);
        assert_eq!(parts.len(), 2);
        assert_eq!((refused.refused, refused.reasons), (4, vec![(REASON, 4)]));
        let told = &refused.refusals[0];
        assert_eq!(told.span, 3);
        assert!(told.reason.contains("tenant b, and spoke may not"), "{}", told.reason);
    }
}
