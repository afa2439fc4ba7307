//! The one path into the store that all receivers share: decompress, transcode, append, wait for
//! the ack, count.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use model::otlp::{self, Checked, Outline};
use model::{Clock, Nanos, TenantId};
use plugins::Chain;
use store::{Accepted, Append, Store};

use super::buffers::Buffers;
use super::chains::Chains;
use super::decode::{self, Coding, Room};
use super::reply::{Fault, Format, Kind};
use super::routed::{self, Part, Split};
use super::sample::SpanLog;
use super::stats::Stats;
use crate::auth::{Auth, Principal};
use crate::compute::{Compute, Lane, Weight};
use crate::limits::account::Unit;
use crate::limits::{Accounts, Exceeded, Held, Source};
use crate::overrides::values::LongAttributes;

/// Resolves when a request is durable.
pub type Ack = Pin<Box<dyn Future<Output = Result<Accepted, store::Error>> + Send>>;

/// Where requests go: the store, or what a test scripts.
pub trait Sink: Send + Sync + 'static {
    /// Takes a request that was looked through; computes, and never waits for the disk.
    ///
    /// # Errors
    /// As [`Store::append_checked`].
    fn append(&self, request: Append, checked: Checked) -> Result<Ack, store::Error>;

    /// Whether an append would wait for another one, which only the compute pool may do.
    fn is_busy(&self) -> bool {
        false
    }
}

impl Sink for Store {
    fn append(&self, request: Append, checked: Checked) -> Result<Ack, store::Error> {
        let pending = self.append_checked(request, checked)?;
        Ok(Box::pin(pending.durable()))
    }

    fn is_busy(&self) -> bool {
        Self::is_busy(self)
    }
}

/// Whose spans they are, and where from.
pub(super) struct Sender {
    pub(super) tenant: TenantId,
    /// Who sends them.
    pub(super) principal: Arc<Principal>,
    /// What it may send.
    pub(super) source: Source,
    /// The address that it sends from.
    peer: Option<IpAddr>,
    /// Bytes that are taken from its rate. A request that comes to nothing gives them back: it will
    /// come again.
    charged: u64,
    /// Bytes of the request, decompressed.
    bytes: u64,
}

impl Sender {
    pub(super) fn new(
        tenant: TenantId,
        principal: Arc<Principal>,
        accounts: &Accounts,
        peer: Option<IpAddr>,
    ) -> Self {
        let Principal { class, cluster, .. } = &*principal;
        let source = accounts.source(&tenant, class.as_ref(), cluster.as_ref());
        Self { tenant, principal, source, peer, charged: 0, bytes: 0 }
    }

    /// Lets a body through before it is read; its length may not be known yet. Nor how many spans it has: where
    /// none are left it is refused all the same, which costs less than to count them.
    pub(super) fn admit(&mut self, bytes: u64) -> Result<(), Exceeded> {
        self.source.admit(Unit::Spans, 0)?;
        self.source.admit(Unit::Bytes, bytes)?;
        self.charged = bytes;
        Ok(())
    }

    /// The address that it sends from.
    pub(super) const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// So many bytes it is by now.
    fn charge(&mut self, bytes: usize) {
        let more = (bytes as u64).saturating_sub(self.charged);
        self.source.charge(Unit::Bytes, more);
        self.charged += more;
    }

    /// The request is stored, or refused for good.
    const fn keep(&mut self) {
        self.charged = 0;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if self.charged > 0 {
            self.source.refund(Unit::Bytes, self.charged);
        }
    }
}

/// A request whose body has been read.
pub(super) struct Inbound {
    pub(super) sender: Sender,
    pub(super) received_at: Nanos,
    pub(super) format: Format,
    pub(super) coding: Coding,
    pub(super) body: Bytes,
    pub(super) held: Held,
    /// How much of what is held is for work to come.
    pub(super) prepaid: usize,
}

/// What every request passes through.
pub(super) struct Intake {
    pub(super) auth: Arc<Auth>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stats: Arc<Stats>,
    pub(super) body_bytes_max: usize,
    pub(super) spans: SpanLog,
    pub(super) buffers: Buffers,
    pub(super) chains: Chains,
}

