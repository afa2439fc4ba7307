"""Plugins for Traceweir in Python: typed views over batches, answers in their one form, and a kit
to test them with (`traceweir_plugin.kit`). See `README.md` beside this package."""

from . import host
from .answer import DROP, KEEP, Decisions, Edits, Verdict, probability
from .any_value import EMPTY, REMOVE, UNREAD
from .batch import Batch
from .columns import Budget as BudgetView
from .columns import Column, Pairs, Traces
from .config import Config
from .errors import BadInput, ConfigError, Internal, NotReady, PluginError
from .export import export
from .plugin import (
    Authenticator,
    ClientCertificate,
    Denied,
    HeadSampler,
    Identity,
    Level,
    Permission,
    Plugin,
    Processor,
    Refresher,
    Request,
    Router,
    TailSampler,
)
from .projection import (
    Attribute,
    Attributes,
    Budget,
    Field,
    Info,
    Intrinsic,
    MatchRule,
    Owner,
    Projection,
    SpanKind,
    Status,
)
from .sections import Values
from .views import Blobs, Ids, Texts, rows_at_least, rows_equal

__all__ = [
    "DROP",
    "EMPTY",
    "KEEP",
    "REMOVE",
    "UNREAD",
    "Attribute",
    "Attributes",
    "Authenticator",
    "BadInput",
    "Batch",
    "Blobs",
    "Budget",
    "BudgetView",
    "ClientCertificate",
    "Column",
    "Config",
    "ConfigError",
    "Decisions",
    "Denied",
    "Edits",
    "Field",
    "HeadSampler",
    "Identity",
    "Ids",
    "Info",
    "Internal",
    "Intrinsic",
    "Level",
    "MatchRule",
    "NotReady",
    "Owner",
    "Pairs",
    "Permission",
    "Plugin",
    "PluginError",
    "Processor",
    "Projection",
    "Refresher",
    "Request",
    "Router",
    "SpanKind",
    "Status",
    "TailSampler",
    "Texts",
    "Traces",
    "Values",
    "Verdict",
    "export",
    "host",
    "probability",
    "rows_at_least",
    "rows_equal",
]
