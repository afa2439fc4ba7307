"""Between a plugin and what componentize-py has made of the WIT. Imported in components only."""
# mypy: disable-error-code="import-not-found"

from importlib import import_module
from typing import Any

from componentize_py_types import Err
from wit_world.imports import types

from .errors import ConfigError, PluginError
from .plugin import (
    Authenticator,
    ClientCertificate,
    Denied,
    HeadSampler,
    Instance,
    Plugin,
    Processor,
    Refresher,
    Request,
    Router,
    TailSampler,
)
from .projection import Attribute, Attributes, Field, Projection

ERRORS = {
    "bad-input": types.PluginError_BadInput,
    "not-ready": types.PluginError_NotReady,
    "internal": types.PluginError_Internal,
}


def bind(instance: Instance[Plugin]) -> dict[str, type[Any]]:
    """The classes of the interfaces that the world of the plugin exports, by their names."""
    plugin = instance.plugin

    class Lifecycle:
        def describe(self) -> Any:
            info = plugin.describe()
            return types.PluginInfo(
                info.name, info.version, info.description, info.config_schema, info.stateless
            )

        def configure(self, config_json: str) -> Any:
            try:
                return _projection(instance.configure(config_json))
            except ConfigError as error:
                raise Err(types.ConfigError(error.path, error.message)) from error

    def answer(data: bytes) -> bytes:
        try:
            return instance.answer(data)
        except PluginError as error:
            raise Err(ERRORS[error.case](str(error))) from error

    match plugin:
        case Processor():
            name, interface = "SpanProcessor", _interface(process=answer)
        case HeadSampler():
            name, interface = "HeadSampler", _interface(sample=answer)
        case TailSampler():
            levels = import_module("wit_world.exports.tail_sampler").InputLevel
            level = levels[plugin.level.name]
            name, interface = "TailSampler", _interface(level=lambda: level, decide=answer)
        case Router():
            name = "Router"
            interface = _interface(routes=lambda: list(plugin.routes()), route=answer)
        case Authenticator():
            name, interface = "Authenticator", _interface(authenticate=_authenticate(plugin))
        case Refresher():
            name, interface = "Refresher", _refresher(plugin)
        case _:
            raise TypeError(f"{type(plugin).__name__} has no base of traceweir_plugin")
    return {"Lifecycle": Lifecycle, name: interface}


def _interface(**functions: Any) -> type[Any]:
    return type("Interface", (), {name: staticmethod(f) for name, f in functions.items()})


def _projection(projection: Projection) -> Any:
    return types.Projection(
        reads=list(map(_field, projection.reads)),
        writes=list(map(_field, projection.writes)),
        match_resource=[
            types.MatchRule(rule.key, list(rule.any_of)) for rule in projection.match_resource
        ],
        budgets=[
            types.Budget(
                budget.name,
                None if budget.per is None else _attribute(budget.per),
                budget.limit,
                budget.window_ms,
            )
            for budget in projection.budgets
        ],
        max_batch_rows=projection.max_batch_rows,
    )


def _field(field: Field) -> Any:
    match field:
        case Attribute():
            return types.Field_Attribute(_attribute(field))
        case Attributes():
            prefix = Attribute(field.owner, field.prefix, field.complex)
            return types.Field_Attributes(_attribute(prefix))
        case intrinsic:
            return types.Field_Intrinsic(types.Intrinsic[intrinsic.name])


def _attribute(attribute: Attribute) -> Any:
    return types.Attribute(types.Owner[attribute.owner.name], attribute.key, attribute.complex)


def _authenticate(plugin: Authenticator) -> Any:
    records = import_module("wit_world.exports.authenticator")

    def authenticate(request: Any) -> Any:
        certificate = request.client_cert and ClientCertificate(
            request.client_cert.subject, list(request.client_cert.names)
        )
        try:
            identity = plugin.authenticate(
                Request(request.method, request.path, request.peer_ip, request.headers, certificate)
            )
        except Denied as denied:
            raise Err(records.Denied(denied.status, denied.message, denied.ttl_seconds)) from denied
        return records.Identity(
            identity.tenants,
            [records.Permission[permission.name] for permission in identity.permissions],
            identity.rate_class,
            identity.cluster,
            identity.ttl_seconds,
        )

    return authenticate


def _refresher(plugin: Refresher) -> type[Any]:
    records = import_module("wit_world.exports.refresher")

    def refresh() -> Any:
        try:
            tables = plugin.refresh()
        except Exception as error:
            raise Err(str(error)) from error
        return [records.TableData(name, list(table.items())) for name, table in tables.items()]

    return _interface(interval_seconds=plugin.interval_seconds, refresh=refresh)