/// What a request is like before it is decompressed: below these sizes, and so below about 100 µs,
/// a thread of its own costs more than the work.
const LIGHT_PLAIN_BYTES_MAX: usize = 24 << 10;
const LIGHT_JSON_BYTES_MAX: usize = 4 << 10;
/// A compressed body may be a bomb, so even a small one is looked at first.
const LIGHT_COMPRESSED_BYTES_MAX: usize = 2 << 10;

impl Inbound {
    fn weight(&self) -> Weight {
        let most = match (self.coding, self.format) {
            (Coding::Identity, Format::Protobuf) => LIGHT_PLAIN_BYTES_MAX,
            (Coding::Identity, Format::Json) => LIGHT_JSON_BYTES_MAX,
            _ => 0,
        };
        if self.body.len() <= most { Weight::Light } else { Weight::Heavy }
    }

    /// Decompresses a small body right here, as long as it stays small; else leaves it to the pool.
    fn inflated_if_small(mut self, buffers: &Buffers) -> Self {
        let small = self.body.len() <= LIGHT_COMPRESSED_BYTES_MAX;
        if self.coding == Coding::Identity || !small {
            return self;
        }
        let mut room = Prepaid { held: &mut self.held, left: self.prepaid };
        let limit = LIGHT_PLAIN_BYTES_MAX;
        if let Ok(body) = decode::inflate(self.coding, &self.body, limit, &mut room, buffers) {
            self.prepaid = room.left + self.body.len();
            self.body = body.into();
            self.coding = Coding::Identity;
        }
        self
    }

    /// Pays for what will probably be needed, while it is still possible to wait for it: the
    /// decompressed body, and the transcoded one where the compressed one does not leave enough.
    async fn prepay(&mut self, limit: usize) -> Result<(), Fault> {
        let wire = self.body.len();
        let inflated = decode::guess(self.coding, &self.body, limit);
        let wanted = match (self.format, self.coding) {
            (Format::Protobuf, _) => inflated,
            (Format::Json, Coding::Identity) => wire,
            (Format::Json, _) => inflated.saturating_add(inflated.saturating_sub(wire)),
        };
        self.prepaid = self.held.grow_at_most(wanted).await?;
        Ok(())
    }
}

/// What is on its way to the disk, of one request.
#[derive(Default)]
struct Promised {
    acks: Vec<(Source, Part, Ack)>,
    refused: Accepted,
    /// Bytes that are counted for others than whoever sent them.
    routed_bytes: u64,
}

impl Promised {
    fn add(&mut self, sender: &Sender, part: Part, ack: Option<Ack>) {
        self.acks.extend(ack.map(|ack| (sender.source.clone(), part, ack)));
    }

    /// Waits until all of it is durable, and counts it for whom it is.
    async fn kept(self) -> Result<Accepted, Fault> {
        let mut all = self.refused;
        for (Source { account, cluster }, part, ack) in self.acks {
            let accepted = ack.await?;
            cluster.usage.spans.add(accepted.spans);
            account.refuse_spans(&accepted.reasons);
            routed::add(&mut all, part.told(accepted));
        }
        Ok(all)
    }
}

impl Intake {
    /// Stores the request and waits until it is durable.
    ///
    /// # Cancel safety
    /// Once the work has begun the request is stored, whether or not anybody waits for the ack.
    pub(super) async fn ingest(
        self: &Arc<Self>,
        compute: &Compute,
        mut inbound: Inbound,
    ) -> Result<Accepted, Fault> {
        inbound.sender.charge(inbound.body.len());
        inbound.prepay(self.body_bytes_max).await?;
        let inbound = inbound.inflated_if_small(&self.buffers);
        let intake = Arc::clone(self);
        // A large request in the head would hold the network up through a small one.
        // Nor does a plugin run where the network is served: it may take its time.
        let has_plugins = inbound.sender.source.holding().limits.ingestion.has_plugins();
        let is_busy = has_plugins || self.sink.is_busy();
        let weight = if is_busy { Weight::Heavy } else { inbound.weight() };
        // What is held covers the body until the ack.
        let lane = Lane::of(inbound.sender.source.account.id);
        let (promised, _held) = compute.run(weight, lane, move || intake.work(inbound)).await??;
        promised.kept().await
    }

