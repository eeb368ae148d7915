"""``tekup-migrate credentials``: run as a process on a file sealed by a passphrase, and where nothing lasts."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from tekup_migrate.plan import read_plan
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.commands import Ended, command, environment
from tests.judging import forms, named_in
from tests.keymaking import made_jwt, made_password, made_ref
from tests.plan_file import write_plan
from tests.worlds import LIBRARY

PASSPHRASE = {"TEKUP_MIGRATE_PASSPHRASE": "correct horse"}


@dataclass
class Place:
    """A plan whose app is below a directory of the test's own, and what the commands on it said."""

    folder: Path
    extra: dict[str, str] = field(default_factory=lambda: dict(PASSPHRASE))
    said: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        plan = read_plan(LIBRARY)
        apps = {name: msgspec.structs.replace(app, path=str(self.folder / name)) for name, app in plan.apps.items()}
        self.plan = msgspec.structs.replace(plan, apps=apps)
        write_plan(self.plan, self.plan_file)

    @property
    def plan_file(self) -> Path:
        return self.folder / "library.toml"

    def put_url(self, url: str) -> None:
        """Give every project this URL."""
        projects = {n: msgspec.structs.replace(p, url=url) for n, p in self.plan.projects.items()}
        self.plan = msgspec.structs.replace(self.plan, projects=projects)
        write_plan(self.plan, self.plan_file)

    def write_env(self, text: str) -> None:
        """Write the same env file wherever the plan names one."""
        for app in self.plan.apps.values():
            for file in app.env_files:
                path = app.directory / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")

    def run(self, *arguments: str, given: str = "") -> Ended:
        """Run ``credentials`` with ``given`` on its standard input."""
        state = ("--plan", self.plan_file, "--state", self.folder / "state")
        done = subprocess.run(
            command(*state, "credentials", *arguments),
            env=environment(self.extra),
            input=given,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        self.said += done.stdout + done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)


def test_a_secret_is_read_from_standard_input_kept_listed_without_its_value_and_forgotten(tmp_path: Path) -> None:
    place = Place(tmp_path)
    source = place.plan.project_id("source")
    key = made_jwt(ref=place.plan.source.ref, role="service_role")
    assert place.run("replace", source, "password", given="p@ss w0rd\n").code == 0
    assert place.run("replace", source, "service-key", given=f"{key}\n").code == 0
    listed = json.loads(place.run("--json").out)
    assert {(each["project"], each["kind"]) for each in listed if each["kept"]} == {
        (source, "password"),
        (source, "service key"),
    }
    assert place.run().out.count("–") == len(listed) - 2
    assert place.run("forget", source, given="").code == 1, "nobody was there to confirm it"
    assert place.run("forget", source, "password", "--yes").code == 0
    assert [each["kind"] for each in json.loads(place.run("--json").out) if each["kept"]] == ["service key"]
    for secret in ("p@ss", key, "correct horse"):
        assert secret not in place.said
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_what_cannot_be_right_is_refused_and_what_was_kept_stays(tmp_path: Path) -> None:
    place = Place(tmp_path)
    target, ref = place.plan.project_id("target"), place.plan.target.ref
    assert place.run("replace", target, "anon-key", given=made_jwt(ref=ref, role="anon")).code == 0
    for wrong, why in (
        (made_jwt(ref=ref, role="service_role"), "in the place of the anon key"),
        (made_jwt(ref=made_ref(), role="anon"), "belongs to project"),
        (made_jwt(ref=ref, role="anon", expires_in=-5), "expired"),
        ("", "not"),
    ):
        ended = place.run("replace", target, "anon-key", given=wrong)
        assert ended.code == 2
        assert why in ended.err
    assert place.run("replace", "nobody", "password", given="x").code == 2
    assert [each["kind"] for each in json.loads(place.run("--json").out) if each["kept"]] == ["anon key"]
    place.extra["TEKUP_MIGRATE_PASSPHRASE"] = "wrong"
    ended = place.run()
    assert ended.code == 2
    assert "passphrase" in ended.err


def test_env_files_are_imported_after_showing_which_key_goes_where(tmp_path: Path) -> None:
    place = Place(tmp_path)
    source = place.plan.source
    anon, dead = made_jwt(ref=source.ref, role="anon"), made_jwt(ref=source.ref, role="service_role", expires_in=-5)
    stranger, password = made_jwt(ref=made_ref(), role="anon"), f"p@{made_password()}"
    url = f"postgresql://postgres.{source.ref}:{quote(password, safe='')}@aws-0-eu-west-3.pooler.supabase.com:6543"
    place.write_env(
        f"SUPABASE_URL=https://{source.ref}.supabase.co\nSUPABASE_ANON_KEY={anon}\nSUPABASE_SERVICE_KEY={dead}\n"
        f"VITE_SUPABASE_ANON_KEY={stranger}\n"
        f"DATABASE_URL={url}/postgres\n"
    )
    asked = place.run("import")
    assert asked.code == 1
    for part in ("SUPABASE_ANON_KEY in", "→ anon key of", "DATABASE_URL in", "→ password of", "Nothing was kept."):
        assert part in asked.out
    assert not [each for each in json.loads(place.run("--json").out) if each["kept"]]
    done = place.run("import", "--yes")
    assert done.code == 1, "a key that is expired is not taken, and that is said"
    assert "expired" in done.out
    assert "belongs to no project of the plan" in done.out
    kept = {(each["project"], each["kind"]) for each in json.loads(place.run("--json").out) if each["kept"]}
    name = place.plan.project_id("source")
    assert kept == {(name, "password"), (name, "anon key")}
    assert "is kept already" in place.run("import", "--yes").out
    secrets = {secret: forms(secret) for secret in (anon, dead, stranger, password)}
    assert named_in(place.said.encode(), secrets) == []


def test_kept_secrets_are_checked_by_using_them(tmp_path: Path, source_database: SupabaseDatabase) -> None:
    place = Place(tmp_path)
    source = place.plan.project_id("source")
    database = source_database
    place.put_url(f"postgresql://{database.user}@{database.host}:{database.port}/{database.database}")
    assert place.run("check").code == 0
    place.run("replace", source, "password", given="not the password\n")
    wrong = place.run("check")
    assert wrong.code == 1
    assert "The password was refused" in wrong.out
    url = f"postgresql://{database.user}:{database.password.reveal()}@{database.host}/x"
    place.run("replace", source, "password", given=url)
    assert "\ngood " in place.run("check").out
    place.run("replace", source, "anon-key", given=made_jwt(ref=place.plan.source.ref, role="anon"))
    unknown = place.run("check", "--json")
    assert unknown.code == 3, "the key was read, but there is no API to try it at"
    assert {each["outcome"] for each in json.loads(unknown.out)} == {"good", "could not tell"}
    assert database.password.reveal() not in place.said


@pytest.mark.parametrize("arguments", [("import", "--yes"), ("replace", "old", "password"), ("forget", "old", "--yes")])
def test_nothing_is_kept_where_it_would_not_last(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    place = Place(tmp_path, extra={})
    ended = place.run(*arguments, given="p@ss\n")
    assert ended.code == 2
    assert "nothing that keeps secrets" in ended.err
    assert place.run().code == 0
