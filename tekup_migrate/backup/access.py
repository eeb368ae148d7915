"""How Postgres' own programs reach a server: verified TLS by themselves, or through the relay."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.backup.child import clean_environment
from tekup_migrate.backup.programs import DumpPrograms
from tekup_migrate.backup.relay import LOOPBACK, running_relay
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.postgres.connection import SUPABASE_ROOT, tls_context
from tekup_migrate.postgres.dsn import ConnectionUrl


@dataclass(frozen=True)
class Access:
    """What a program is given to reach its server.

    Attributes:
        options: command-line options; they hold no secret.
        environment: the child's whole environment, with the password in it.
        failures: what the relay, if there is one, could not carry, and why; grows while it runs.
    """

    options: tuple[str, ...]
    environment: dict[str, str]
    failures: Sequence[str]


@asynccontextmanager
async def open_access(url: ConnectionUrl, password: Secret, programs: DumpPrograms) -> AsyncIterator[Access]:
    """Give programs access to a server for the length of the block.

    Loopback is reached in plaintext. Anything else is reached with TLS that verifies the certificate and the host:
    by libpq where it can, else through the relay.

    Raises:
        ConnectionFailedError: the relay cannot reach the server with verified TLS.
    """
    if url.is_loopback:
        yield _access(url.host, url.port, url, password, {"PGSSLMODE": "disable"})
    elif programs.tls:
        with tempfile.TemporaryDirectory(prefix="tekup-migrate-") as folder:
            bundle = Path(folder) / "authorities.pem"
            bundle.write_bytes(_authorities())
            tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(bundle), "PGSSLCERT": str(Path(folder) / "none")}
            yield _access(url.host, url.port, url, password, tls)
    else:
        async with running_relay(url.host, url.port, tls_context()) as relay:
            access = _access(LOOPBACK, relay.port, url, password, {"PGSSLMODE": "disable"})
            yield Access(access.options, access.environment, relay.failures)


def _access(host: str, port: int, url: ConnectionUrl, password: Secret, tls: dict[str, str]) -> Access:
    options = (f"--host={host}", f"--port={port}", f"--username={url.user}", "--no-password")
    settings = {
        "PGPASSWORD": password.reveal(),
        # In the environment, because pg_dump takes a database name with an equals sign for a connection string.
        "PGDATABASE": url.database,
        "PGCONNECT_TIMEOUT": "20",
        "PGGSSENCMODE": "disable",
        "PGAPPNAME": "tekup-migrate",
        **tls,
    }
    return Access(options, clean_environment(settings), ())


def _authorities() -> bytes:
    import certifi

    return Path(certifi.where()).read_bytes() + b"\n" + SUPABASE_ROOT.read_bytes()