    /// The part that computes.
    fn work(&self, inbound: Inbound) -> Result<(Promised, Held), Fault> {
        let Inbound { mut sender, received_at, format, coding, body, mut held, prepaid } = inbound;
        let how = (format, coding, prepaid);
        let outcome = self.unpacked(&mut sender, how, body, &mut held);
        let outcome = outcome.and_then(|body| self.take(&sender, received_at, body, &mut held));
        let routed = outcome.as_ref().map_or(0, |promised| promised.routed_bytes);
        sender.source.cluster.usage.bytes.add(sender.bytes.saturating_sub(routed));
        if !outcome.as_ref().is_err_and(Fault::passes) {
            sender.keep();
        }
        Ok((outcome?, held))
    }

    /// The request as OTLP protobuf, with the cluster that it comes from.
    fn unpacked(
        &self,
        sender: &mut Sender,
        (format, coding, prepaid): (Format, Coding, usize),
        mut body: Bytes,
        held: &mut Held,
    ) -> Result<Bytes, Fault> {
        let mut room = Prepaid { held, left: prepaid };
        if coding != Coding::Identity {
            let wire = body.len();
            let (limit, buffers) = (self.body_bytes_max, &self.buffers);
            body = buffers.lend(decode::inflate(coding, &body, limit, &mut room, buffers)?);
            // The compressed body is gone, and what was paid for it is free again.
            room.left += wire;
        }
        sender.charge(body.len());
        self.stats.body_bytes.add(body.len() as u64);
        sender.bytes = body.len() as u64;
        if format == Format::Json {
            room.take(body.len())?;
            body = transcode(&body)?;
        }
        if let Some(cluster) = sender.principal.cluster.as_ref().filter(|_| !body.is_empty()) {
            room.take(body.len())?;
            body = self.stamped(&body, cluster)?;
        }
        let limits = &sender.source.holding().limits.ingestion;
        if limits.long_attributes == LongAttributes::Cut && limits.attribute_bytes_max.0 > 0 {
            room.take(body.len())?;
            body = cut(body, limits.rules().attribute_bytes_max)?;
        }
        Ok(body)
    }

    /// Takes a request in, for the tenant that it was sent for, or for whom a router says.
    fn take(
        &self,
        sender: &Sender,
        received_at: Nanos,
        body: Bytes,
        held: &mut Held,
    ) -> Result<Promised, Fault> {
        let mut promised = Promised::default();
        let Some(router) = self.chains.router(&sender.source)?.filter(|_| !body.is_empty()) else {
            let ack = self.append(sender, received_at, body)?;
            promised.add(sender, Part::whole(Bytes::new()), ack);
            return Ok(promised);
        };
        // What has to be copied, at most.
        held.try_grow(body.len())?;
        let Split { parts, refused } = self.chains.split(&router, sender, &body)?;
        promised.refused = refused;
        // One tenant's limits are no reason to lose what is another's: each part is tried.
        let mut faults = Vec::new();
        for part in parts {
            if let Err(fault) = self.take_part(sender, received_at, part, &mut promised) {
                faults.push(fault);
            }
        }
        // What passes comes again as a whole: what is stored of it twice is seen once.
        let worst = faults.iter().position(Fault::passes).unwrap_or(0);
        if worst < faults.len() { Err(faults.swap_remove(worst)) } else { Ok(promised) }
    }

    fn take_part(
        &self,
        sender: &Sender,
        received_at: Nanos,
        mut part: Part,
        promised: &mut Promised,
    ) -> Result<(), Fault> {
        let body = std::mem::take(&mut part.body);
        let Some(tenant) = part.tenant.clone() else {
            let ack = self.append(sender, received_at, body)?;
            promised.add(sender, part, ack);
            return Ok(());
        };
        let principal = Arc::clone(&sender.principal);
        let mut other = Sender::new(tenant, principal, &self.accounts, sender.peer);
        other.admit(body.len() as u64)?;
        let bytes = body.len() as u64;
        let outcome = self.append(&other, received_at, body);
        if !outcome.as_ref().is_err_and(Fault::passes) {
            other.keep();
        }
        let ack = outcome?;
        other.source.cluster.usage.requests.inc();
        other.source.cluster.usage.bytes.add(bytes);
        promised.routed_bytes += bytes;
        promised.add(&other, part, ack);
        Ok(())
    }

