"""Verified TLS: a real server behind certificates that are valid, self-signed, expired, early and for another host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.connection import connect, tls_context
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.backup.certificates import HOST, Authority
from tests.backup.tls_front import tls_front
from tests.postgres.sides import connection_url

Issue = Callable[[Authority, Authority, Path], tuple[Path, Path]]


@pytest.fixture(scope="module")
def authorities() -> tuple[Authority, Authority]:
    """An authority that is trusted, and one that nobody knows."""
    return Authority.make(), Authority.make()


@pytest.fixture(autouse=True)
def trusted(
    authorities: tuple[Authority, Authority], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The first authority stands among the public ones, where it is looked for."""
    file = authorities[0].write(tmp_path / "public.pem")
    monkeypatch.setattr("certifi.where", lambda: str(file))
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


CERTIFICATES: dict[str, tuple[Issue, str, str]] = {
    "self-signed": (
        lambda known, unknown, folder: unknown.itself(folder),
        "neither the public CAs nor Supabase's root vouches for",
        "virus scanner",
    ),
    "of an authority that nobody knows": (
        lambda known, unknown, folder: unknown.issue(folder),
        "neither the public CAs nor Supabase's root vouches for",
        "virus scanner",
    ),
    "expired": (
        lambda known, unknown, folder: known.issue(folder, valid=timedelta(hours=-1)),
        "out of date",
        "clock",
    ),
    "for another host": (
        lambda known, unknown, folder: known.issue(folder, host="db.elsewhere.example"),
        "for another host",
        HOST,
    ),
}


async def test_a_valid_certificate_is_trusted_and_the_connection_is_encrypted(
    source_database: SupabaseDatabase, authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    url = connection_url(source_database)
    async with tls_front(url.port, *authorities[0].issue(tmp_path)) as port:
        connection = await connect(replace(url, host=HOST, port=port), source_database.password)
        try:
            assert await connection.fetchval("SELECT 1") == 1
        finally:
            await connection.close()


@pytest.mark.parametrize("kind", CERTIFICATES)
async def test_a_certificate_that_cannot_be_trusted_is_refused_with_its_cause_and_cure(
    kind: str, source_database: SupabaseDatabase, authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    issue, cause, cure = CERTIFICATES[kind]
    url = connection_url(source_database)
    async with tls_front(url.port, *issue(*authorities, tmp_path)) as port:
        with pytest.raises(ConnectionFailedError) as refused:
            await connect(replace(url, host=HOST, port=port), source_database.password)
    assert refused.value.title == "The server's certificate is not trusted"
    assert cause in refused.value.happened
    assert cure in refused.value.remedy
    assert source_database.password.reveal() not in str(refused.value)


async def test_a_server_that_speaks_no_tls_gets_no_password(
    source_database: SupabaseDatabase, authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    url = connection_url(source_database)
    async with tls_front(url.port, *authorities[0].issue(tmp_path), answer=b"N") as port:
        with pytest.raises(ConnectionFailedError, match="does not speak TLS"):
            await connect(replace(url, host=HOST, port=port), source_database.password)
