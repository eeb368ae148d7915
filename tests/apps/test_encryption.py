"""Encryption keys are proved to be the same without being kept."""

from __future__ import annotations

import secrets

from tekup_migrate.apps.encryption import compare_keys, fingerprint_keys, new_fingerprint_key

KEYS = ("ENCRYPTION_KEY", "ENCRYPTION_SALT")


def test_unchanged_keys_are_kept_and_values_appear_nowhere() -> None:
    run_key = new_fingerprint_key()
    values = {"ENCRYPTION_KEY": secrets.token_hex(32), "ENCRYPTION_SALT": "sält", "OTHER": "1"}
    before = fingerprint_keys(".env", values, KEYS, run_key=run_key)
    after = fingerprint_keys(".env", {**values, "OTHER": "2"}, KEYS, run_key=run_key)
    comparison = compare_keys(before, after)
    assert comparison.kept
    assert comparison.same == ((".env", "ENCRYPTION_KEY"), (".env", "ENCRYPTION_SALT"))
    assert values["ENCRYPTION_KEY"] not in repr(before)
    assert "sält" not in repr(before)


def test_every_kind_of_difference_is_told() -> None:
    run_key = new_fingerprint_key()
    names = ("changed", "gone", "added", "never", "emptied")
    before = fingerprint_keys(".env", {"changed": "1", "gone": "1", "emptied": "1"}, names, run_key=run_key)
    after = fingerprint_keys(".env", {"changed": "1 ", "added": "1", "emptied": ""}, names, run_key=run_key)
    comparison = compare_keys(before, after)
    assert not comparison.kept
    assert comparison.changed == ((".env", "changed"), (".env", "emptied"))
    assert comparison.missing == ((".env", "gone"),)
    assert comparison.appeared == ((".env", "added"),)
    assert comparison.unset == ((".env", "never"),)
    assert compare_keys(before, ()).missing == ((".env", "changed"), (".env", "gone"), (".env", "emptied"))


def test_equal_values_look_different_under_another_name_file_or_run() -> None:
    run_key = new_fingerprint_key()
    values: dict[str, str | None] = {"A": "same", "B": "same"}
    digests = {
        each.digest
        for file, key in ((".env", run_key), ("api/.env", run_key), (".env", new_fingerprint_key()))
        for each in fingerprint_keys(file, values, ("A", "B"), run_key=key)
    }
    assert len(digests) == 6
