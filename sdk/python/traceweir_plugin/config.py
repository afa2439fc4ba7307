"""Configurations: JSON, and for what is wrong with it the path of the value."""

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from .errors import ConfigError

T = TypeVar("T")


class Required:
    """In place of a default: the value must be there."""


REQUIRED = Required()


class Config:
    """An object of a configuration. What is not there has its default, or is refused where there is
    none; so is what is there but was never asked for, once `configure` has returned."""

    def __init__(self, members: dict[str, Any], path: str = "$") -> None:
        self._members = members
        self._path = path
        self._asked: set[str] = set()
        self._objects: list[Config] = []

    @classmethod
    def parse(cls, text: str) -> "Config":
        """Reads JSON.

        Raises `ConfigError` when it is none, or no object.
        """
        try:
            value = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise ConfigError("$", f"is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise ConfigError("$", "must be an object")
        return cls(value)

    def fail(self, key: str, message: str) -> NoReturn:
        """Refuses the value at `key`."""
        raise ConfigError(f"{self._path}.{key}", message)

    def text(self, key: str, default: str | Required = REQUIRED) -> str:
        return self._value(key, default, "a text", lambda value: isinstance(value, str))

    def boolean(self, key: str, default: bool | Required = REQUIRED) -> bool:
        return self._value(key, default, "true or false", lambda value: isinstance(value, bool))

    def integer(
        self, key: str, default: int | Required = REQUIRED, *, least: int, most: int
    ) -> int:
        """A whole number within these limits."""
        what = f"a whole number from {least} to {most}"
        return self._value(
            key, default, what, lambda value: _is_int(value) and least <= value <= most
        )

    def number(
        self, key: str, default: float | Required = REQUIRED, *, least: float, most: float
    ) -> float:
        """A number within these limits."""
        what = f"a number from {least:g} to {most:g}"
        value = self._value(
            key, default, what, lambda value: _is_number(value) and least <= value <= most
        )
        return float(value)

    def texts(self, key: str, default: list[str] | Required = REQUIRED) -> list[str]:
        """A list of texts."""
        value = self._value(key, default, "a list of texts", lambda value: isinstance(value, list))
        for i, item in enumerate(value):
            if not isinstance(item, str):
                raise ConfigError(f"{self._path}.{key}[{i}]", "must be a text")
        return value

    def mapping(self, key: str, default: dict[str, str] | Required = REQUIRED) -> dict[str, str]:
        """An object whose values are texts."""
        value = self._value(key, default, "an object", lambda value: isinstance(value, dict))
        for name, item in value.items():
            if not isinstance(item, str):
                raise ConfigError(f"{self._path}.{key}.{name}", "must be a text")
        return value

    def object(self, key: str) -> "Config":
        """An object in this one; empty where it is not there."""
        empty: dict[str, Any] = {}
        members = self._value(key, empty, "an object", lambda value: isinstance(value, dict))
        self._objects.append(Config(members, f"{self._path}.{key}"))
        return self._objects[-1]

    def objects(self, key: str) -> "list[Config]":
        """A list of objects; empty where it is not there."""
        items: list[Any] = self._value(
            key, [], "a list of objects", lambda it: isinstance(it, list)
        )
        inner = []
        for i, item in enumerate(items):
            path = f"{self._path}.{key}[{i}]"
            if not isinstance(item, dict):
                raise ConfigError(path, "must be an object")
            inner.append(Config(item, path))
        self._objects += inner
        return inner

    def refuse_unknown(self) -> None:
        """Refuses what was never asked for."""
        for key in self._members:
            if key not in self._asked:
                self.fail(key, "unknown")
        for inner in self._objects:
            inner.refuse_unknown()

    def _value(self, key: str, default: T | Required, what: str, fits: Callable[[Any], bool]) -> T:
        self._asked.add(key)
        if key not in self._members:
            if isinstance(default, Required):
                self.fail(key, f"must be there: {what}")
            return default
        value: T = self._members[key]
        if not fits(value):
            self.fail(key, f"must be {what}")
        return value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
