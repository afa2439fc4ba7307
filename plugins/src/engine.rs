//! The one engine: how guests are compiled and what they may be, and the clock that ends those that take too
//! long.
//!
//! Guests are strangers: Cranelift alone compiles them, of the proposals those are on that compilers emit, time is
//! counted by epochs, memory and tables by the store's limiter, and the allocator's pool is a hard cap over all of
//! them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::warn;
use wasmtime::component::Component;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::{Error, Failure, Kind};

/// How often the epoch goes up; time limits are multiples of it.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// The stack of a guest.
const STACK_BYTES: usize = 512 << 10;
/// The stack that it and the host's functions are on.
const FIBER_BYTES: usize = 1 << 20;
/// Core modules of one component: Python's runtime has 38.
const CORES_PER_COMPONENT: u32 = 64;
/// Entries of one table: what compilers emit has one per function that is called indirectly.
pub(crate) const TABLE_ENTRIES_MAX: usize = 20_000;
/// How long compiling may take: JavaScript's runtime takes 10 s of a processor, Python's 30.
const COMPILE_MAX: Duration = Duration::from_secs(180);
/// Compilations that nobody waits for any more, as they took too long; with so many there are no new ones.
const ABANDONED_MAX: usize = 2;
/// Most memory that any guest may be given.
pub const MEMORY_BYTES_MAX: u64 = 512 << 20;

/// What an engine may use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most instances at a time, of all plugins.
    pub instances_max: u32,
    /// Most memory of one instance.
    pub memory_bytes_max: u64,
    /// Compiles on all threads; else on the one that calls.
    pub parallel: bool,
    /// Counts instructions instead of time: the same everywhere, for tests of plugins.
    pub fuel: bool,
    /// How long compiling one may take.
    pub compile_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let (instances_max, memory_bytes_max) = (1_000, MEMORY_BYTES_MAX);
        let compile_max = COMPILE_MAX;
        Self { instances_max, memory_bytes_max, parallel: false, fuel: false, compile_max }
    }
}

/// Compiles and runs guests; a cheap handle.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) fuel: bool,
    compile_max: Duration,
    /// Compilations that nobody waits for.
    abandoned: Arc<AtomicUsize>,
    ticker: Arc<Ticker>,
}