    /// Looks a request through and hands it to the store. No ack where there is nothing in it.
    fn append(
        &self,
        sender: &Sender,
        received_at: Nanos,
        body: Bytes,
    ) -> Result<Option<Ack>, Fault> {
        if body.is_empty() {
            return Ok(None);
        }
        let source = &sender.source;
        let rules = source.holding().limits.ingestion.rules();
        let chain = self.chains.of(source)?;
        let mut gate = source.gate(self.clock.monotonic());
        let looked = match chain.is_empty() {
            true => otlp::check_with(&body, &rules, &mut gate).map(|checked| (checked, None)),
            false => otlp::outline_with(&body, &rules, &mut gate, chain.wants())
                .map(|(checked, outline)| (checked, Some((chain, outline)))),
        };
        let taken = gate.into_taken();
        let looked = looked.map_err(|fault| Fault::new(Kind::Invalid, fault.to_string()));
        let appended = looked.and_then(|(checked, chain)| {
            if checked.spans > rules.spans_max {
                return Err(Fault::too_many_spans(&sender.tenant, rules.spans_max));
            }
            let spans = u64::from(checked.spans).saturating_sub(checked.refused.len() as u64);
            source.admit(Unit::Spans, spans)?;
            self.chains.capture(&sender.tenant, &body, (self.clock.monotonic(), received_at));
            let stored = self.changed(sender, body, (checked, chain));
            let stored =
                stored.and_then(|(body, checked)| self.store(sender, received_at, body, checked));
            stored.inspect_err(|_| source.refund(Unit::Spans, spans))
        });
        appended.inspect_err(|_| source.undo(&taken)).map(Some)
    }

    /// What its tenant's plugins leave of a request.
    fn changed(
        &self,
        sender: &Sender,
        body: Bytes,
        (checked, chain): (Checked, Option<(Chain, Outline)>),
    ) -> Result<(Bytes, Checked), Fault> {
        let Some((chain, outline)) = chain else { return Ok((body, checked)) };
        let whose = (&sender.tenant, sender.peer);
        let changed = self.chains.run(&chain, whose, (body, checked, outline))?;
        self.chains.sample(&sender.tenant, &changed.0, self.clock.monotonic());
        Ok(changed)
    }

    fn store(
        &self,
        sender: &Sender,
        received_at: Nanos,
        body: Bytes,
        checked: Checked,
    ) -> Result<Ack, Fault> {
        let tenant = sender.tenant.clone();
        let sample = self.spans.sample(&body);
        let request = Append { tenant: tenant.clone(), received_at, body };
        let ack = self.sink.append(request, checked)?;
        Ok(match sample {
            None => ack,
            Some(sample) => sample.told_by(ack, tenant),
        })
    }
}

impl Intake {
    /// The request with the cluster that it comes from on each resource.
    fn stamped(&self, body: &[u8], cluster: &str) -> Result<Bytes, Fault> {
        let names = self.auth.cluster_attributes().iter();
        let stamps: Vec<(&str, &str)> = names.map(|name| (name.as_str(), cluster)).collect();
        let fault = |fault: model::wire::Fault| Fault::new(Kind::Invalid, fault.to_string());
        otlp::stamp(body, &stamps).map(Bytes::from).map_err(fault)
    }
}

/// OTLP/JSON to OTLP protobuf.
fn transcode(body: &[u8]) -> Result<Bytes, Fault> {
    let fault = |fault: model::json::Fault| Fault::new(Kind::Invalid, fault.to_string());
    model::json::decode(body).map(Bytes::from).map_err(fault)
}

/// The request with attributes cut that are longer than so.
fn cut(body: Bytes, bytes_max: usize) -> Result<Bytes, Fault> {
    let fault = |fault: model::wire::Fault| Fault::new(Kind::Invalid, fault.to_string());
    let shorter = otlp::cut(&body, bytes_max).map_err(fault)?;
    Ok(shorter.map_or(body, Bytes::from))
}

/// Takes from what was paid in advance, then from what is free just now.
struct Prepaid<'a> {
    held: &'a mut Held,
    left: usize,
}

impl Room for Prepaid<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        let missing = bytes.saturating_sub(self.left);
        self.left = self.left.saturating_sub(bytes);
        if missing > 0 {
            self.held.try_grow(missing)?;
        }
        Ok(())
    }
}
