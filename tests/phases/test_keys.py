"""The target's keys and the apps' present ones are checked before anything is written."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import MemoryStore
from tekup_migrate.journal import Journal
from tekup_migrate.phases.env import RewriteEnv
from tekup_migrate.phases.keys import CheckKeys
from tekup_migrate.plan import BUILT_IN, Plan, read_plan
from tekup_migrate.rehearsal.api import running_gateways
from tekup_migrate.secret_source import PASSWORD, SecretSource
from tekup_migrate.steps import Context, Remark, Verdict
from tests.keymaking import made_jwt, made_ref
from tests.scripted import ScriptedOperator, make_context

ANON, SERVICE = "anon key", "service key"


def placed(tmp_path: Path) -> Plan:
    """The built-in plan with its apps below a directory of the test's own."""
    plan = read_plan(BUILT_IN)
    apps = {name: msgspec.structs.replace(app, path=str(tmp_path / name)) for name, app in plan.apps.items()}
    return msgspec.structs.replace(plan, apps=apps)


def write_env(plan: Plan, **values: str) -> None:
    """Write the same env file wherever the plan names one."""
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    for app in plan.apps.values():
        subprocess.run(["git", "init", "-q", app.directory], check=True)
        for file in app.env_files:
            path = app.directory / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


@asynccontextmanager
async def opened(
    tmp_path: Path, plan: Plan, operator: ScriptedOperator, known: tuple[str, ...]
) -> AsyncIterator[Context]:
    """A context whose target's gateway knows some keys."""
    store = MemoryStore()
    await store.set(plan.target.ref, PASSWORD, Secret("p@ss", kind=PASSWORD))
    secrets = SecretSource(plan=plan, operator=operator, store=store, redactor=Redactor(), environment={}, given={})
    target = plan.project_id("target")
    gateways = {target: tuple(Secret(value, kind="key") for value in known)}
    journal = Journal.open(tmp_path / "journal.sqlite3")
    try:
        async with running_gateways(gateways) as addresses:
            yield make_context(
                tmp_path, journal, operator=operator, plan=plan, secrets=secrets, api_addresses=addresses
            )
    finally:
        journal.close()


async def test_a_key_that_the_project_refuses_is_asked_for_again(tmp_path: Path) -> None:
    plan = placed(tmp_path)
    ref = plan.target.ref
    dead, anon, service = (made_jwt(ref=ref, role=role) for role in ("anon", "anon", "service_role"))
    write_env(plan)
    operator = ScriptedOperator(secrets=[dead, anon, service])
    async with opened(tmp_path, plan, operator, (anon, service)) as context:
        step = CheckKeys(plan, plan.phases[0])
        await step.apply(context)
        evidence = await step.verify(context)
    assert operator.asked == [f"secret {ANON}", f"secret {ANON}", f"secret {SERVICE}"]
    assert "Invalid API key" in operator.troubles[1]
    assert evidence.verdict is Verdict.PASSED
    assert evidence.summary == "anon key accepted, service key accepted"
    assert any(ref in fact and "valid until" in fact for fact in evidence.facts)
    assert not any(value in str(evidence) for value in (dead, anon, service))


async def test_what_is_wrong_with_the_apps_present_keys_is_said(tmp_path: Path) -> None:
    plan = placed(tmp_path)
    ref = plan.target.ref
    keys = [made_jwt(ref=ref, role=role) for role in ("anon", "service_role")]
    other = made_ref()
    write_env(
        plan,
        SUPABASE_ANON_KEY=made_jwt(ref=other, role="service_role"),
        SUPABASE_SERVICE_KEY=made_jwt(ref=made_ref(), role="service_role", expires_in=-9),
    )
    async with opened(tmp_path, plan, ScriptedOperator(secrets=list(keys)), tuple(keys)) as context:
        evidence = await CheckKeys(plan, plan.phases[0]).verify(context)
    said = "\n".join(evidence.facts)
    for part in ("in the place of the anon key", "expired on", f"SUPABASE_ANON_KEY to {other}"):
        assert part in said


async def test_a_plan_on_this_machine_names_no_api_to_try_the_keys_at(tmp_path: Path) -> None:
    plan = placed(tmp_path)
    local = {name: msgspec.structs.replace(p, url="postgresql://me@127.0.0.1:5/x") for name, p in plan.projects.items()}
    plan = msgspec.structs.replace(plan, projects=local)
    ref = plan.target.ref
    keys = [made_jwt(ref=ref, role=role) for role in ("anon", "service_role")]
    write_env(plan)
    async with opened(tmp_path, plan, ScriptedOperator(secrets=list(keys)), ()) as context:
        evidence = await CheckKeys(plan, plan.phases[0]).verify(replace(context, api_addresses={}))
    assert evidence.verdict is Verdict.PASSED
    assert evidence.summary == "anon key not tried, service key not tried"
    assert "no api_url names its API" in evidence.facts[0]


async def test_a_rewrite_that_leaves_a_key_of_another_project_behind_warns_first(tmp_path: Path) -> None:
    plan = placed(tmp_path)
    ref, old = plan.target.ref, made_ref()
    keys = [made_jwt(ref=ref, role=role) for role in ("anon", "service_role")]
    write_env(
        plan,
        SUPABASE_URL=f"https://{old}.supabase.co",
        SUPABASE_ANON_KEY=made_jwt(ref=old, role="anon"),
        VITE_SUPABASE_ANON_KEY=made_jwt(ref=old, role="anon"),
    )
    async with opened(tmp_path, plan, ScriptedOperator(secrets=list(keys)), tuple(keys)) as context:
        preview = await RewriteEnv(plan, plan.phases[1]).preview(context)
    warned = [action.text for action in preview.actions if isinstance(action, Remark) and action.warning]
    assert any("VITE_SUPABASE_ANON_KEY" in text and old in text for text in warned)
    assert any("Different projects" in text for text in warned)
