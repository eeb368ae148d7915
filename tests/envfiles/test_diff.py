from __future__ import annotations

import secrets

import pytest

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.diff import diff_lines
from tekup_migrate.envfiles.document import EnvDocument
from tests.keymaking import made_access_token, made_jwt, made_ref, made_secret_key


def shown(content: bytes, *, redactor: Redactor | None = None) -> str:
    """Return all of a file as the diff would show it."""
    return "\n".join(line.text for line in diff_lines(content, content + b"\nX=1", redactor=redactor, context=99))


def test_lines_carry_their_numbers_in_both_versions() -> None:
    before = b"A=1\r\nB=2\r\nC=3\r\nD=4\r\nE=5\r\nF=6"
    after = EnvDocument.parse(before).replaced({"D": "40"}).to_bytes()
    lines = diff_lines(before, after, context=1)
    assert [(line.kind, line.old_number, line.new_number, line.text) for line in lines] == [
        (" ", 3, 3, "C=3"),
        ("-", 4, 0, "D=4"),
        ("+", 0, 4, "D=40"),
        (" ", 5, 5, "E=5"),
    ]


def test_equal_versions_have_no_lines() -> None:
    assert diff_lines(b"A=1\n", b"A=1\n") == ()


def test_two_different_keys_look_different_and_name_their_projects() -> None:
    old_ref, new_ref = made_ref(), made_ref()
    before = b"SUPABASE_SERVICE_KEY=" + made_jwt(ref=old_ref, role="service_role").encode()
    after = b"SUPABASE_SERVICE_KEY=" + made_jwt(ref=new_ref, role="anon").encode()
    removed, added = diff_lines(before, after)
    assert removed.text.startswith(f"SUPABASE_SERVICE_KEY=‹service key of {old_ref[:6]}…, ")
    assert added.text.startswith(f"SUPABASE_SERVICE_KEY=‹anon key of {new_ref[:6]}…, ")


def test_a_database_url_hides_its_password_alone() -> None:
    ref = made_ref()
    url = f"postgresql://postgres.{ref}:p@ss/word#1@aws-1-eu.pooler.supabase.com:6543/postgres?pgbouncer=true"
    text = shown(f'DATABASE_URL="{url}"'.encode())
    assert f"postgresql://postgres.{ref}:‹password of {ref[:6]}…, " in text
    assert "@aws-1-eu.pooler.supabase.com:6543/postgres?pgbouncer=true" in text
    assert "p@ss" not in text
    assert "word#1" not in text


SECRETS = {
    "jwt": lambda: made_jwt(ref=made_ref(), role="service_role"),
    "secret key": made_secret_key,
    "access token": made_access_token,
}


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize(
    "line",
    ["PLAIN={}", "PLAIN='{}' # x", "# was {} before", "A=1 # was {}", "BROKEN='a' {}", "{}", "export {}=1", "\tA: {}"],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(kind: str, line: str) -> None:
    secret = SECRETS[kind]()
    assert secret not in shown(line.format(secret).encode())


@pytest.mark.parametrize("name", ["API_KEY", "jwt_secret", "GITHUB_TOKEN", "DB_PASSWORD", "ENCRYPTION_SALT"])
@pytest.mark.parametrize(
    "line",
    [
        "{}={}",
        "export {} = '{}'",
        '# {}="{}"',
        "#{}: {}",
        '{}="open {}',
        "{}='a' {}",
        '{}="one\n{}\nthree"',
        "{}=a\\ {}",
    ],
)
def test_a_value_with_a_secret_name_is_masked_wherever_it_stands(name: str, line: str) -> None:
    value = secrets.token_hex(6)
    assert value not in shown(line.format(name, value).encode())


def test_a_private_key_is_masked_even_where_its_quotes_are_broken() -> None:
    body = secrets.token_hex(32)
    kind = "PRIVATE" + " KEY"
    text = shown(f"PEM='-----BEGIN {kind}-----\n{body}\nabc==\n-----END {kind}-----\nA=1".encode())
    assert body not in text
    assert "abc==" not in text
    assert len(text.splitlines()) == 6


def test_a_held_secret_is_named_by_what_it_is() -> None:
    held = Secret("correct horse", kind="password", project="abcdefghij")
    text = shown(b"NOTE=the correct horse\nDB_PASSWORD='correct horse'", redactor=Redactor([held]))
    assert text.splitlines()[:2] == [f"NOTE=the {held.mask}", f"DB_PASSWORD='{held.mask}'"]


def test_what_is_no_secret_is_shown() -> None:
    assert shown(b"PORT=3000\nURL=https://notes.example/a?b=c # hi\nDEBUG=").startswith(
        "PORT=3000\nURL=https://notes.example/a?b=c # hi\nDEBUG="
    )


def test_control_characters_and_bad_bytes_cannot_reach_a_terminal() -> None:
    text = shown(b"A=\x1b[31mred\xff\xe2\x80\xae")
    assert "\x1b" not in text
    text.encode()
