//! What guests may call: the functions of the host, world by world. What a world does not have is not linked, so a
//! plugin that wants it is refused when it is loaded.

use std::sync::Arc;

use model::Nanos;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance};

use crate::contract::{LogLevel, interface};
use crate::error::Failure;
use crate::host::{Host, Phase};
use crate::worlds::World;

/// Most random bytes of one call.
const RANDOM_BYTES_MAX: u32 = 64 << 10;
/// Most keys of one lookup.
const LOOKUP_KEYS_MAX: usize = 100_000;

type Caller<'a> = StoreContextMut<'a, Host>;

/// Links what a world has.
pub(crate) fn link(linker: &mut Linker<Host>, world: World) -> wasmtime::Result<()> {
    for name in world.imports() {
        let mut instance = linker.instance(&interface(name))?;
        match *name {
            "log" => log(&mut instance)?,
            "metrics" => metrics(&mut instance)?,
            "tables" => tables(&mut instance)?,
            "clock" => clock(&mut instance)?,
            "random" => random(&mut instance)?,
            "cache" => cache(&mut instance)?,
            "fetch" => crate::refresher::link(&mut instance)?,
            _ => {}
        }
    }
    Ok(())
}

fn log(instance: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    instance.func_wrap("write", |mut caller: Caller<'_>, (level, message): (LogLevel, String)| {
        let host = caller.data_mut();
        host.called(Phase::Describe)?;
        host.shared.log(host.tenant.as_ref(), level, &message);
        Ok(())
    })
}

fn metrics(instance: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    instance.func_wrap("counter", |mut caller: Caller<'_>, (name, help): (String, String)| {
        register(caller.data_mut(), &name, &help, None)
    })?;
    instance.func_wrap(
        "histogram",
        |mut caller: Caller<'_>, (name, help, bounds): (String, String, Vec<f64>)| {
            register(caller.data_mut(), &name, &help, Some(bounds))
        },
    )?;
    instance.func_wrap("add", |mut caller: Caller<'_>, (id, delta): (u32, u64)| {
        let host = caller.data_mut();
        host.called(Phase::Configure)?;
        if let Some(place) = host.metrics.get(id as usize) {
            host.shared.custom.add(*place, delta);
        }
        Ok(())
    })?;
    instance.func_wrap("observe", |mut caller: Caller<'_>, (id, value): (u32, f64)| {
        let host = caller.data_mut();
        host.called(Phase::Configure)?;
        if let Some(place) = host.metrics.get(id as usize) {
            host.shared.custom.observe(*place, value);
        }
        Ok(())
    })
}

fn register(
    host: &mut Host,
    name: &str,
    help: &str,
    bounds: Option<Vec<f64>>,
) -> wasmtime::Result<(u32,)> {
    host.called(Phase::Configure)?;
    if host.phase != Phase::Configure {
        host.stopped = Some(Failure::Denied);
        return Err(wasmtime::Error::msg(format!(
            "metric {name:.100}: registered after configure"
        )));
    }
    let place = host.shared.custom.register(name, help, bounds).map_err(wasmtime::Error::msg)?;
    host.metrics.push(place);
    Ok((u32::try_from(host.metrics.len() - 1).unwrap_or(u32::MAX),))
}

fn tables(instance: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    instance.func_wrap(
        "lookup",
        |mut caller: Caller<'_>, (name, keys): (String, Vec<String>)| {
            let host = caller.data_mut();
            host.called(Phase::Configure)?;
            if keys.len() > LOOKUP_KEYS_MAX {
                host.stopped = Some(Failure::HostCalls);
                return Err(wasmtime::Error::msg(format!("a lookup of {} keys", keys.len())));
            }
            let table = host.shared.world.tables.get(&name);
            let of =
                |key: &String| table.as_ref().and_then(|table| table.entries.get(key)).cloned();
            Ok((keys.iter().map(of).collect::<Vec<Option<Arc<str>>>>(),))
        },
    )?;
    instance.func_wrap("generation", |mut caller: Caller<'_>, (name,): (String,)| {
        let host = caller.data_mut();
        host.called(Phase::Configure)?;
        Ok((host.shared.world.tables.get(&name).map_or(0, |table| table.generation),))
    })
}

fn clock(instance: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    instance.func_wrap("now-unix-nano", |mut caller: Caller<'_>, (): ()| {
        let host = caller.data_mut();
        host.called(Phase::Configure)?;
        Ok((host.shared.world.clock.now().0,))
    })
}

fn random(instance: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    instance.func_wrap("fill", |mut caller: Caller<'_>, (len,): (u32,)| {
        let host = caller.data_mut();
        host.called(Phase::Configure)?;
        if len > RANDOM_BYTES_MAX {
            host.stopped = Some(Failure::HostCalls);
            return Err(wasmtime::Error::msg(format!("{len} random bytes at a time")));
        }
        let mut bytes = vec![0; len as usize];
        (host.shared.world.chance)(&mut bytes);
        Ok((bytes,))
    })
}

fn cache(instance: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    instance.func_wrap("get", |mut caller: Caller<'_>, (key,): (String,)| {
        let host = caller.data_mut();
        host.called(Phase::Work)?;
        let Some(tenant) = &host.tenant else { return Ok((None,)) };
        let found = host.shared.cache(tenant, |cache, now| cache.get(&key, now));
        Ok((found.flatten(),))
    })?;
    instance.func_wrap(
        "set",
        |mut caller: Caller<'_>, (key, value, ttl_seconds): (String, Vec<u8>, u32)| {
            let host = caller.data_mut();
            host.called(Phase::Work)?;
            let Some(tenant) = &host.tenant else { return Ok(()) };
            let ttl = Nanos::from_secs(u64::from(ttl_seconds));
            host.shared.cache(tenant, |cache, now| cache.set(key, value, now.plus(ttl)));
            Ok(())
        },
    )
}
