"""Where secrets come from: a wrong one is refused with the reason and asked for again, before it is kept."""

from __future__ import annotations

import pytest

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStoreError, MemoryStore, Trouble
from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import BUILT_IN, read_plan
from tekup_migrate.secret_source import PASSWORD, SecretSource, taken_from, variable
from tests.keymaking import made_jwt, made_password, made_ref
from tests.scripted import ScriptedOperator

PLAN = read_plan(BUILT_IN)
TARGET = PLAN.project_id("target")
REF = PLAN.target.ref


class LastingStore(MemoryStore):
    """A store whose secrets would be there in the next sitting."""

    name = "a lasting store"
    lasting = True


def source(operator: ScriptedOperator, store: MemoryStore | None = None, **environment: str) -> SecretSource:
    return SecretSource(
        plan=PLAN,
        operator=operator,
        store=store or LastingStore(),
        redactor=Redactor(),
        environment=environment,
        given={},
    )


async def test_swapped_expired_and_foreign_keys_are_refused_with_the_reason_and_asked_again() -> None:
    right = made_jwt(ref=REF, role="anon")
    wrong = [
        made_jwt(ref=REF, role="service_role"),
        made_jwt(ref=REF, role="anon", expires_in=-60),
        made_jwt(ref=made_ref(), role="anon"),
        "hunter2",
    ]
    operator, store = ScriptedOperator(secrets=[*wrong, right]), LastingStore()
    key = await source(operator, store).key(TARGET, "anon key")
    assert key.reveal() == right
    assert await store.get(REF, "anon key") == key
    told = ("", "in the place of the anon key", "expired on", "belongs to project", "not a Supabase key")
    assert all(part in trouble for part, trouble in zip(told, operator.troubles, strict=True))


async def test_a_wrong_key_that_is_kept_or_in_the_environment_is_not_used() -> None:
    operator, store = ScriptedOperator(), LastingStore()
    old = Secret(made_jwt(ref=REF, role="anon", expires_in=-60), kind="anon key")
    await store.set(REF, "anon key", old)
    with pytest.raises(MigrationError, match="not known") as refused:
        await source(operator, store).key(TARGET, "anon key")
    assert "expired" in refused.value.happened
    assert await store.get(REF, "anon key") == old, "what is kept is the operator's until another one is given"
    right = made_jwt(ref=REF, role="anon")
    found = await source(operator, store, **{variable(TARGET, "anon key"): right}).key(TARGET, "anon key")
    assert found.reveal() == right


class LockedMeanwhile(LastingStore):
    """A keyring that was open when the sitting began."""

    async def set(self, ref: str, kind: str, secret: Secret) -> None:
        raise CredentialStoreError(Trouble.LOCKED, f"It was not unlocked: {secret.reveal()}")


async def test_what_the_operator_gave_is_held_though_the_keyring_is_locked_meanwhile_and_the_error_can_be_shown() -> (
    None
):
    secrets = source(ScriptedOperator(), LockedMeanwhile())
    given = Secret(made_password(), kind=PASSWORD)
    with pytest.raises(CredentialStoreError) as refused:
        await secrets.replace(TARGET, PASSWORD, given)
    shown = refused.value.redacted(lambda text: text.replace(given.reveal(), "‹it›"))
    assert (shown.title, shown.happened) == ("The keyring is locked", "It was not unlocked: ‹it›")
    assert (shown.trouble, str(shown)) == (Trouble.LOCKED, str(refused.value).replace(given.reveal(), "‹it›"))
    assert await secrets.known(TARGET, PASSWORD) == given


async def test_a_doubted_secret_is_asked_for_again_and_replaced() -> None:
    operator, store = ScriptedOperator(secrets=["the new one"]), LastingStore()
    await store.set(REF, PASSWORD, Secret("the old one", kind=PASSWORD))
    secrets = source(operator, store)
    assert (await secrets.password(TARGET)).reveal() == "the old one"
    secrets.doubt(TARGET, PASSWORD, "The server refused it.")
    assert (await secrets.password(TARGET)).reveal() == "the new one"
    assert operator.troubles == ["The server refused it."]
    kept = await store.get(REF, PASSWORD)
    assert kept is not None
    assert kept.reveal() == "the new one"
    assert (await secrets.password(TARGET)).reveal() == "the new one"
    assert len(operator.asked) == 1


async def test_a_placeholder_is_no_password() -> None:
    operator = ScriptedOperator(secrets=["[YOUR-PASSWORD]", "changeme"])
    assert (await source(operator).password(TARGET)).reveal() == "changeme"
    assert "filled in" in operator.troubles[1]


async def test_forgotten_secrets_are_held_until_the_sitting_ends_and_can_be_kept_again() -> None:
    store = LastingStore()
    secrets = source(ScriptedOperator(secrets=["p@ss"]), store)
    await secrets.password(TARGET)
    assert await secrets.kept(TARGET) == (PASSWORD,)
    await secrets.forget(TARGET)
    assert await secrets.kept(TARGET) == ()
    assert (await secrets.password(TARGET)).reveal() == "p@ss"
    await secrets.keep_again(TARGET)
    assert await secrets.kept(TARGET) == (PASSWORD,)
    assert await source(ScriptedOperator(), MemoryStore()).kept(TARGET) == ()


def test_secrets_are_taken_out_of_the_environment_so_that_no_child_inherits_them() -> None:
    values = {"TEKUP_MIGRATE_NEW_PASSWORD": "p", "TEKUP_MIGRATE_NEW_ANON_KEY": "k", "TEKUP_MIGRATE_SEAL_KEY": "s"}
    environment = {**values, "TEKUP_MIGRATE_PASSPHRASE": "w", "TEKUP_MIGRATE_X": "x", "PATH": "/bin"}
    taken = taken_from(environment, {})
    assert environment == {"TEKUP_MIGRATE_X": "x", "PATH": "/bin"}
    assert values.items() <= taken.items()
    assert taken_from(environment, dict(taken)) == taken, "asked for again, they are still known"
