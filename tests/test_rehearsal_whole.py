"""The main job from end to end: both plans rehearsed by the command, and a look at the world they leave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

from tekup_migrate.plan import BUILT_IN
from tekup_migrate.rehearsal.account import Account, account_arguments
from tekup_migrate.rehearsal.cipher import unseal
from tekup_migrate.rehearsal.sample_config import read_environment
from tests.commands import ROOT, command, environment
from tests.judging import forms, named_in
from tests.rehearsed import Rehearsed, own_place, processes_in, query, rehearse, reopened

ROWS = 200
LIBRARY = Path(__file__).parent / "plans" / "library.toml"
TEMPLATES = BUILT_IN.with_suffix("")
MOVED = ("vault_documents", "vault_embeddings", "vault_sync_status")


@dataclass(frozen=True)
class Seen:
    """A rehearsal of the built-in plan, and the ports of its two databases, started again to be looked at."""

    rehearsed: Rehearsed
    source: int
    target: int

    def repository(self, name: str) -> Path:
        return self.rehearsed.directory / "repositories" / name

    def rows(self, port: int, table: str) -> list[str]:
        return [row[0] for row in query(port, f"SELECT t::text FROM {table} t ORDER BY id")]


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    with own_place() as place:
        ended = rehearse(place, "rehearse", "--rows", ROWS, "--keep")
        assert ended.code == 0, ended.out[-3000:] + ended.err
        report = json.loads((place.reports / "r.json").read_text(encoding="utf-8"))
        rehearsed = Rehearsed(ended, report, place)
        assert processes_in(place.temporary) == []
        with (
            reopened(rehearsed.directory, "source", 16) as source,
            reopened(rehearsed.directory, "target", 18) as target,
        ):
            yield Seen(rehearsed, source, target)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return done.stdout


def test_a_line_per_step_and_ten_criteria_passed(seen: Seen) -> None:
    report = seen.rehearsed.report
    steps, criteria = report["steps"], report["criteria"]
    assert isinstance(steps, list)
    assert isinstance(criteria, list)
    assert [each["verdict"] for each in criteria] == ["passed"] * 10
    for step in steps:
        assert re.search(rf"^{step['verdict']} +[\d.]+ s  {re.escape(step['id'])} ", seen.rehearsed.ended.out, re.M)
    assert seen.rehearsed.ended.err == ""


def test_the_json_has_the_agreed_shape(seen: Seen) -> None:
    report = seen.rehearsed.report
    steps, criteria, figures, run = (report[name] for name in ("steps", "criteria", "figures", "run"))
    assert isinstance(steps, list)
    assert isinstance(criteria, list)
    assert isinstance(figures, dict)
    assert isinstance(run, dict)
    assert len(steps) >= 46
    for step in steps:
        assert {"id", "phase", "title", "danger", "undo", "verdict", "evidence", "seconds"} <= set(step)
        assert step["verdict"] in ("passed", "attested")
        assert step["evidence"]["summary"]
        assert step["seconds"] >= 0
    assert all({"id", "title", "verdict", "evidence"} == set(each) for each in criteria)
    assert {"rows", "bytes", "seconds", "peak_memory"} == set(figures)
    assert figures["rows"] >= 2 * ROWS
    assert figures["bytes"] > ROWS * 1536 * 4
    assert figures["seconds"] == pytest.approx(sum(step["seconds"] for step in steps), rel=0.2, abs=2)
    assert 10e6 < figures["peak_memory"] < 300e6
    assert run["rehearsal"] is True
    assert run["started"] <= run["finished"]


def test_nothing_is_left_outside_its_directory(seen: Seen) -> None:
    assert seen.rehearsed.place.left == [seen.rehearsed.directory.name]


def test_every_row_is_on_the_target_also_those_written_during_the_copy(seen: Seen) -> None:
    for table in MOVED:
        assert seen.rows(seen.source, table) == seen.rows(seen.target, table)
    written = "SELECT count(*) FROM vault_documents WHERE path LIKE 'docs/nyt/%'"
    assert query(seen.target, written)[0][0] == query(seen.source, written)[0][0] > 0


def test_what_hangs_on_the_tables_moved_with_them(seen: Seen) -> None:
    labels = "SELECT enum_range(NULL::source_type)::text"
    assert query(seen.target, labels)[0][0] == "{github,supabase,chatgpt,local}"
    function = "SELECT pg_get_functiondef('public.match_documents'::regproc)"
    assert query(seen.target, function) == query(seen.source, function)
    triggers = (
        "SELECT tgrelid::regclass::text, tgname::text FROM pg_trigger"
        " WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'vault%' ORDER BY 1, 2"
    )
    assert query(seen.target, triggers) == query(seen.source, triggers) != []
    comments = (
        "SELECT objoid::regclass::text, objsubid, description FROM pg_description"
        " WHERE classoid = 'pg_class'::regclass AND objoid::regclass::text LIKE 'vault%' ORDER BY 1, 2"
    )
    assert query(seen.target, comments) == query(seen.source, comments) != []
    indexes = "SELECT indexname::text FROM pg_indexes WHERE tablename LIKE 'vault%' ORDER BY 1"
    there, here = ({row[0] for row in query(port, indexes)} for port in (seen.source, seen.target))
    # Few rows are searched exactly and faster without the index; every other one is there.
    assert there - here <= {"vault_embeddings_embedding_idx"}


def test_all_three_tables_have_both_policies_and_the_api_roles_can_read(seen: Seen) -> None:
    found = query(
        seen.target,
        "SELECT tablename::text, policyname::text FROM pg_policies WHERE tablename LIKE 'vault%' ORDER BY 1, 2",
    )
    for table in MOVED:
        names = {row[1] for row in found if row[0] == table}
        assert {"Service role can do everything", "Authenticated users can read"} <= names
        for role in ("service_role", "authenticated"):
            assert query(seen.target, f"SELECT has_table_privilege('{role}', '{table}', 'SELECT')")[0][0]
    off = "SELECT count(*) FROM pg_class WHERE relname LIKE 'vault%' AND relkind = 'r' AND NOT relrowsecurity"
    assert query(seen.target, off)[0][0] == 0


def test_the_source_still_has_all_it_had(seen: Seen) -> None:
    assert query(seen.source, "SELECT count(*) FROM vault_embeddings")[0][0] >= ROWS
    policies = query(seen.source, "SELECT DISTINCT tablename::text FROM pg_policies ORDER BY 1")
    assert [row[0] for row in policies] == ["vault_documents", "vault_embeddings"]


REWRITTEN = re.compile(rb"\s*(?:export )?(SUPABASE_URL|SUPABASE_ANON_KEY|SUPABASE_SERVICE_KEY|DATABASE_URL)\s*=")
ENV_FILES = (
    ("vault", "TekupVault", ".env"),
    ("vault", "TekupVault", "apps/vault-api/.env"),
    ("vault", "TekupVault", "apps/vault-worker/.env"),
    ("billy", "Tekup-Billy", ".env"),
    ("rendetalje", "RendetaljeOS", "apps/backend/.env"),
)


@pytest.mark.parametrize(("app", "folder", "path"), ENV_FILES)
def test_env_files_are_kept_to_the_byte_but_for_the_named_values(seen: Seen, app: str, folder: str, path: str) -> None:
    template = (TEMPLATES / "repositories" / app / path.replace(".env", "dot_env")).read_bytes()
    template = template.replace(b"${source.ref}", b"twaoebtlusudzxshjral")
    found = (seen.repository(folder) / path).read_bytes()
    before, after = template.split(b"\n"), found.split(b"\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        pattern = re.sub(rb"\\\$\\\{[^}]+\}", rb"[^\\s\"'#]+", re.escape(old))
        assert re.fullmatch(pattern, new), (old, new)
        if REWRITTEN.match(old):
            assert b"twaoebtlusudzxshjral" not in new
    values = read_environment(seen.repository(folder) / path).values
    assert values["SUPABASE_URL"] == "https://oaevagdgrasfppbrxbey.supabase.co"
    assert "%40" in values["DATABASE_URL"]


def test_all_apps_name_the_same_database_now(seen: Seen) -> None:
    urls = {read_environment(seen.repository(folder) / path).values["DATABASE_URL"] for _, folder, path in ENV_FILES}
    assert len(urls) == 1


def test_encrypted_columns_can_still_be_read_with_the_keys_in_the_env_file(seen: Seen) -> None:
    values = read_environment(seen.repository("Tekup-Billy") / ".env").values
    sealed = query(seen.target, "SELECT api_key_encrypted FROM billy_organizations ORDER BY name")
    opened = [unseal(row[0], key=values["ENCRYPTION_KEY"], salt=values["ENCRYPTION_SALT"]) for row in sealed]
    assert sorted(opened) == ["billy-api-key-of-fiesta", "billy-api-key-of-rendetalje", "billy-api-key-of-tekup"]


def test_uncommitted_work_is_as_it_was(seen: Seen) -> None:
    for app, folder in {app: folder for app, folder, _ in ENV_FILES}.items():
        work = TEMPLATES / "uncommitted" / app
        status = git(seen.repository(folder), "-c", "core.quotePath=false", "status", "--porcelain", "-uall")
        for path in (path for path in work.rglob("*") if path.is_file()):
            name = path.relative_to(work).as_posix()
            assert (seen.repository(folder) / name).read_bytes() == path.read_bytes()
            assert f" {name}\n" in status


def test_what_was_committed_is_pushed_and_holds_no_env_file_and_no_secret(seen: Seen) -> None:
    secrets = [
        read_environment(seen.repository(folder) / path).values["SUPABASE_SERVICE_KEY"] for _, folder, path in ENV_FILES
    ]
    for folder in ("TekupVault", "Tekup-Billy", "RendetaljeOS"):
        repository = seen.repository(folder)
        branch = "migrate/consolidate-supabase"
        remote = seen.rehearsed.directory / "remotes" / f"{folder}.git"
        assert git(repository, "rev-parse", "HEAD") == git(remote, "rev-parse", branch)
        assert git(repository, "symbolic-ref", "--short", "HEAD").strip() == branch
        assert git(repository, "rev-list", "--count", "main..HEAD").strip() == "1"
        changed = git(repository, "diff", "--name-only", "main", "HEAD").split()
        assert "README.md" in changed
        assert not [name for name in changed if ".env" in name]
        assert not [secret for secret in secrets if secret in git(repository, "diff", "main", "HEAD")]


def test_no_secret_is_in_anything_that_was_written_printed_or_committed(seen: Seen) -> None:
    secrets: dict[str, set[bytes]] = {}
    for _, folder, path in ENV_FILES:
        values = read_environment(seen.repository(folder) / path).values
        held = {key: value for key, value in values.items() if key.endswith(("_KEY", "_SALT")) and value}
        secrets |= {f"{folder}'s {key}": forms(value) for key, value in held.items()}
        password = unquote(values["DATABASE_URL"].split("@")[0].rpartition(":")[2])
        secrets["the target's password"] = forms(password)
    place = seen.rehearsed.place
    written = [path for path in (seen.rehearsed.directory / "state").rglob("*") if path.is_file()]
    written += [path for path in place.reports.rglob("*") if path.is_file()]
    written += list(seen.rehearsed.directory.glob("*/*.log"))
    texts = {str(path): path.read_bytes() for path in written}
    texts["its output"] = (seen.rehearsed.ended.out + seen.rehearsed.ended.err).encode()
    for folder in ("TekupVault", "Tekup-Billy", "RendetaljeOS"):
        repository = seen.repository(folder)
        for line in git(repository, "rev-list", "--objects", "main..HEAD").splitlines():
            name = line.split()[0]
            content = subprocess.run(["git", "cat-file", "-p", name], cwd=repository, capture_output=True, check=True)
            texts[f"{folder} {line}"] = content.stdout
    assert any(path.name == "journal.sqlite3" for path in written)
    assert len(secrets) > 6
    assert {where: found for where, text in texts.items() if (found := named_in(text, secrets))} == {}


@pytest.mark.long
def test_a_rehearsal_of_another_plan_leaves_nothing_at_all() -> None:
    with own_place(name="en anden mappe") as place:
        ended = rehearse(place, "--plan", LIBRARY, "rehearse", "--rows", 100)
        assert ended.code == 0, ended.out[-3000:] + ended.err
        report = json.loads((place.reports / "r.json").read_text(encoding="utf-8"))
        assert [each["verdict"] for each in report["criteria"]] == ["passed"] * 3
        assert {step["verdict"] for step in report["steps"]} <= {"passed", "attested"}
        assert not [step["id"] for step in report["steps"] if "prisma" in step["id"] or "encryption" in step["id"]]
        assert place.left == []
        assert processes_in(place.temporary.parent) == []


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX")
def test_in_the_background_where_ctrl_c_is_ignored_sigterm_still_ends_everything() -> None:
    argv = command("--plan", LIBRARY, "rehearse", "--unattended", "--rows", 20)
    ignoring = f"import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv({argv[0]!r}, {argv!r})"
    with own_place() as place:
        process = subprocess.Popen(
            [sys.executable, "-c", ignoring],
            env=environment(place.variables),
            cwd=place.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        with process.stdout as output:
            assert output.readline(), "the first step is told"
            process.terminate()
            output.read()
        assert process.wait(timeout=30) not in (0, -signal.SIGTERM)
        assert place.left == []
        assert processes_in(place.temporary.parent) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_rehearse_too() -> None:
    import pwd

    account = pwd.getpwnam("nobody")
    run_as = account_arguments(Account(name="nobody", uid=account.pw_uid, gid=account.pw_gid))
    with own_place(uid=account.pw_uid) as place:
        variables = environment(place.variables)
        try:
            version = command("--version")
            subprocess.run(version, env=variables, cwd=place.home, capture_output=True, check=True, **run_as)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip(f"the account nobody cannot run {sys.executable} or read {ROOT}")
        ended = subprocess.run(
            command("--plan", LIBRARY, "rehearse", "--unattended", "--rows", 20),
            env=variables,
            cwd=place.home,
            capture_output=True,
            encoding="utf-8",
            check=False,
            **run_as,
        )
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr
        assert place.left == []
        assert processes_in(place.temporary.parent) == []
