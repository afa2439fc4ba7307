"""Knows one token, and whoever has a certificate."""

from traceweir_plugin import (
    Authenticator,
    Config,
    Denied,
    Identity,
    Info,
    Permission,
    Projection,
    Request,
    export,
    host,
)


class Door(Authenticator):
    def describe(self) -> Info:
        return Info("door", "1", "")

    def configure(self, config: Config) -> Projection:
        return Projection()

    def authenticate(self, request: Request) -> Identity:
        if request.client_certificate:
            return Identity(request.client_certificate.names, [Permission.QUERY])
        if request.header("authorization") != "Bearer sesame":
            raise Denied(401, "no token")
        host.cache_set("last", str(host.now_unix_nano()).encode(), 60)
        assert host.cache_get("none") is None
        return Identity(["a"], [Permission.INGEST, Permission.ADMIN], "gold", "east", 5)


globals().update(export(Door))
