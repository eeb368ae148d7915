"""Pointing an app at the target: the plan's keys, everything else that names the old project, and each choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.rewrite import read_values
from tekup_migrate.parts import DOCUMENT, LEAVE, REWRITE, SKIP
from tekup_migrate.phases.encryption import KeysKept, NoteKeys
from tekup_migrate.phases.env_undo import documented_mentions
from tekup_migrate.plan import Encryption
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.rollback import Rollback
from tekup_migrate.runner import Runner
from tekup_migrate.steps import Context, FileChange, Remark, Verdict
from tekup_migrate.walk import Ending
from tests.keymaking import made_jwt
from tests.phases.env_world import EnvWorld, choices, shown


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EnvWorld]:
    made = EnvWorld(tmp_path)
    made.write(".env", made.env(), tracked=False)
    yield made
    made.journal.close()


def proceed(**chosen: str) -> Reply:
    return Reply(Answer.PROCEED, choices=chosen)


async def test_the_plans_keys_are_rewritten_and_the_evidence_says_that_nothing_else_was(world: EnvWorld) -> None:
    before = read_values(world.env())
    assert (await world.run()).ending is Ending.FINISHED
    after = read_values((world.root / ".env").read_bytes())
    assert after["SERVICE_KEY"] == world.secrets.held["service key"].reveal()
    query = "?schema=app&pgbouncer=true&connection_limit=1&sslmode=require"
    host = f"db.{world.new}.supabase.co:5432"
    assert after["DATABASE_URL"] == f"postgresql://postgres:n%40w%2Fpass%20word@{host}/postgres{query}"
    assert after["ENCRYPTION_KEY"] == before["ENCRYPTION_KEY"]
    assert b'export SERVICE_KEY="' in (world.root / ".env").read_bytes()
    assert "bytes are as they were (keyed digest" in world.facts
    assert world.facts.startswith("passed")


async def test_a_byte_beyond_the_named_values_is_told_from_them(world: EnvWorld) -> None:
    await world.run()
    path = world.root / ".env"
    path.write_bytes(path.read_bytes().replace(b"k$x", b"k$y"))
    evidence = await world.step.verify(world.context())
    assert evidence.verdict.value == "differs"
    assert "more than the named values changed" in evidence.summary


async def test_comments_and_line_ends_stay_to_the_byte_and_one_that_was_lost_is_told(world: EnvWorld) -> None:
    before = world.env("# gammel nøgle: x\n#PORT=1\nPORT=2   # api", end="\r\n")
    world.write(".env", before, tracked=False)
    await world.run()
    path = world.root / ".env"
    after = path.read_bytes()
    old, new = before.decode().split("\r\n"), after.decode().split("\r\n")
    assert [a.partition(" #")[2] for a in new] == [b.partition(" #")[2] for b in old]
    assert [line for line in new if line.startswith("#")] == [line for line in old if line.startswith("#")]
    assert world.facts.startswith("passed")
    for comment in (b" # keep", b"# notes\r\n", b"#PORT=1\r\n", b"\r"):
        path.write_bytes(after.replace(comment, b""))
        evidence = await world.step.verify(world.context())
        assert evidence.verdict.value == "differs", comment
        assert "more than the named values changed" in evidence.summary


async def test_every_other_mention_is_left_and_documented_unless_the_operator_says_otherwise(world: EnvWorld) -> None:
    ref = world.old
    files = {
        "apps/web/.env.local": f"NEXT_PUBLIC_SUPABASE_URL=https://{ref}.supabase.co\nPORT=1\n",
        "docker.env": f"PGHOST=db.{ref}.supabase.co\r\nPGUSER=postgres.{ref}\r\n",
        "compose.yml": f"services:\n  api:\n    environment: [HOST=db.{ref}.supabase.co]\n",
        "docs/øl [1].md": f"Se https://supabase.com/dashboard/project/{ref}/settings\n",
        ".env.example": "SUPABASE_URL=\n",
    }
    before = {world.write(name, text): text.encode() for name, text in files.items()}
    await world.run()
    assert {path: path.read_bytes() for path in before} == before
    for line in (
        "apps/web/.env.local, line 1 (NEXT_PUBLIC_SUPABASE_URL): still speaks of the old project (documented)",
        "docker.env, lines 1, 2 (PGHOST, PGUSER): still speak of the old project (documented)",
        "compose.yml, line 3: still speaks of the old project (documented)",
        "docs/øl [1].md, line 1: still speaks of the old project (documented)",
    ):
        assert line in world.facts
    assert ".env.example" not in world.facts
    assert world.facts.startswith("passed")
    assert f"{'App'}: compose.yml, line 3: still speaks of the old project" in documented_mentions(world.context())


async def test_what_the_operator_has_rewritten_is_rewritten_to_the_byte_and_back(world: EnvWorld) -> None:
    ref = world.old.encode()
    contents = {
        "apps/web/.env.local": b"\xef\xbb\xbfURL = 'https://" + ref + b".supabase.co/storage/v1' # gr\xf8d\r\nA=1",
        "latin.txt": b"bl\xe5b\xe6r " + ref + b"\r\nx\r" + ref + b" and x" + ref + b"y\n\n",
        "ci.yml": b"host: db." + ref + b".supabase.co",
    }
    for name, content in contents.items():
        world.write(name, content)
    chosen = {"apps/web/.env.local:URL": REWRITE, "latin.txt#1": REWRITE, "latin.txt#3": LEAVE, "ci.yml#1": REWRITE}
    assert (await world.run(Reply(Answer.PROCEED, choices=chosen))).ending is Ending.FINISHED
    new = world.new.encode()
    assert (world.root / "apps/web/.env.local").read_bytes() == contents["apps/web/.env.local"].replace(ref, new)
    assert (world.root / "latin.txt").read_bytes() == contents["latin.txt"].replace(ref, new, 1)
    assert (world.root / "ci.yml").read_bytes() == b"host: db." + new + b".supabase.co"
    assert "latin.txt, line 3: still speaks of the old project (left)" in world.facts
    runner = Runner(steps=[world.step], context=world.context(), journal=world.journal)
    assert (await Rollback.of(runner).run()).ending is Ending.FINISHED
    assert {name: (world.root / name).read_bytes() for name in contents} == contents
    assert (world.root / ".env").read_bytes() == world.env()
    assert choices(await world.preview())["ci.yml#1"] == DOCUMENT, "a roll back forgets what was chosen"


async def test_a_skipped_key_keeps_its_value_and_the_step_does_not_pass(world: EnvWorld) -> None:
    await world.run(Reply(Answer.PROCEED, choices={".env:SERVICE_KEY": SKIP}))
    values = read_values((world.root / ".env").read_bytes())
    assert values["SERVICE_KEY"] == world.old_key
    assert values["SUPABASE_URL"] == f"https://{world.new}.supabase.co"
    assert world.facts.startswith("skipped\n1 of 3 keys were left out by the operator: .env: SERVICE_KEY")
    assert ".env: SUPABASE_URL, DATABASE_URL hold the target's values" in world.facts


async def test_what_was_chosen_survives_a_kill_between_confirming_and_writing(world: EnvWorld) -> None:
    world.write("ci.yml", f"host: {world.old}\n")

    class Killed(BaseException):
        pass

    async def killed(context: Context) -> None:
        raise Killed

    world.step.apply = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await world.run(Reply(Answer.PROCEED, choices={"ci.yml#1": REWRITE, ".env:SERVICE_KEY": SKIP}))
    del world.step.apply
    assert (await world.run()).ending is Ending.FINISHED
    assert world.new in (world.root / "ci.yml").read_text(encoding="utf-8")
    assert read_values((world.root / ".env").read_bytes())["SERVICE_KEY"] == world.old_key


async def test_what_is_chosen_is_part_of_what_is_agreed_on(world: EnvWorld) -> None:
    world.write(".env", world.env("\n" * 9), tracked=False)
    preview = await world.preview()
    other = preview.choosing({".env:SERVICE_KEY": SKIP})
    assert other.fingerprint != preview.fingerprint
    assert preview.choosing({".env:SERVICE_KEY": LEAVE, "elsewhere": SKIP}) == preview, "no option of this part"
    world.operator.before_reply = lambda: world.write(".env", world.env("\n" * 9 + "LATER=1"), tracked=False)
    await world.run()
    assert [step for step, _ in world.operator.previews] == ["app.env", "app.env"], "the file changed: asked again"


async def test_commented_out_values_stay_unless_the_operator_has_them_updated(world: EnvWorld) -> None:
    old = f"#SERVICE_KEY={world.old_key}\n# DATABASE_URL=postgresql://postgres.{world.old}:...@x.example:6543/app?a=b\n"
    content = world.env(f"{old}PORT=1 # was https://{world.old}.supabase.co")
    world.write(".env", content, tracked=False)
    lines = {name: choice for name, choice in choices(await world.preview()).items() if "#" in name}
    assert lines == {".env#6": LEAVE, ".env#7": LEAVE, ".env#8": LEAVE}
    await world.run(Reply(Answer.PROCEED, choices=dict.fromkeys([".env#6", ".env#7", ".env#8"], REWRITE)))
    written = (world.root / ".env").read_text(encoding="utf-8").splitlines()
    assert written[5] == "#SERVICE_KEY=" + world.secrets.held["service key"].reveal()
    assert written[6] == f"# DATABASE_URL=postgresql://postgres:...@db.{world.new}.supabase.co:5432/postgres?a=b"
    assert written[7] == f"PORT=1 # was https://{world.new}.supabase.co"
    assert world.facts.startswith("passed")


async def test_a_key_in_a_document_is_named_and_never_replaced_by_a_new_one(world: EnvWorld) -> None:
    jwt = made_jwt(ref=world.old, role="anon")
    world.write("SETUP.md", f"use {jwt}\nor {world.old_key}\nor {world.old_url}\nat {world.old}\n")
    parts = {part.id: part for part in (await world.preview()).parts if part.group == "SETUP.md"}
    assert [REWRITE in part.options for part in parts.values()] == [False, False, False, True]
    await world.run(Reply(Answer.PROCEED, choices=dict.fromkeys(parts, REWRITE)))
    text = (world.root / "SETUP.md").read_text(encoding="utf-8")
    assert text == f"use {jwt}\nor {world.old_key}\nor {world.old_url}\nat {world.new}\n"
    assert "SETUP.md, lines 1, 2, 3: still speak of the old project: it holds a key or password" in world.facts


async def test_files_that_cannot_be_searched_are_said_to_be(world: EnvWorld) -> None:
    world.write("app.sqlite", b"SQLite\0" + world.old.encode())
    world.write("other.bin", b"\0\1\2")
    world.write("utf16.ps1", f"$ref = '{world.old}'".encode("utf-16"))
    world.write("big.json", b" " * 5_000_001 + world.old.encode())
    preview = await world.preview()
    said = "\n".join(action.text for action in preview.actions if isinstance(action, Remark))
    for name in ("app.sqlite: binary, or not UTF-8, and names", "utf16.ps1: binary", "big.json: not searched: 5 MB"):
        assert name in said
    assert "other.bin" not in said
    await world.run()
    assert "big.json: not searched: 5 MB" in world.facts


async def test_packages_nested_repositories_and_the_same_file_again_are_left_out(world: EnvWorld) -> None:
    env = f"URL=https://{world.old}.supabase.co\n"
    for name in ("node_modules/x/.env", "vendored/.env"):
        world.write(name, env, tracked=False)
    (world.root / "vendored" / ".git").write_text("gitdir: elsewhere", encoding="utf-8")
    (world.root / ".env.local").symlink_to(".env")
    (world.root / ".env.dangling").symlink_to("nowhere")
    preview = await world.preview()
    assert {part.group for part in preview.parts} == {".env"}
    assert ".env.dangling: it cannot be read" in str(preview.actions)


async def test_every_value_is_masked_and_can_be_looked_at_by_its_part(world: EnvWorld) -> None:
    preview = await world.step.preview(world.context())
    for secret in (world.old_key, "old-password", world.secrets.held["service key"].reveal(), "n%40w"):
        assert secret not in str(preview)
    assert shown(preview).count(f"service key of {world.new[:6]}…") == 1
    now, new = world.step.behind(".env:SERVICE_KEY")
    assert (now.reveal(), new.reveal()) == (world.old_key, world.secrets.held["service key"].reveal())


async def test_a_key_that_is_set_twice_or_put_together_is_said_to_be(world: EnvWorld) -> None:
    host = f"db.{world.old}.supabase.co"
    content = f"SUPABASE_URL=https://{world.old}.supabase.co\nSUPABASE_URL='x'\n"
    content += f"DATABASE_URL=postgresql://u:${{PW}}@{host}/x\nDIRECT_URL=postgresql://u:${{PW}}@{host}/y\n"
    world.write(".env", content, tracked=False)
    said = str((await world.preview()).actions)
    assert "SUPABASE_URL is set 2 times (lines 1, 2): each gets the new value." in said
    assert "DATABASE_URL is put together from other keys (line 3): its new value is written out." in said
    part = next(part for part in (await world.preview()).parts if part.id == ".env:DIRECT_URL")
    assert (part.options, part.choice) == ((LEAVE, DOCUMENT), DOCUMENT), "the plan does not name it"
    assert "contains $" in part.why
    await world.run()
    lines = (world.root / ".env").read_text(encoding="utf-8").splitlines()
    assert lines[1] == f"SUPABASE_URL='https://{world.new}.supabase.co'"
    assert lines[2].startswith(f"DATABASE_URL=postgresql://postgres:n%40w%2Fpass%20word@db.{world.new}.")
    assert lines[3] == f"DIRECT_URL=postgresql://u:${{PW}}@{host}/y"


async def test_lines_that_python_dotenv_skips_are_said_to_be_and_noted_where_they_name_the_old_project(
    world: EnvWorld,
) -> None:
    address = f"https://{world.old}.supabase.co"
    content = world.env(f'OTHER_URL: {address}\nB="one" two\nC="open {world.old}')
    world.write(".env", content, tracked=False)
    preview = await world.preview()
    assert ".env: python-dotenv cannot read line 6, 7, 8 and skips it; other readers may not." in str(preview.actions)
    noted = {part.id: part.options for part in preview.parts if "#" in part.id}
    assert noted == {".env#6": (LEAVE, DOCUMENT), ".env#8": (LEAVE, DOCUMENT)}
    await world.run()
    said = ".env, lines 6, 8: still speak of the old project: python-dotenv cannot read this line"
    assert said in world.facts
    assert (world.root / ".env").read_bytes().splitlines()[5:] == content.splitlines()[5:]


@pytest.mark.parametrize(
    ("encoding", "line", "why"),
    [
        ("utf-16", "SUPABASE_URL={}", ".env is written in UTF-16, which no reader of env files reads"),
        ("utf-8", "SUPABASE_URL: {}", ".env: line 1 sets SUPABASE_URL as only some readers read it"),
        ("utf-8", "supabase_url={}", ".env has no SUPABASE_URL, SERVICE_KEY, DATABASE_URL: nothing is added to it"),
    ],
)
async def test_a_file_with_none_of_the_plans_keys_does_not_count_as_pointed_at_the_target(
    world: EnvWorld, encoding: str, line: str, why: str
) -> None:
    content = line.format(f"https://{world.old}.supabase.co").encode(encoding)
    world.write(".env", content, tracked=False)
    preview = await world.preview()
    assert why in str(preview.actions)
    assert "points at the target already" not in str(preview.actions)
    assert (await world.run()).ending is Ending.DIFFERS
    assert world.facts.startswith("differs\n.env: there is none of the keys that the plan names")
    assert (world.root / ".env").read_bytes() == content


async def test_a_value_that_no_quoting_makes_safe_is_refused_with_the_reason_and_nothing_is_written(
    world: EnvWorld,
) -> None:
    world.secrets.held["service key"] = Secret("sb$x", kind="service key", project=world.new)
    outcome = await world.run()
    assert outcome.ending is Ending.FAILED
    assert "contains $, which Next.js and Vite expand" in str(outcome.error)
    assert (world.root / ".env").read_bytes() == world.env()


async def test_a_url_that_is_no_url_is_refused_with_its_file_and_key(world: EnvWorld) -> None:
    world.write(".env", b"DATABASE_URL=${OTHER}\n", tracked=False)
    outcome = await world.run()
    assert outcome.ending is Ending.FAILED
    assert ".env: DATABASE_URL: the value is not a Postgres URL" in str(outcome.error)
    assert (world.root / ".env").read_bytes() == b"DATABASE_URL=${OTHER}\n"


async def test_a_file_that_was_deleted_since_comes_back_only_where_the_operator_says_so(world: EnvWorld) -> None:
    await world.run()
    path = world.root / ".env"
    path.unlink()
    preview = await world.step.preview_revert(world.context())
    part = preview.parts[0]
    assert part.id in {
        line.part for action in preview.actions if isinstance(action, FileChange) for line in action.lines
    }
    runner = Runner(steps=[world.step], context=world.context(), journal=world.journal)
    assert (await Rollback.of(runner).run()).ending is Ending.DIFFERS
    assert not path.exists()
    world.operator.replies = [Reply(Answer.PROCEED, choices={part.id: part.options[1]})]
    assert (await Rollback.of(runner).run()).ending is Ending.FINISHED
    assert path.read_bytes() == world.env()


async def test_another_value_in_the_place_of_an_encryption_key_is_told_and_is_never_what_counts(
    world: EnvWorld,
) -> None:
    app = msgspec.structs.replace(world.plan.apps["app"], encryption=Encryption(keys=("ENCRYPTION_KEY",)))
    plan = msgspec.structs.replace(world.plan, apps={"app": app})
    context = replace(world.context(), plan=plan)
    note, kept = (step(plan, plan.phases[0]) for step in (NoteKeys, KeysKept))
    world.write(".env", world.env())
    await note.apply(context)
    assert (await kept.verify(context)).verdict is Verdict.PASSED
    world.write(".env", world.env().replace(b"k$x", b"k$y"))
    await note.apply(context)
    found = await kept.verify(context)
    assert (found.verdict, found.facts) == (Verdict.DIFFERS, (".env: ENCRYPTION_KEY changed",))
