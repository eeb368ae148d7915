"""Connection URLs taken apart, and their mistakes named without connecting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.dsn import (
    ConnectionKind,
    FindingKind,
    check_url,
    encode_password,
    parse_url,
    session_pooler_form,
)

REF = "abcdefghijklmnopqrst"
OTHER = "tsrqponmlkjihgfedcba"
DIRECT = f"db.{REF}.supabase.co"
POOLER = "aws-0-eu-central-1.pooler.supabase.com"

KINDS = {
    f"postgresql://postgres:s3cret@{DIRECT}:5432/postgres": (ConnectionKind.DIRECT, REF, ""),
    f"postgres://postgres@{DIRECT}/postgres": (ConnectionKind.DIRECT, REF, ""),
    f"postgresql://postgres.{REF}:s3cret@{POOLER}:5432/postgres": (ConnectionKind.SESSION_POOLER, REF, "eu-central-1"),
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


MISTAKES = {
    f"postgresql://postgres.{REF}@{DIRECT}:5432/postgres": FindingKind.POOLER_USER_ON_DIRECT_HOST,
    f"postgresql://postgres.{OTHER}@{DIRECT}:5432/postgres": FindingKind.REFS_DISAGREE,
    f"postgresql://postgres@{POOLER}:5432/postgres": FindingKind.PLAIN_USER_ON_POOLER_HOST,
    f"postgresql://postgres.{OTHER}@{POOLER}:5432/postgres": FindingKind.OTHER_REF,
    f"postgresql://postgres@db.{OTHER}.supabase.co/postgres": FindingKind.OTHER_REF,
    f"postgresql://postgres.{REF}@aws-1-eu-west-3.pooler.supabase.com:5432/postgres": FindingKind.OTHER_REGION,
    f"postgresql://postgres.{REF}@{POOLER}:6543/postgres": FindingKind.TRANSACTION_PORT,
    f"postgresql://postgres@{DIRECT}:6543/postgres": FindingKind.TRANSACTION_PORT,
    f"postgresql://postgres@{DIRECT}/postgres?sslmode=disable": FindingKind.NO_TLS,
    f"postgresql://postgres@{DIRECT}/postgres?sslmode=prefer": FindingKind.NO_TLS,
    "postgresql://postgres@db.<ref>.supabase.co/postgres": FindingKind.PLACEHOLDER,
    "postgresql://postgres@db.your-password.supabase.co/postgres": FindingKind.PLACEHOLDER,
    f"postgresql://postgres.{REF}@.../postgres": FindingKind.PLACEHOLDER,
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_seen_without_connecting(text: str) -> None:
    found = check_url(parse_url(text).url, ref=REF, region="eu-central-1")
    assert MISTAKES[text] in {finding.kind for finding in found}
    assert all(finding.message and finding.remedy for finding in found)


def test_a_right_url_has_no_mistakes() -> None:
    for text in (f"postgresql://postgres:x@{DIRECT}/postgres", f"postgresql://postgres.{REF}:x@{POOLER}:5432/postgres"):
        parsed = parse_url(text)
        assert parsed.findings == ()
        assert check_url(parsed.url, ref=REF, region="eu-central-1") == ()


@pytest.mark.parametrize("password", ["a@b", "a#b", "a$b", "a/b", "a b", "a?b", "p@ss/w#rd$ x?"])
def test_an_unencoded_password_is_still_read_and_the_mistake_named_without_it(password: str) -> None:
    parsed = parse_url(f"postgresql://postgres:{password}@{DIRECT}:5432/postgres")
    assert parsed.password is not None
    assert parsed.password.reveal() == password
    assert parsed.url.host == DIRECT
    assert [finding.kind for finding in parsed.findings] == [FindingKind.UNENCODED_PASSWORD]
    assert password not in repr(parsed)


@pytest.mark.parametrize("password", ["[YOUR-PASSWORD]", "<password>", "..."])
def test_a_placeholder_for_the_password_is_named(password: str) -> None:
    parsed = parse_url(f"postgresql://postgres:{password}@{DIRECT}:5432/postgres")
    assert [finding.kind for finding in parsed.findings] == [FindingKind.PLACEHOLDER]


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
    ],
)
def test_what_is_no_url_says_what_to_paste(text: str) -> None:
    with pytest.raises(ConnectionFailedError) as refused:
        parse_url(text)
    assert session_pooler_form("", "") in refused.value.remedy


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_an_encoded_password_comes_back_from_the_url(password: str) -> None:
    encoded = encode_password(Secret(password, kind="database password"))
    url = parse_url(f"postgresql://me@{DIRECT}:5432/mine?pgbouncer=true&schema=public").url
    parsed = parse_url(url.with_password(encoded))
    assert parsed.password is not None
    assert parsed.password.reveal() == password
    assert parsed.url == url
    assert parsed.findings == ()
