//! One live guest: a store with its memory, and the functions that it exports.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use model::{Nanos, TenantId};
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower, TypedFunc};
use wasmtime::{Store, Trap};

use crate::contract::{
    ConfigError, Denied, Identity, InputLevel, PluginError, PluginInfo, Projection, RequestInfo,
    TableData, interface,
};
use crate::engine::Engine;
use crate::error::{Error, Failure, Kind};
use crate::host::{Host, Phase, Shared};
use crate::refresher::Reach;
use crate::worlds::World;

/// Bytes that a guest may hand to the host at once, beside its answer.
const HOSTCALL_BYTES: usize = 4 << 20;
/// How long `describe` and `configure` may take.
const CONFIGURE_TIME: Duration = Duration::from_secs(5);
/// An instance has done its work after so many calls: some runtimes never free.
const CALLS_MAX: u64 = 1_000_000;
/// Of the memory that it may have, at this share it is given up.
const MEMORY_PERCENT_MAX: usize = 75;
/// Instructions of a call, where they are counted.
const FUEL: u64 = 1 << 50;

/// What one guest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a call may take.
    pub time: Duration,
    /// Bytes of memory.
    pub memory_bytes_max: usize,
    /// Bytes of an answer.
    pub answer_bytes_max: usize,
}

/// A batch, and what the plugin answers.
type Call<Output> = TypedFunc<(Arc<Vec<u8>>,), (Result<Output, PluginError>,)>;

/// What it is called for.
enum Work {
    /// `process`, `sample` and `decide` look alike, and `route`.
    Batch(Call<Vec<u8>>),
    /// `authenticate`.
    Authenticate(TypedFunc<(RequestInfo,), (Result<Identity, Denied>,)>),
    /// `interval-seconds` and `refresh`.
    Tables(TypedFunc<(), (u32,)>, TypedFunc<(), (Result<Vec<TableData>, String>,)>),
}

/// A live guest.
pub(crate) struct Instance {
    store: Store<Host>,
    engine: Engine,
    limits: Limits,
    work: Work,
    configure: TypedFunc<(String,), (Result<Projection, ConfigError>,)>,
    describe: TypedFunc<(), (PluginInfo,)>,
    level: Option<TypedFunc<(), (InputLevel,)>>,
    routes: Option<TypedFunc<(), (Vec<String>,)>>,
    calls: u64,
    is_broken: bool,
    /// When it was last used.
    pub(crate) used: Nanos,
}

/// What a call took, and what it came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Instructions, where they are counted.
    pub(crate) fuel: u64,
}

/// How a call failed, and the words for it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) message: String,
}

impl Instance {
    /// Makes an instance; nothing of it has run but what its modules do at their start.
    ///
    /// # Errors
    /// [`Kind::NotOurs`] where exports are missing, [`Kind::Failed`] where it fails at its start.
    pub(crate) fn new(
        engine: &Engine,
        pre: &InstancePre<Host>,
        world: World,
        (shared, limits): (Arc<Shared>, Limits),
    ) -> Result<Self, Error> {
        let mut store = Store::new(&engine.wasm, Host::new(shared, limits.memory_bytes_max));
        store.limiter(|host| host);
        store.set_hostcall_fuel(limits.answer_bytes_max.saturating_add(HOSTCALL_BYTES));
        store.set_epoch_deadline(Engine::ticks(CONFIGURE_TIME));
        set_fuel(engine, &mut store)?;
        let running = engine.running();
        let made = at_once(pre.instantiate_async(&mut store));
        drop(running);
        let instance = made.map_err(|fault| {
            let Failed { failure, message } = failed(&fault, store.data());
            Error::new(Kind::Failed(failure), format!("instantiate: {message}"))
        })?;
        let mut exports = Exports { store: &mut store, instance: &instance };
        let describe = exports.function("lifecycle", "describe")?;
        let configure = exports.function("lifecycle", "configure")?;
        let (mut level, mut routes) = (None, None);
        let own = world.interface();
        let work = match world {
            World::SpanProcessor => Work::Batch(exports.function(own, "process")?),
            World::HeadSampler => Work::Batch(exports.function(own, "sample")?),
            World::TailSampler => {
                level = Some(exports.function(own, "level")?);
                Work::Batch(exports.function(own, "decide")?)
            }
            World::Router => {
                routes = Some(exports.function(own, "routes")?);
                Work::Batch(exports.function(own, "route")?)
            }
            World::Authenticator => Work::Authenticate(exports.function(own, "authenticate")?),
            World::TableRefresher => {
                let interval = exports.function(own, "interval-seconds")?;
                Work::Tables(interval, exports.function(own, "refresh")?)
            }
        };
        let (calls, is_broken, used) = (0, false, Nanos(0));
        let engine = engine.clone();
        Ok(Self {
            store,
            engine,
            limits,
            work,
            configure,
            describe,
            level,
            routes,
            calls,
            is_broken,
            used,
        })
    }

