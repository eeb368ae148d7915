from __future__ import annotations

import base64
from pathlib import Path

from tekup_migrate.credentials.leaks import leaks_in_file, leaks_in_text
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tests.keymaking import made_access_token, made_jwt, made_ref, made_secret_key


def test_every_kind_is_found_on_its_line_without_its_value() -> None:
    ref = made_ref()
    values = [made_jwt(ref=ref, role="service_role"), made_secret_key(), made_access_token()]
    text = "\n".join(["# notes", *values, f"url: postgresql://postgres.{ref}:hunter2@host/db"])
    leaks = leaks_in_text(text, "notes.md", Redactor())
    assert [(leak.line, leak.kind, leak.held) for leak in leaks] == [
        (2, "service key", False),
        (3, "secret key", False),
        (4, "access token", False),
        (5, "password", False),
    ]
    assert not any(value in str(leaks) for value in [*values, "hunter2"])


def test_a_held_secret_is_found_exactly_and_encoded() -> None:
    held = Secret("correct horse battery", kind="password", project="abcdefghij")
    text = f"a\nb {held.reveal()}\n{base64.b64encode(b'u:' + held.reveal().encode()).decode()}"
    leaks = leaks_in_text(text, "x", Redactor([held]))
    assert [(leak.line, leak.mask, leak.held) for leak in leaks] == [(2, held.mask, True), (3, held.mask, True)]


def test_keys_that_browsers_may_hold_are_reported_only_when_asked_for() -> None:
    anon = made_jwt(ref=made_ref(), role="anon")
    assert leaks_in_text(anon, "x", Redactor()) == []
    assert [leak.kind for leak in leaks_in_text(anon, "x", Redactor(), public_keys=True)] == ["anon key"]


def test_placeholders_are_no_leaks() -> None:
    text = "postgresql://postgres:[YOUR-PASSWORD]@db.x.supabase.co:5432/postgres\npostgres://u:$PASSWORD@h/d"
    assert leaks_in_text(text, "x", Redactor()) == []


def test_binary_and_utf16_files_are_searched(tmp_path: Path) -> None:
    key = made_secret_key()
    binary, wide = tmp_path / "binary", tmp_path / "wide.txt"
    binary.write_bytes(b"\x00\xff\n" + key.encode() + b"\x00")
    wide.write_bytes(f"\ufeffkey:\r\n{key}".encode("utf-16-le"))
    assert [(leak.path, leak.line) for leak in leaks_in_file(binary, Redactor())] == [(str(binary), 2)]
    assert [(leak.path, leak.line) for leak in leaks_in_file(wide, Redactor())] == [(str(wide), 2)]
