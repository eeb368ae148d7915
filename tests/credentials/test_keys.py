from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tekup_migrate.credentials.keys import (
    Fault,
    KeyKind,
    Slot,
    check_key,
    check_together,
    check_values,
    is_placeholder,
    read_key,
    slot_of,
)
from tekup_migrate.credentials.secret import Secret
from tests.keymaking import made_access_token, made_jwt, made_password, made_ref, made_secret_key


def key(value: str) -> Secret:
    return Secret(value, kind="key")


def faults(value: str, slot: Slot, ref: str | None = None) -> list[Fault]:
    return [finding.fault for finding in check_key(key(value), slot, ref)]


def test_a_legacy_key_says_whose_it_is() -> None:
    ref = made_ref()
    reading = read_key(key(made_jwt(ref=ref, role="service_role", expires_in=3600)))
    assert (reading.kind, reading.ref, reading.role) == (KeyKind.SERVICE, ref, "service_role")
    assert reading.expires
    assert timedelta(minutes=59) < reading.expires - datetime.now(UTC) <= timedelta(hours=1)


def test_new_keys_are_told_apart() -> None:
    assert read_key(key("sb_" + "publishable_abcdefghijklmnopqrstuvwx")).kind is KeyKind.PUBLISHABLE
    assert read_key(key(made_secret_key())).kind is KeyKind.SECRET
    assert read_key(key(made_access_token())).kind is KeyKind.ACCESS_TOKEN


def test_a_right_key_in_its_slot_has_no_findings() -> None:
    ref = made_ref()
    assert faults(made_jwt(ref=ref, role="anon"), Slot.ANON, ref) == []
    assert faults(made_jwt(ref=ref, role="service_role"), Slot.SERVICE, ref) == []
    assert faults(made_secret_key(), Slot.SERVICE, ref) == []


def test_swapped_keys_are_found_both_ways() -> None:
    ref = made_ref()
    assert faults(made_jwt(ref=ref, role="service_role"), Slot.ANON, ref) == [Fault.WRONG_SLOT]
    assert faults(made_jwt(ref=ref, role="anon"), Slot.SERVICE, ref) == [Fault.WRONG_SLOT]
    assert faults(made_secret_key(), Slot.ANON, ref) == [Fault.WRONG_SLOT]
    assert faults(made_access_token(), Slot.SERVICE, ref) == [Fault.WRONG_SLOT]


def test_a_key_of_another_project_is_found_and_named() -> None:
    mine, other = made_ref(), made_ref()
    (finding,) = check_key(key(made_jwt(ref=other, role="anon")), Slot.ANON, mine)
    assert finding.fault is Fault.OTHER_PROJECT
    assert mine in finding.message
    assert other in finding.message


def test_an_expired_key_is_found() -> None:
    value = made_jwt(ref=made_ref(), role="anon", expires_in=-60)
    assert faults(value, Slot.ANON) == [Fault.EXPIRED]
    assert check_key(key(value), Slot.ANON, None, now=datetime.now(UTC) - timedelta(hours=1)) == []


def test_everything_wrong_is_said_at_once_and_without_the_value() -> None:
    value = made_jwt(ref=made_ref(), role="service_role", expires_in=-60)
    findings = check_key(key(value), Slot.ANON, made_ref())
    assert [finding.fault for finding in findings] == [Fault.WRONG_SLOT, Fault.OTHER_PROJECT, Fault.EXPIRED]
    assert not any(value in finding.message for finding in findings)


@pytest.mark.parametrize("value", ["hunter2", "a.b.c", "eyJh.bm90anNvbg.sig", "aaaa.W10.bbbb", "eyJh.!!!!.sig"])
def test_what_is_no_key_is_said_to_be_none(value: str) -> None:
    assert faults(value, Slot.ANON) == [Fault.NOT_A_KEY]