    /// What the plugin says of itself.
    pub(crate) fn describe(&mut self) -> Result<PluginInfo, Error> {
        let describe = self.describe;
        let told = self.call((Phase::Describe, None, CONFIGURE_TIME), describe, ());
        told.map(|(info,)| info).map_err(|failed| failed.into_error("describe"))
    }

    /// Configures it, once; what it wants to see.
    pub(crate) fn configure(&mut self, config: &str) -> Result<Projection, Error> {
        let (configure, config) = (self.configure, config.to_owned());
        let told = self.call((Phase::Configure, None, CONFIGURE_TIME), configure, (config,));
        match told.map_err(|failed| failed.into_error("configure"))? {
            (Ok(projection),) => Ok(projection),
            (Err(ConfigError { path, message }),) => {
                let path: String = path.chars().take(200).collect();
                let message: String = message.chars().take(1_000).collect();
                Err(Error::new(Kind::Config, format!("{path}: {message}")))
            }
        }
    }

    /// Whether a tail sampler wants more than the trace table.
    pub(crate) fn wants_spans(&mut self) -> Result<bool, Error> {
        let Some(level) = self.level else { return Ok(true) };
        let told = self.call((Phase::Work, None, CONFIGURE_TIME), level, ());
        let (level,) = told.map_err(|failed| failed.into_error("level"))?;
        Ok(level == InputLevel::ProjectedSpans)
    }

    /// The tenants that a router may name.
    pub(crate) fn routes(&mut self) -> Result<Vec<String>, Error> {
        let Some(routes) = self.routes else { return Ok(Vec::new()) };
        let told = self.call((Phase::Work, None, CONFIGURE_TIME), routes, ());
        told.map(|(routes,)| routes).map_err(|failed| failed.into_error("routes"))
    }

    /// Asks it who somebody is. What it remembers is in the name of `whose`.
    pub(crate) fn authenticate(
        &mut self,
        whose: &TenantId,
        request: RequestInfo,
    ) -> Result<Result<Identity, Denied>, Failed> {
        let Work::Authenticate(work) = &self.work else {
            let message = "it does not say who somebody is".to_owned();
            return Err(Failed { failure: Failure::Denied, message });
        };
        let work = *work;
        self.calls += 1;
        let told = self.call((Phase::Work, Some(whose), self.limits.time), work, (request,));
        told.map(|(told,)| told)
    }

    /// Calls it with a batch.
    pub(crate) fn batch(
        &mut self,
        tenant: &TenantId,
        batch: Arc<Vec<u8>>,
    ) -> Result<Answer, Failed> {
        let Work::Batch(work) = &self.work else {
            let message = "it takes no batches".to_owned();
            return Err(Failed { failure: Failure::Denied, message });
        };
        let work = *work;
        self.calls += 1;
        let told = self.call((Phase::Work, Some(tenant), self.limits.time), work, (batch,));
        let fuel = if self.engine.fuel { FUEL - self.store.get_fuel().unwrap_or(FUEL) } else { 0 };
        match told? {
            (Ok(bytes),) if bytes.len() > self.limits.answer_bytes_max => {
                let (bytes, limit) = (bytes.len(), self.limits.answer_bytes_max);
                let message = format!("an answer of {bytes} bytes, {limit} is the limit");
                Err(Failed { failure: Failure::BadOutput, message })
            }
            (Ok(bytes),) => Ok(Answer { bytes, fuel }),
            (Err(error),) => {
                let (PluginError::BadInput(message)
                | PluginError::NotReady(message)
                | PluginError::Internal(message)) = error;
                let message = message.chars().take(1_000).collect();
                Err(Failed { failure: Failure::Reported, message })
            }
        }
    }

    /// How often a refresher wants to be called, in seconds; nothing of others.
    pub(crate) fn interval(&mut self) -> Result<Option<u32>, Error> {
        let Work::Tables(interval, _) = &self.work else { return Ok(None) };
        let interval = *interval;
        let told = self.call((Phase::Work, None, CONFIGURE_TIME), interval, ());
        told.map(|(seconds,)| Some(seconds)).map_err(|failed| failed.into_error("interval-seconds"))
    }

