"""What the operator or the app changed since: named and left alone, or carried back; never guessed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import pytest_asyncio

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.phases.access import connected
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.steps import FileChange, Remark
from tekup_migrate.walk import Ending
from tests.rollback.conftest import Stage
from tests.rollback.pictures import differences, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST = "prepare.branch.desk"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(stage: Stage) -> Stage:
    """The stage behind its backups, which change nothing outside: every test comes back to here, not to the start."""
    steps = [step.id for step in stage.sitting.runner.steps]
    await stage.forward(steps[steps.index(FIRST) - 1])
    return stage


async def execute(stage: Stage, project: str, sql: str) -> None:
    async with connected(stage.sitting.context, project) as connection:
        await connection.execute(sql)


async def value(stage: Stage, project: str, sql: str) -> object:
    async with connected(stage.sitting.context, project) as connection:
        return await connection.fetchval(sql)


async def refused(stage: Stage, step: str, *words: str) -> None:
    """See the roll back stop at a step with an error that names what differs, and touch nothing of it."""
    seen = await picture(stage.sitting)
    outcome = await stage.back(step)
    assert (outcome.ending, outcome.step) == (Ending.FAILED, step)
    assert isinstance(outcome.error, WorldChangedError)
    assert all(word in str(outcome.error) for word in words), str(outcome.error)
    assert differences(seen, await picture(stage.sitting)) == []


async def taken_back(stage: Stage) -> None:
    """Take all of it back and see the world as it was."""
    outcome = await stage.back(FIRST)
    assert outcome.ending is Ending.FINISHED, outcome.error
    assert differences(stage.before, await picture(stage.sitting)) == []


async def edited(stage: Stage) -> tuple[Path, bytes]:
    """Go on to the rewritten env file, edit it by hand, and return it with what it holds then."""
    await stage.forward("desk.env")
    path = stage.directory / ".env.production"
    path.write_bytes(path.read_bytes() + b"ADDED_BY_HAND=hush-hush\n")
    return path, path.read_bytes()


async def test_an_env_file_edited_by_hand_stays_so_unless_the_operator_chooses_otherwise(stage: Stage) -> None:
    path, now = await edited(stage)
    outcome = await stage.back("desk.env")
    assert (outcome.ending, outcome.step) == (Ending.DIFFERS, "desk.env")
    assert path.read_bytes() == now
    previews = [preview for step, preview in stage.operator.previews if step == "desk.env"]
    changes = [action for action in previews[-1].actions if isinstance(action, FileChange)]
    assert len(changes) == 2, "from before to ours, and from ours to now"
    assert "ADDED_BY_HAND" in str(changes[1])
    path.write_bytes(now.removesuffix(b"ADDED_BY_HAND=hush-hush\n"))
    await taken_back(stage)


async def test_only_what_was_rewritten_is_put_back_where_the_operator_says_so(stage: Stage) -> None:
    path, now = await edited(stage)
    stage.operator.replies = [Reply(Answer.PROCEED, choices={f"undo {path}": "put back only what was rewritten"})]
    assert (await stage.back("desk.env")).ending is Ending.FINISHED
    assert path.read_bytes() == path.read_bytes().removesuffix(b"ADDED_BY_HAND=hush-hush\n") + now[-24:]
    path.write_bytes(path.read_bytes().removesuffix(b"ADDED_BY_HAND=hush-hush\n"))
    await taken_back(stage)


@pytest.mark.long
async def test_the_former_bytes_come_back_over_an_edit_where_the_operator_says_so(stage: Stage) -> None:
    path, _ = await edited(stage)
    stage.operator.replies = [Reply(Answer.PROCEED, choices={f"undo {path}": "put the former bytes back"})]
    assert (await stage.back("desk.env")).ending is Ending.FINISHED
    assert b"ADDED_BY_HAND" not in path.read_bytes()
    await taken_back(stage)


async def test_a_created_table_changed_by_hand_is_named(stage: Stage) -> None:
    await stage.forward("desk.create")
    await execute(stage, "main", "ALTER TABLE public.branch_loans ADD COLUMN by_hand text")
    await refused(stage, "desk.create", "branch_loans", "changed")
    await execute(stage, "main", "ALTER TABLE public.branch_loans DROP COLUMN by_hand")
    await taken_back(stage)


@pytest.mark.long
async def test_a_created_table_renamed_by_hand_is_said_to_be_gone_and_stays(stage: Stage) -> None:
    await stage.forward("desk.create")
    await execute(stage, "main", "ALTER TABLE public.branch_loans RENAME TO mine")
    await execute(stage, "main", "ALTER SEQUENCE IF EXISTS public.branch_loans_id_seq RENAME TO mine_id_seq")
    stage.operator.replies = [Reply(Answer.DECLINE)]
    assert (await stage.back("desk.create")).ending is Ending.DECLINED
    step, preview = stage.operator.previews[-1]
    assert step == "desk.create"
    gone = [action.text for action in preview.actions if isinstance(action, Remark) and action.warning]
    assert any("branch_loans is not there any more" in text for text in gone), gone
    await execute(stage, "main", "ALTER TABLE public.mine RENAME TO branch_loans")
    await execute(stage, "main", "ALTER SEQUENCE IF EXISTS public.mine_id_seq RENAME TO branch_loans_id_seq")
    await taken_back(stage)
    again = [action.text for action in stage.operator.previews[-1][1].actions if isinstance(action, Remark)]
    assert not any("not there any more" in text for text in again)


async def test_what_came_to_depend_on_a_created_table_is_named(stage: Stage) -> None:
    await stage.forward("desk.create")
    await execute(stage, "main", "CREATE INDEX by_hand ON public.branch_loans (reader)")
    await refused(stage, "desk.create", "by_hand")
    await execute(stage, "main", "DROP INDEX public.by_hand")
    await taken_back(stage)


async def test_a_readme_edited_by_hand_is_named_with_the_lines(stage: Stage) -> None:
    await stage.forward("wrap_up.readme.desk")
    path = stage.directory / "README.md"
    written = path.read_bytes()
    path.write_bytes(written + "Håndskrevet.\n".encode())
    await refused(stage, "wrap_up.readme.desk", "README.md", "Håndskrevet.")
    path.write_bytes(written)
    await taken_back(stage)


async def test_a_repository_switched_by_hand_to_another_branch_is_left_there(stage: Stage) -> None:
    await stage.forward("prepare.branch.desk")
    git(stage, "switch", "--quiet", "-c", "mine")
    await refused(stage, "prepare.branch.desk", "mine", "move/one-database")
    git(stage, "switch", "--quiet", "move/one-database")
    git(stage, "branch", "-D", "mine")
    await taken_back(stage)


async def test_a_pushed_branch_that_somebody_pushed_to_is_taken_back_by_a_revert_commit(stage: Stage) -> None:
    await stage.forward()
    (stage.directory / "later.txt").write_text("a colleague's\n", encoding="utf-8")
    git(stage, "add", "later.txt")
    git(stage, "commit", "--quiet", "-m", "later", "--", "later.txt")
    git(stage, "push", "--quiet")
    assert (await stage.back(FIRST)).ending is Ending.FINISHED
    subjects = git(stage, "log", "--format=%s", "-3", "origin/move/one-database").splitlines()
    assert subjects[0].startswith('Revert "docs: the database moved')
    assert subjects[1] == "later"
    readme = git(stage, "show", "origin/move/one-database:README.md")
    assert readme == git(stage, "show", "main:README.md")
    after = await picture(stage.sitting)
    changed = {name for name in after if after[name] != stage.before.get(name)}
    assert changed == {"desk refs", "desk remote refs"}
    git(stage, "push", "--quiet", "origin", ":move/one-database")
    git(stage, "branch", "-D", "move/one-database")
    for ref in git(stage, "for-each-ref", "--format=%(refname)", "refs/tekup").splitlines():
        git(stage, "update-ref", "-d", ref)
    assert differences(stage.before, await picture(stage.sitting)) == []


def git(stage: Stage, *arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], cwd=stage.directory, capture_output=True, check=True)
    return finished.stdout.decode()


NEW_ROW = "INSERT INTO public.branch_loans (book, reader) VALUES (1, 'since the cut-over')"
COUNT = "SELECT count(*) FROM public.{} WHERE reader = 'since the cut-over'"


@pytest.mark.long
async def test_rows_written_since_the_cut_over_stop_a_roll_back_that_nobody_answers(stage: Stage) -> None:
    await stage.forward("desk.env")
    await execute(stage, "main", NEW_ROW)
    seen = await picture(stage.sitting)
    outcome = await stage.back("desk.env")
    assert (outcome.ending, outcome.step) == (Ending.DECLINED, "desk.env")
    assert differences(seen, await picture(stage.sitting)) == []
    await execute(stage, "main", "DELETE FROM public.branch_loans WHERE reader = 'since the cut-over'")
    await taken_back(stage)


async def test_rows_written_since_are_counted_and_carried_back_before_the_env_files_go_back(stage: Stage) -> None:
    await stage.forward("desk.env")
    await execute(stage, "main", NEW_ROW)
    stage.operator.choices.append("target")
    assert (await stage.back("desk.env")).ending is Ending.FINISHED
    assert await value(stage, "old", COUNT.format("loans")) == 1
    asked = [each for each in stage.operator.asked if "written to since" in each]
    assert asked[-1] == "choose branch_loans was written to since the cut-over"
    env = (stage.directory / ".env.production").read_bytes()
    assert stage.sitting.plan.target.address.encode() not in env
    assert (await stage.back(FIRST)).ending is Ending.FINISHED
    await execute(stage, "old", "DELETE FROM public.loans WHERE reader = 'since the cut-over'")
    after = await picture(stage.sitting)
    changed = {name for name in after if after[name] != stage.before.get(name)}
    assert changed <= {"old rows of loans_id_seq"}, differences(stage.before, after)
    stage.before = after


async def test_rows_left_behind_must_be_named_before_their_table_is_emptied(stage: Stage) -> None:
    await stage.forward("desk.env")
    await execute(stage, "main", NEW_ROW)
    stage.operator.choices.append("leave")
    assert (await stage.back("desk.env")).ending is Ending.FINISHED
    copy = next(step for step in stage.sitting.runner.steps if step.id == "desk.copy")
    preview = await copy.preview_revert(stage.sitting.context)
    assert preview.typed_name == "Main library"
    assert preview.destroys[0].startswith("branch_loans: 1 rows that the source does not have")
    await taken_back(stage)
