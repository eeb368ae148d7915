from __future__ import annotations

import base64
import html
import json
import re
import secrets
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tests.keymaking import made_access_token, made_jwt, made_ref, made_secret_key

VALUE = "pä/ss+w@rd 'q\" <&>\\$ü"


def held(value: str) -> Secret:
    return Secret(value, kind="password", project="abcdefghij")


FORMS = {
    "plain": VALUE,
    "percent-encoded": quote(VALUE),
    "percent-encoded wholly": quote(VALUE, safe=""),
    "percent-encoded in lower case": re.sub(r"%..", lambda found: found[0].lower(), quote(VALUE, safe="")),
    "form-encoded": quote_plus(VALUE),
    "JavaScript's encodeURIComponent": quote(VALUE, safe="!'()*~"),
    "JavaScript's encodeURI": quote(VALUE, safe="!'()*~;,/?:@&=+$#"),
    "JSON": json.dumps(VALUE),
    "JSON in UTF-8": json.dumps(VALUE, ensure_ascii=False),
    "Python": repr(VALUE),
    "HTML": html.escape(VALUE),
    "SVG": html.escape(VALUE).replace(" ", "&#160;"),
    "hex": VALUE.encode().hex(),
    "HEX": VALUE.encode().hex().upper(),
    "basic auth": base64.b64encode(b"user:" + VALUE.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_held_secret_is_replaced_in_every_form(form: str) -> None:
    text = Redactor([held(VALUE)]).redact(f"before {FORMS[form]} after")
    assert held(VALUE).mask in text
    assert "rd" not in text.replace(held(VALUE).mask, "").replace("password", "")
    assert text.startswith("before ")
    assert text.endswith(" after")


@given(st.binary(max_size=7), st.binary(max_size=7), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_base64_is_found_however_it_is_aligned(before: bytes, after: bytes, encode: object) -> None:
    assert callable(encode)
    secret = held("correct-horse?~battery")
    text = encode(before + secret.reveal().encode() + after).decode()
    assert secret.mask in Redactor([secret]).redact(text)


@given(st.text(min_size=6, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_secret_is_gone_from_any_text(value: str, before: str, after: str) -> None:
    secret = Secret(value, kind="k")
    text = Redactor([secret]).redact(before + value + after)
    assert value not in text.replace(secret.mask, "")


def test_the_longest_secret_wins() -> None:
    short, long = held("swordfish"), held("swordfish-and-chips")
    redactor = Redactor([short, long])
    assert redactor.redact("swordfish-and-chips, swordfish-and") == f"{long.mask}, {short.mask}-and"


def test_a_short_secret_is_replaced_only_where_it_stands_alone() -> None:
    redactor = Redactor([held("abc"), held("")])
    assert redactor.redact("abcde abc=abc, postgres://u:abc@h") == (
        f"abcde {held('abc').mask}={held('abc').mask}, postgres://u:{held('abc').mask}@h"
    )


def test_secrets_can_be_added_later() -> None:
    redactor = Redactor()
    assert redactor.redact("correct horse") == "correct horse"
    redactor.hold(held("correct horse"))
    assert "horse" not in redactor.redact("correct horse")


def test_what_looks_like_a_secret_is_replaced_too() -> None:
    ref = made_ref()
    jwt, key, token = made_jwt(ref=ref, role="service_role"), made_secret_key(), made_access_token()
    text = Redactor().redact(f"{jwt} {key} {token} postgresql://postgres.{ref}:p@ss@host:5432/db?a=b")
    assert not any(secret in text for secret in (jwt, key, token, "p@ss"))
    assert f"‹service key of {ref[:6]}…, " in text
    assert "‹secret key, " in text
    assert "‹access token, " in text
    assert text.endswith("›@host:5432/db?a=b")


def test_what_is_no_secret_stays() -> None:
    plain = (
        "postgresql://postgres@host/db postgres://u:[YOUR-PASSWORD]@h https://a.b/c:d sb_secret_... sb_publishable_x"
    )
    assert Redactor([held("correct horse")]).redact(plain) == plain


@pytest.mark.parametrize(
    "plain",
    ["http://127.0.0.1:3002/users/@me", "https://a.b:443/@x/y", "http://h:80?q=a@b.c", "a:b@c", "npm i @x/y:1@2"],
)
def test_a_port_is_no_password(plain: str) -> None:
    assert Redactor().redact(plain) == plain


@pytest.mark.parametrize(
    "url", ["postgres://u:3000/x@h/d", "redis://:hunter@h:6379", "amqp+ssl://u:hunter@h", "\\npostgres://u:hunter@h"]
)
def test_a_password_in_any_url_is_replaced(url: str) -> None:
    redacted = Redactor().redact(url)
    assert "hunter" not in redacted
    assert "3000" not in redacted
    assert "‹password, " in redacted


@pytest.mark.parametrize("piece", ["a", "a://", "a://b:", "eyJ.", "x@", "A=", "postgres://u:"])
def test_no_text_takes_quadratic_time(piece: str) -> None:
    started = time.perf_counter()
    Redactor([held("correct horse")]).redact(piece * (300_000 // len(piece)))
    assert time.perf_counter() - started < 3


def test_redacting_twice_changes_nothing_more() -> None:
    redactor = Redactor([held(VALUE)])
    once = redactor.redact(f"postgresql://u:{quote(VALUE, safe='')}@host/db {VALUE}")
    assert redactor.redact(once) == once
    assert once.count(held(VALUE).mask) == 2


def test_fifty_secrets_in_a_long_line_take_no_time() -> None:
    redactor = Redactor([held(secrets.token_urlsafe(24) + "@#/") for _ in range(50)])
    line = secrets.token_urlsafe(750_000)
    started = time.perf_counter()
    redactor.redact(line)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("space", [" ", "&#160;"])
def test_a_mask_is_not_masked_again(space: str) -> None:
    secret = Secret(secrets.token_hex(8), kind="password", project=made_ref())
    text = f"postgresql://postgres:{secret.mask.replace(' ', space)}@db.example:5432/x"
    assert Redactor([secret]).redact(text) == text
    assert Redactor().redact("postgresql://me:••••@h/x") == "postgresql://me:••••@h/x"
