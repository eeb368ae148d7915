from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.connection_url import rewritten_url
from tekup_migrate.envfiles.document import EnvDocument
from tekup_migrate.envfiles.errors import EnvFileError

OLD = "postgresql://postgres:p%40ss@db.old.example:5432/postgres?schema=app&connection_limit=5&pool_timeout=0#x"


def password(value: str) -> Secret:
    return Secret(value, kind="password")


def test_only_the_named_parts_change() -> None:
    assert rewritten_url(OLD, host="db.new.example").reveal() == OLD.replace("db.old", "db.new")
    assert rewritten_url(OLD, port=6543).reveal() == OLD.replace("5432", "6543")
    assert rewritten_url(OLD, database="a b").reveal() == OLD.replace("/postgres?", "/a%20b?")
    assert rewritten_url(OLD, user="postgres.ref").reveal() == OLD.replace("postgres:p", "postgres.ref:p")
    assert rewritten_url(OLD).reveal() == OLD


def test_every_part_at_once() -> None:
    url = rewritten_url(OLD, user="u", password=password("a@b/c#d$e f:g"), host="::1", port=1, database="d")
    assert url.reveal() == (
        "postgresql://u:a%40b%2Fc%23d%24e%20f%3Ag@[::1]:1/d?schema=app&connection_limit=5&pool_timeout=0#x"
    )


@pytest.mark.parametrize(
    "old", ["p@ss", "p#ss", "p/ss", "p?s@s", "p@s?s", "p:s", "a@b:c/d#e?f=g@h", "[YOUR-PASSWORD]", ""]
)
def test_an_old_password_that_is_not_encoded_is_replaced_whole(old: str) -> None:
    url = rewritten_url(f"postgres://u:{old}@host/db?schema=s", password=password("new"))
    assert url.reveal() == "postgres://u:new@host/db?schema=s"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://host/db", "postgres://:new@host/db"),
        ("postgres://u@host", "postgres://u:new@host"),
        ("postgresql+asyncpg://u:o@[::1]:5432/db", "postgresql+asyncpg://u:new@[::1]:5432/db"),
        ("postgres://u:o@host/db?options=a@b", "postgres://u:new@host/db?options=a@b"),
    ],
)
def test_other_forms_are_understood(url: str, expected: str) -> None:
    assert rewritten_url(url, password=password("new")).reveal() == expected


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_any_password_survives_the_url_and_the_env_file(value: str) -> None:
    url = rewritten_url(OLD, password=password(value)).reveal()
    assert unquote(urlsplit(url).password or "") == value
    document = EnvDocument.parse(b"DATABASE_URL=old\n").replaced({"DATABASE_URL": url.removesuffix("#x")})
    assert document.text == f"DATABASE_URL={url.removesuffix('#x')}\n"


@pytest.mark.parametrize("value", ["", "hunter2", "https://host/db", "postgresql://a b:c@h:port/d"])
def test_what_is_no_url_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(EnvFileError) as caught:
        rewritten_url(value, password=password("new"))
    assert not value or value not in str(caught.value)


def test_the_result_is_a_secret() -> None:
    assert "p%40ss" not in str(rewritten_url(OLD))
