"""Runs a component for `test_wasm.py`, with the Python that has wasmtime.

    run_component.py COMPONENT < cases > outcomes

A case is configuration and batch (in base64, or none). Outcomes are `{"imports": […]}` and then for
each case `{"answer": …}`, `{"plugin_error": …}` or `{"config_error": …}`.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Linker

VERSION = "0.1.0"
INTERFACES = {"span-processor": "process", "head-sampler": "sample"}


def compiled(engine: Engine, path: Path) -> Component:
    """Compiling takes some ten seconds: what was compiled lies beside the component."""
    cached = path.with_suffix(".cwasm")
    if not cached.exists() or cached.stat().st_mtime < path.stat().st_mtime:
        cached.write_bytes(Component.from_file(engine, path).serialize())
    return Component.deserialize_file(engine, str(cached))


def main() -> None:
    engine = Engine(Config())
    component = compiled(engine, Path(sys.argv[1]))
    print(json.dumps({"imports": list(component.type.imports(engine))}))
    for config, batch in json.load(sys.stdin):
        print(json.dumps(outcome(engine, component, config, batch)))


def outcome(engine: Engine, component: Component, config: str, batch: str | None) -> Any:
    store = Store(engine)
    linker = Linker(engine)
    # No example calls the host: whatever would is a trap.
    linker.define_unknown_imports_as_traps(component)
    instance = linker.instantiate(store, component)

    def function(interface: str, name: str) -> Any:
        index = instance.get_export_index(store, f"traceweir:plugin/{interface}@{VERSION}")
        return index and instance.get_func(store, instance.get_export_index(store, name, index))

    def call(of: Any, *arguments: Any) -> Any:
        result = of(store, *arguments)
        of.post_return(store)
        return result

    info = call(function("lifecycle", "describe"))
    assert info.version, "describe works before configure"
    configured = call(function("lifecycle", "configure"), config)
    if hasattr(configured, "tag") and configured.tag == "err":
        return {"config_error": configured.payload.path}
    if hasattr(configured, "path"):
        return {"config_error": configured.path}
    if batch is None:
        return {}
    answer = next(filter(None, (function(*each) for each in INTERFACES.items())))
    result = call(answer, base64.b64decode(batch))
    if isinstance(result, bytes):
        return {"answer": base64.b64encode(result).decode()}
    return {"plugin_error": result.tag}


main()