/// Raises the epoch while guests run.
#[derive(Debug)]
struct Ticker {
    shared: Arc<Ticking>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Ticking {
    running: AtomicUsize,
    sleeping: AtomicBool,
    stop: AtomicBool,
}

/// So many ticks without a guest, and it sleeps until one comes: a process without traffic wakes nobody.
const IDLE_TICKS: u32 = 20;

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::<Ticking>::default();
        let (engine, ticking) = (engine.weak(), Arc::clone(&shared));
        let builder = std::thread::Builder::new().name("epoch".to_owned());
        let thread = builder.spawn(move || tick(&engine, &ticking))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

fn tick(engine: &wasmtime::EngineWeak, ticking: &Ticking) {
    let mut idle = 0;
    while !ticking.stop.load(Ordering::Acquire) {
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);
        idle = if ticking.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            std::thread::park_timeout(TICK);
            continue;
        }
        ticking.sleeping.store(true, Ordering::SeqCst);
        // Whoever came in between has not seen that we sleep.
        if ticking.running.load(Ordering::SeqCst) == 0 && !ticking.stop.load(Ordering::Acquire) {
            std::thread::park();
        }
        ticking.sleeping.store(false, Ordering::SeqCst);
        idle = 0;
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A guest runs: time passes.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Ticker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Engine {
    /// Starts an engine, and the thread that counts its time.
    ///
    /// # Errors
    /// [`Kind::Host`] where this machine or its limits do not let it.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        let failed = |fault: &dyn std::fmt::Display| {
            Error::new(Kind::Host, format!("start the engine of plugins: {fault}"))
        };
        let pooled = wasmtime::Engine::new(&config(settings, true));
        let wasm = pooled.or_else(|fault| {
            // A limit of address space, most likely: guests run all the same, one allocation each.
            warn!(%fault, "no pool of memory for plugins");
            wasmtime::Engine::new(&config(settings, false))
        });
        let wasm = wasm.map_err(|fault| failed(&fault))?;
        let ticker = Ticker::start(&wasm).map_err(|fault| failed(&fault))?;
        let (fuel, compile_max) = (settings.fuel, settings.compile_max);
        let (abandoned, ticker) = (Arc::default(), Arc::new(ticker));
        Ok(Self { wasm, fuel, compile_max, abandoned, ticker })
    }

    /// Compiles a component: seconds for large ones. On a thread of its own, which cannot be stopped where it takes too
    /// long, but is not waited for.
    ///
    /// # Errors
    /// [`Kind::NotOurs`] where it is none, or wants what is switched off; [`Kind::Failed`] where it takes too long.
    pub fn compile(&self, component: &[u8]) -> Result<Component, Error> {
        if self.abandoned.load(Ordering::Relaxed) >= ABANDONED_MAX {
            let what = format!("compile: {ABANDONED_MAX} others take too long, and go on");
            return Err(Error::new(Kind::Host, what));
        }
        let (wasm, component) = (self.wasm.clone(), component.to_vec());
        // Whoever sends waits: either it is taken, or nobody is there any more.
        let (send, receive) = mpsc::sync_channel(0);
        let abandoned = Arc::clone(&self.abandoned);
        let compile = move || {
            let compiled = Component::from_binary(&wasm, &component);
            if send.send(compiled).is_err() {
                abandoned.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new().name("compile".to_owned()).spawn(compile);
        thread.map_err(|fault| Error::new(Kind::Host, format!("compile: {fault}")))?;
        match receive.recv_timeout(self.compile_max) {
            Ok(Ok(component)) => Ok(component),
            Ok(Err(fault)) => Err(Error::new(Kind::NotOurs, format!("compile: {fault:#}"))),
            Err(RecvTimeoutError::Timeout) => {
                self.abandoned.fetch_add(1, Ordering::Relaxed);
                drop(receive);
                let what =
                    format!("compile: more than {} s, the limit", self.compile_max.as_secs());
                Err(Error::new(Kind::Failed(Failure::Timeout), what))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new(Kind::Failed(Failure::Panic), "compile: the compiler gave up"))
            }
        }
    }

    /// Lets time pass for as long as the guard lives.
    pub(crate) fn running(&self) -> Running<'_> {
        self.ticker.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.ticker.shared.sleeping.load(Ordering::SeqCst) {
            self.ticker.wake();
        }
        Running(&self.ticker)
    }

    /// Ticks that a guest may take which may take so long.
    pub(crate) fn ticks(time: Duration) -> u64 {
        let ticks = time.as_millis().div_ceil(TICK.as_millis());
        // The tick under way counts for nothing.
        u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1)
    }
}

fn config(settings: &Settings, pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        // Two processes answer alike, on all processors.
        .cranelift_nan_canonicalization(true)
        .parallel_compilation(settings.parallel)
        .epoch_interruption(true)
        .consume_fuel(settings.fuel)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(FIBER_BYTES);
    if pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    }
    config
}

fn pool(settings: &Settings) -> PoolingAllocationConfig {
    let instances = settings.instances_max;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4).max(CORES_PER_COMPONENT))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2).max(CORES_PER_COMPONENT))
        .total_stacks(instances)
        .max_core_instances_per_component(CORES_PER_COMPONENT)
        .max_tables_per_component(CORES_PER_COMPONENT)
        .max_memories_per_component(2)
        .max_core_instance_size(1 << 20)
        .max_component_instance_size(1 << 20)
        .table_elements(TABLE_ENTRIES_MAX)
        .max_memory_size(usize::try_from(settings.memory_bytes_max).unwrap_or(usize::MAX))
        // What is kept is cleared by hand each time; more than this is given back to the system instead.
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10)
        .max_unused_warm_slots(8);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::Guest;

    #[test]
    fn what_compiles_for_too_long_is_not_waited_for() {
        let settings = Settings { compile_max: Duration::ZERO, ..Settings::default() };
        let engine = Engine::start(&settings).unwrap();
        let module = Guest::default().module();
        let component = crate::wrap::component_of(&module).unwrap();
        let fault = engine.compile(&component).map(drop).unwrap_err();
        assert_eq!(fault.kind(), Kind::Failed(Failure::Timeout), "{fault}");
        // It ends some time, and others may be compiled.
        while engine.abandoned.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        let patient = Engine::start(&Settings::default()).unwrap();
        patient.compile(&component).map(drop).unwrap();
    }
}
