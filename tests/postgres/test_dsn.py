"""Connection URLs taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.dsn import ConnectionKind, encode_password, parse_url, session_pooler_form

REF = "abcdefghijklmnopqrst"
DIRECT = f"db.{REF}.supabase.co"
POOLER = "aws-0-eu-central-1.pooler.supabase.com"

KINDS = {
    f"postgresql://postgres:s3cret@{DIRECT}:5432/postgres": (ConnectionKind.DIRECT, REF, ""),
    f"postgres://postgres@{DIRECT}./postgres": (ConnectionKind.DIRECT, REF, ""),
    f"postgresql+asyncpg://postgres.{REF}:s3cret@{POOLER}:5432/postgres": (
        ConnectionKind.SESSION_POOLER,
        REF,
        "eu-central-1",
    ),
    f"postgresql://postgres.{REF}:s3cret@{POOLER}:6543/postgres": (
        ConnectionKind.TRANSACTION_POOLER,
        REF,
        "eu-central-1",
    ),
    "postgresql://me@127.0.0.1:5433/mine": (ConnectionKind.OTHER, "", ""),
    "postgresql://me@[::1]:5433/mine": (ConnectionKind.OTHER, "", ""),
}


@pytest.mark.parametrize("text", KINDS)
def test_a_url_says_what_it_leads_to(text: str) -> None:
    url = parse_url(text).url
    assert (url.kind, url.ref, url.region) == KINDS[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://example.org",
        DIRECT,
        f"postgresql://{DIRECT}/x",
        "postgresql://me@host:port/x",
        "postgresql://me@:5432/x",
        "postgresql://me@h:99999/x",
        "postgresql://me:pass\x07word@h/x",
    ],
)
def test_what_is_no_url_says_what_to_paste(text: str) -> None:
    with pytest.raises(ConnectionFailedError) as refused:
        parse_url(text)
    assert session_pooler_form("", "") in refused.value.remedy


@given(password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
def test_an_encoded_password_comes_back_from_the_url(password: str) -> None:
    encoded = encode_password(Secret(password, kind="database password"))
    url = parse_url(f"postgresql://me@{DIRECT}:5432/mine?pgbouncer=true&schema=public").url
    parsed = parse_url(url.with_password(encoded))
    assert parsed.password is not None
    assert parsed.password.reveal() == password
    assert parsed.url == url
    assert not [finding for finding in parsed.findings if not finding.fatal]


@pytest.mark.parametrize("password", ["50%", "a%fz", "a%ff", "%"])
def test_a_percent_sign_that_encodes_nothing_stays(password: str) -> None:
    parsed = parse_url(f"postgresql://me:{password}@{DIRECT}/mine")
    assert parsed.password is not None
    assert parsed.password.reveal() == password