    /// Has a refresher make its tables; it may ask a network meanwhile.
    pub(crate) fn refresh(
        &mut self,
        reach: Reach,
        time: Duration,
    ) -> Result<Vec<TableData>, Failed> {
        let Work::Tables(_, refresh) = &self.work else {
            let message = "it makes no tables".to_owned();
            return Err(Failed { failure: Failure::Denied, message });
        };
        let refresh = *refresh;
        self.calls += 1;
        self.store.data_mut().reach = Some(reach);
        let told = self.call((Phase::Work, None, time), refresh, ());
        self.store.data_mut().reach = None;
        told?.0.map_err(|message| {
            let message = message.chars().take(1_000).collect();
            Failed { failure: Failure::Reported, message }
        })
    }

    /// Whether it should not be used again: it has trapped, has grown, or has done its work.
    pub(crate) fn is_spent(&self) -> bool {
        let limit = self.limits.memory_bytes_max / 100 * MEMORY_PERCENT_MAX;
        self.is_broken || self.calls >= CALLS_MAX || self.memory_bytes() > limit
    }

    /// Bytes of its memories.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }

    /// The places of its metrics, by its own ids.
    pub(crate) fn metrics(&self) -> &[u32] {
        &self.store.data().metrics
    }

    fn call<Params, Return>(
        &mut self,
        (phase, tenant, time): (Phase, Option<&TenantId>, Duration),
        function: TypedFunc<Params, Return>,
        params: Params,
    ) -> Result<Return, Failed>
    where
        Params: ComponentNamedList + Lower + Send + Sync + 'static,
        Return: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.store.data_mut().begin(phase, tenant);
        self.store.set_epoch_deadline(Engine::ticks(time));
        set_fuel(&self.engine, &mut self.store)
            .map_err(|error| Failed { failure: Failure::Panic, message: error.to_string() })?;
        let running = self.engine.running();
        let told = at_once(function.call_async(&mut self.store, params));
        drop(running);
        told.map_err(|fault| {
            self.is_broken = true;
            failed(&fault, self.store.data())
        })
    }
}

impl Failed {
    fn into_error(self, what: &str) -> Error {
        Error::new(Kind::Failed(self.failure), format!("{what}: {}", self.message))
    }
}

/// Runs a guest to its end. It never waits: what it imports answers at once, and time ends it with a trap. So no
/// call is ever dropped half-way, which its store would not survive.
fn at_once<T>(future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    let waits = || Err(wasmtime::Error::msg("a guest that waits"));
    future.now_or_never().unwrap_or_else(waits)
}

fn set_fuel(engine: &Engine, store: &mut Store<Host>) -> Result<(), Error> {
    if !engine.fuel {
        return Ok(());
    }
    store.set_fuel(FUEL).map_err(|fault| Error::new(Kind::Host, fault.to_string()))
}

/// Why a guest was stopped.
fn failed(fault: &wasmtime::Error, host: &Host) -> Failed {
    let trap = fault.downcast_ref::<Trap>();
    let failure = match (host.stopped, trap) {
        (_, Some(Trap::Interrupt | Trap::OutOfFuel)) => Failure::Timeout,
        (Some(stopped), _) => stopped,
        (None, Some(_)) => Failure::Panic,
        // What it hands over cannot be read.
        (None, None) => Failure::BadOutput,
    };
    let message = match failure {
        Failure::Timeout => "it took too long".to_owned(),
        Failure::Memory => "it wanted more memory than it may have".to_owned(),
        _ => fault.root_cause().to_string().chars().take(500).collect(),
    };
    Failed { failure, message }
}

struct Exports<'a> {
    store: &'a mut Store<Host>,
    instance: &'a wasmtime::component::Instance,
}

impl Exports<'_> {
    fn function<Params, Return>(
        &mut self,
        within: &str,
        name: &str,
    ) -> Result<TypedFunc<Params, Return>, Error>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let within = interface(within);
        let missing = || Error::new(Kind::NotOurs, format!("it does not export {within}#{name}"));
        let at = self.instance.get_export_index(&mut *self.store, None, &within);
        let at = at.ok_or_else(missing)?;
        let at = self.instance.get_export_index(&mut *self.store, Some(&at), name);
        let function = self.instance.get_typed_func(&mut *self.store, at.ok_or_else(missing)?);
        function.map_err(|fault| {
            let what = format!("{within}#{name} is not what {} says: {fault:#}", crate::CONTRACT);
            Error::new(Kind::NotOurs, what)
        })
    }
}

#[cfg(test)]
mod tests;
