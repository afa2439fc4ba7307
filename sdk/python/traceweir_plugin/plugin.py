"""What a plugin is: a class with one of these bases."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Generic, TypeVar

from .answer import Decisions, Edits
from .batch import Batch
from .config import Config
from .errors import ConfigError, Internal, NotReady, PluginError
from .projection import Info, Projection
from .views import little_endian


class Plugin(ABC):
    """What every plugin does. An instance is made without arguments, when the component is built;
    what it needs to know it gets in `configure`."""

    @abstractmethod
    def describe(self) -> Info:
        """Says what it is. Of the host only the log may be called."""

    @abstractmethod
    def configure(self, config: Config) -> Projection:
        """Reads its configuration, once, before any batch, and says what it reads and writes. What
        of `config` it never asked for is refused afterwards.

        Raises `ConfigError`.
        """


class Processor(Plugin):
    """Sees every batch on ingest: enriches, redacts, renames, drops."""

    @abstractmethod
    def process(self, batch: Batch) -> Edits | None:
        """Edits a batch; `None`: everything stays as it is.

        Raises `PluginError`; any other exception becomes `Internal`. Then nothing is edited and
        `on_failure` of the attachment applies.
        """


class HeadSampler(Plugin):
    """Sees every batch on ingest, before all processors, and decides on each row: rows of one trace
    have the same verdict."""

    @abstractmethod
    def sample(self, batch: Batch) -> Decisions:
        """Decides on the rows of a batch. Raises as `Processor.process` does."""


class Level(Enum):
    """What a tail sampler is given."""

    SUMMARY = 0
    """The table of traces alone."""
    PROJECTED_SPANS = 1
    """The columns that it reads, too, of all spans."""


class TailSampler(Plugin):
    """Decides on whole traces, by configuration and batch alone."""

    level: ClassVar[Level] = Level.SUMMARY
    """What it is given; asked once, after `configure`."""

    @abstractmethod
    def decide(self, batch: Batch) -> Decisions:
        """Decides on the traces of a batch, with `Decisions.of_traces`. Raises as
        `Processor.process` does."""


class Router(Plugin):
    """Chooses the tenant of each resource."""

    @abstractmethod
    def routes(self) -> Sequence[str]:
        """The tenants that it may name, at most 65,535; asked once, after `configure`."""

    @abstractmethod
    def route(self, batch: Batch) -> Sequence[int | None]:
        """A place in `routes` for each resource; `None` leaves it where it is. Raises as
        `Processor.process` does."""


@dataclass
class ClientCertificate:
    """What a client certificate that was verified says."""

    subject: str
    names: list[str]


@dataclass
class Request:
    """A request whose sender is to be known."""

    method: str
    path: str
    peer_ip: str
    headers: list[tuple[str, bytes]]
    """Those that the attachment names, in lower case."""
    client_certificate: ClientCertificate | None = None

    def header(self, name: str) -> str | None:
        """The first header with this name, in lower case, if it is text."""
        for there, value in self.headers:
            if there == name:
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return None
        return None


class Permission(Enum):
    """What somebody may do."""

    INGEST = 0
    QUERY = 1
    ADMIN = 2


@dataclass
class Identity:
    """Who somebody is."""

    tenants: list[str]
    permissions: list[Permission]
    rate_class: str = ""
    """The class of limits; empty: none."""
    cluster: str = ""
    """The cluster whose spans these are; empty: none."""
    ttl_seconds: int = 60
    """For how long the host keeps the answer."""


class Denied(Exception):
    """Why somebody is nobody."""

    def __init__(self, status: int, message: str, ttl_seconds: int = 10) -> None:
        super().__init__(message)
        self.status = status
        """401 or 403."""
        self.message = message
        self.ttl_seconds = ttl_seconds
        """For how long the host keeps the answer."""


class Authenticator(Plugin):
    """Says who somebody is, once per credential."""

    @abstractmethod
    def authenticate(self, request: Request) -> Identity:
        """Looks at a request. Raises `Denied`."""


class Refresher(Plugin):
    """Fetches what tables are made of, off the path of data."""

    @abstractmethod
    def interval_seconds(self) -> int:
        """How often it is called; asked once, after `configure`."""

    @abstractmethod
    def refresh(self) -> Mapping[str, Mapping[str, str]]:
        """Makes tables, by their names, which replace those before them. An exception leaves the
        tables as they are, and its words are logged."""


P = TypeVar("P", bound=Plugin)


class Instance(Generic[P]):
    """A plugin as the host sees it: bytes in, bytes out, no exceptions but those of `errors`."""

    def __init__(self, plugin: P) -> None:
        self.plugin = plugin
        self.projection: Projection | None = None

    def configure(self, config_json: str) -> Projection:
        """Raises `ConfigError`."""
        try:
            config = Config.parse(config_json)
            projection = self.plugin.configure(config)
            config.refuse_unknown()
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError("$", _words(error)) from error
        self.projection = projection
        return projection

    def answer(self, data: bytes) -> bytes:
        """The answer to a batch. Raises `PluginError`."""
        if self.projection is None:
            raise NotReady("it is not configured")
        try:
            batch = Batch(data)
            batch.hold(self.projection)
            return _answer(self.plugin, batch)
        except PluginError:
            raise
        except MemoryError:
            # What lives on would be in want of memory, too; a trap throws the instance away.
            raise
        except Exception as error:
            raise Internal(_words(error)) from error


def _answer(plugin: Plugin, batch: Batch) -> bytes:
    match plugin:
        case Processor():
            return (plugin.process(batch) or Edits(batch)).encode()
        case HeadSampler():
            return plugin.sample(batch).encode()
        case TailSampler():
            return plugin.decide(batch).encode()
        case Router():
            routes = plugin.route(batch)
            if len(routes) != batch.resources:
                raise Internal(f"{len(routes)} routes for {batch.resources} resources")
            return little_endian(array("H", (0xFFFF if to is None else to for to in routes)))
    raise Internal("this plugin takes no batches")


def _words(error: Exception) -> str:
    """What went wrong, and where: nobody sees a traceback."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place else ""
    return f"{type(error).__name__}: {error}{where}"
