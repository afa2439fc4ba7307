"""Makes of a plugin what componentize-py looks for in its module: a class for each interface that
its world exports.

    globals().update(export(MyPlugin))
"""

import gc
from typing import Any

from . import host
from .plugin import Instance, Plugin


def export(plugin: type[Plugin]) -> dict[str, type[Any]]:
    """The classes, by their names: `Lifecycle`, and one by the base of `plugin`."""
    instance = Instance(plugin())
    if not host.in_component:
        # Tests have the plugin itself.
        return {}
    from .bindings import bind

    exports = bind(instance)
    # Whatever there is at build time stays: no collection needs to look through it.
    gc.collect()
    gc.freeze()
    return exports
