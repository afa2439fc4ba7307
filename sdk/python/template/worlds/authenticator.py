"""Knows keys in the header x-api-key, and whose they are."""

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
)

TTL_SECONDS = 300
"""For how long the host keeps an answer."""


class MyPlugin(Authenticator):
    def describe(self) -> Info:
        return Info(
            name="my-plugin",
            version="0.1.0",
            description="lets in who shows a key that is known",
        )

    def configure(self, config: Config) -> Projection:
        self.keys = config.mapping("keys")
        return Projection()

    def authenticate(self, request: Request) -> Identity:
        """Once for each credential, not for each request."""
        tenant = self.keys.get(request.header("x-api-key") or "")
        if tenant is None:
            raise Denied(401, "no key that is known here", TTL_SECONDS)
        permissions = [Permission.INGEST, Permission.QUERY]
        return Identity([tenant], permissions, ttl_seconds=TTL_SECONDS)


globals().update(export(MyPlugin))
