"""What a sample app is told by its own repository: ``app.toml`` and the env file it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

DATABASE_KEY = "DATABASE_URL"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class Check(Struct, frozen=True, forbid_unknown_fields=True):
    """One check of ``--check``: the query must give rows; ``sealed`` ones must decrypt with the env's key."""

    title: str
    sql: str
    sealed: bool = False


class Worker(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``--worker`` does: one of the statements in turn, every so many milliseconds."""

    env: str
    application_name: str
    statements: tuple[str, ...]
    every_ms: int = 100


class SampleConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A sample app.

    Attributes:
        application_name: how its connections name themselves.
        env: its env file, relative to the configuration.
        database_key: the key of the env files that holds the database's URL.
        routes: path to query; ``$1`` is the request's ``q``, and the rows are answered as a JSON list.
        pages: path to HTML.
        pool: how many connections it holds at most.
    """

    application_name: str
    env: str
    database_key: str = DATABASE_KEY
    routes: dict[str, str] = {}
    pages: dict[str, str] = {}
    pool: int = 3
    checks: tuple[Check, ...] = ()
    worker: Worker | None = None


@dataclass(frozen=True)
class Environment:
    """What the env file says; it wins over the process's own environment, which may name a real database."""

    values: Mapping[str, str]
    database_key: str = DATABASE_KEY

    @property
    def database_url(self) -> str:
        """The URL of the database.

        Raises:
            LookupError: the file names none, or one that is not on this machine: a sample stays here.
        """
        url = self.values.get(self.database_key, "")
        if urlsplit(url).hostname not in LOOPBACK_HOSTS:
            raise LookupError(f"{self.database_key} names no database on this machine")
        return url

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.values.get("PORT") or os.environ.get("PORT", "0"))


def read_config(path: Path) -> SampleConfig:
    """Read an ``app.toml``; raises ``msgspec.ValidationError`` where it makes no sense."""
    return msgspec.toml.decode(path.read_bytes(), type=SampleConfig)


def read_environment(path: Path, database_key: str = DATABASE_KEY) -> Environment:
    """Read an env file the way the app's own runtime would."""
    from dotenv import dotenv_values

    found = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    return Environment({key: value for key, value in found.items() if value is not None}, database_key)
