from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict, dataclass

import pytest

from tekup_migrate.credentials.secret import Secret


@pytest.fixture
def secret() -> Secret:
    return Secret("hunter2", kind="password", project="abcdefghijklmnopqrst")


def test_it_shows_only_its_mask(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("%s %r", secret, secret)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", str([secret])]
    assert all("hunter2" not in text and secret.mask in text for text in [*shown, caplog.text])
    assert secret.mask.startswith("‹password of abcdef…, ")


def test_pickled_it_is_its_mask(secret: Secret) -> None:
    pickled = pickle.dumps(secret)
    assert b"hunter2" not in pickled
    assert pickle.loads(pickled) == secret.mask


def test_it_cannot_become_json(secret: Secret) -> None:
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_copied_it_is_still_a_secret(secret: Secret) -> None:
    @dataclass
    class Holder:
        secret: Secret

    assert copy.deepcopy(secret) is copy.copy(secret) is secret
    assert asdict(Holder(secret)) == {"secret": secret}


def test_it_equals_a_secret_of_the_same_value_and_nothing_else(secret: Secret) -> None:
    assert secret == Secret("hunter2", kind="other")
    assert hash(secret) == hash(Secret("hunter2", kind="other"))
    assert secret != Secret("hunter3", kind="password")
    assert secret != "hunter2"


def test_two_values_have_two_masks() -> None:
    masks = {Secret(f"value {number}", kind="password").mask for number in range(20)}
    assert len(masks) == 20


def test_a_value_that_is_not_utf8_has_a_mask_too() -> None:
    value = b"\xff".decode("utf-8", "surrogateescape")
    assert Secret(value, kind="password").mask