@pytest.mark.parametrize(
    "value",
    ["", "...", "[YOUR-KEY]", "<anon key>", "${KEY}", "$KEY", "your-anon-key", "xxxx", "eyJhbGci...", "changeme"],
)
def test_placeholders_are_known(value: str) -> None:
    assert is_placeholder(value)
    assert faults(value, Slot.ANON) == [Fault.PLACEHOLDER]


@pytest.mark.parametrize("value", ["hunter2", "$2b$12$abcdefghijk", '{"a": "b", "c": 1}', "p@ss...word", "iloveyou"])
def test_real_passwords_are_no_placeholders(value: str) -> None:
    assert not is_placeholder(value)


def test_keys_of_two_projects_in_one_file_are_found() -> None:
    one, other = made_ref(), made_ref()
    keys = {
        "SUPABASE_ANON_KEY": key(made_jwt(ref=one, role="anon")),
        "SUPABASE_SERVICE_KEY": key(made_jwt(ref=other, role="service_role")),
        "SUPABASE_SECRET_KEY": key(made_secret_key()),
    }
    (finding,) = check_together(keys)
    assert finding.fault is Fault.MIXED_PROJECTS
    assert f"SUPABASE_SERVICE_KEY to {other}" in finding.message
    del keys["SUPABASE_ANON_KEY"]
    assert check_together(keys) == []


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("SUPABASE_ANON_KEY", Slot.ANON),
        ("NEXT_PUBLIC_SUPABASE_PUBLISHABLE_DEFAULT_KEY", Slot.ANON),
        ("VITE_SUPABASE_PUBLISHABLE_KEY", Slot.ANON),
        ("SUPABASE_SERVICE_KEY", Slot.SERVICE),
        ("SUPABASE_SERVICE_ROLE_KEY", Slot.SERVICE),
        ("SUPABASE_SECRET_KEY", Slot.SERVICE),
        ("ENCRYPTION_KEY", None),
        ("SUPABASE_URL", None),
    ],
)
def test_slots_are_known_by_the_names_in_use(name: str, slot: Slot | None) -> None:
    assert slot_of(name) is slot


def test_a_whole_file_is_checked_by_the_names_of_its_variables() -> None:
    mine, other = made_ref(), made_ref()
    values = {
        "NEXT_PUBLIC_SUPABASE_ANON_KEY": made_jwt(ref=mine, role="service_role"),
        "SUPABASE_SERVICE_ROLE_KEY": made_jwt(ref=other, role="service_role", expires_in=-60),
        "OPENAI_API_KEY": "unchanged",
        "SUPABASE_SECRET_KEY": None,
    }
    found = check_values(values, mine)
    assert [finding.fault for finding in found] == [
        Fault.WRONG_SLOT,
        Fault.OTHER_PROJECT,
        Fault.EXPIRED,
        Fault.MIXED_PROJECTS,
    ]
    assert found[0].message.startswith("NEXT_PUBLIC_SUPABASE_ANON_KEY: ")
    assert found[1].message.startswith("SUPABASE_SERVICE_ROLE_KEY: ")


@pytest.mark.parametrize(
    "url",
    [
        "https://{ref}.supabase.co",
        "postgresql://postgres:{password}@db.{ref}.supabase.co:5432/postgres",
        "postgresql://postgres.{ref}:{password}@aws-0-eu-west-3.pooler.supabase.com:5432/postgres",
    ],
)
def test_an_address_of_another_project_than_the_keys_is_found(url: str) -> None:
    mine, other = made_ref(), made_ref()
    values = {
        "SUPABASE_ANON_KEY": made_jwt(ref=mine, role="anon"),
        "X_URL": url.format(ref=other, password=made_password()),
    }
    (finding,) = check_values(values, None)
    assert finding.fault is Fault.MIXED_PROJECTS
    assert f"X_URL to {other}" in finding.message
    assert check_values({**values, "X_URL": url.format(ref=mine, password=made_password())}, mine) == []
