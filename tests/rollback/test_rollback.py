"""The walk backwards: what is asked, journaled, passed over, resumed and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tekup_migrate.errors import MigrationError, WorldChangedError
from tekup_migrate.events import Event, StepChanged, StepFailed, StepState
from tekup_migrate.journal import Journal, State
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.rollback import Rollback
from tekup_migrate.runner import Runner
from tekup_migrate.steps import Context, Danger, Evidence, Preview, Step, Undo, Verdict
from tekup_migrate.walk import Ending
from tests.scripted import FileStep, ScriptedOperator, make_context


class BackStep(FileStep):
    """A file step that can be taken back: its file goes; an edited file is left alone."""

    undo_danger = Danger.DESTRUCTIVE

    async def preview_revert(self, context: Context) -> Preview:
        if self.path.exists() and self.path.read_text(encoding="utf-8") != self.id:
            raise WorldChangedError("edited", happened="edited", unchanged="the file", remedy="look")
        world = str(self.path.exists())
        return Preview(title="Delete", target=str(self.path), verb="Delete", undo="again", world=(world,))

    async def revert(self, context: Context) -> None:
        self.path.unlink(missing_ok=True)
        self.before_apply(context)

    async def verify_reverted(self, context: Context) -> Evidence:
        gone = not self.path.exists()
        return Evidence(verdict=Verdict.PASSED if gone else Verdict.DIFFERS, summary="gone" if gone else "there")

    def forget(self, context: Context) -> None:
        context.memory.forget(self.id)


class LastingStep(BackStep):
    """A step that cannot be taken back, only restored."""

    undo = Undo.RESTORABLE
    undo_note = "From the backup /b, with pg_restore."


class RestoreStep(FileStep):
    """Restores what a lasting step overwrote: its file, as the backup held it."""

    danger = Danger.DESTRUCTIVE

    def __init__(self, step: RestorableStep) -> None:
        super().__init__(step.path, danger=Danger.DESTRUCTIVE, name="c", phase="restore")
        self.step = step

    async def apply(self, context: Context) -> None:
        self.path.write_text(self.step.restored_to, encoding="utf-8")

    async def verify(self, context: Context) -> Evidence:
        holds = self.path.read_text(encoding="utf-8") == self.step.id
        return Evidence(verdict=Verdict.PASSED if holds else Verdict.DIFFERS, summary="as in the backup")


class RestorableStep(LastingStep):
    """A lasting step whose backup can be restored."""

    restored_to = "two.c"

    async def last_resort(self, context: Context) -> Step:
        return RestoreStep(self)

    async def left_behind(self, context: Context) -> tuple[str, ...]:
        return ("rows that only a backup brings back",)


class LookStep(BackStep):
    """A step that only looks, and remembers that it did."""

    undo = Undo.NOTHING

    async def apply(self, context: Context) -> None:
        context.memory.remember(self.id, b"looked")

    async def verify(self, context: Context) -> Evidence:
        return Evidence(verdict=Verdict.PASSED, summary="seen")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.sqlite3")


class Play:
    """A run of some steps that was carried out, and its roll back."""

    def __init__(self, tmp_path: Path, journal: Journal, *steps: Step) -> None:
        self.operator = ScriptedOperator()
        self.events: list[Event] = []
        self.journal = journal
        self.context = make_context(tmp_path, journal, operator=self.operator, events=self.events)
        self.runner = Runner(steps=steps, context=self.context, journal=journal)
        self.rollback = Rollback.of(self.runner)

    async def forward(self) -> None:
        assert (await self.runner.run()).ending is Ending.FINISHED
        self.operator.asked.clear()

    def states(self, step: Step) -> list[State]:
        return [entry.state for entry in self.journal.entries(self.context.run) if entry.step == step.id]


@pytest.fixture
def three(tmp_path: Path) -> tuple[BackStep, BackStep, BackStep]:
    return (
        BackStep(tmp_path / "a", name="a", phase="one"),
        BackStep(tmp_path / "b", name="b", phase="one"),
        BackStep(tmp_path / "c", name="c", phase="two"),
    )


Three = tuple[BackStep, BackStep, BackStep]


async def test_steps_are_taken_back_last_first_each_confirmed_on_its_own_rung_and_on_disk_before_the_next(
    tmp_path: Path, journal: Journal, three: Three
) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    outline = play.rollback.outline()
    assert [line.id for line in outline] == ["two.c", "one.b", "one.a"]
    assert {line.danger for line in outline} == {"destructive"}
    assert (await play.rollback.run()).ending is Ending.FINISHED
    assert play.operator.asked == ["confirm two.c", "confirm one.b", "confirm one.a"]
    written = [(e.step, e.state) for e in journal.entries(play.context.run)][-6:]
    assert written == [(s.id, state) for s in reversed(three) for state in (State.REVERTING, State.REVERTED)]
    assert not any(step.path.exists() for step in three)
    run = journal.latest_run()
    assert run is not None
    assert not run.finished


@pytest.mark.parametrize(("to", "left"), [("two.c", "ab"), ("two", "ab"), ("one.b", "a"), ("one", "")])
async def test_a_roll_back_ends_behind_the_step_or_phase_it_was_asked_for(
    tmp_path: Path, journal: Journal, three: Three, to: str, left: str
) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    await play.rollback.run(to)
    assert "".join(step.path.name for step in three if step.path.exists()) == left


async def test_an_unknown_step_is_an_error_and_nothing_is_taken_back(
    tmp_path: Path, journal: Journal, three: Three
) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    with pytest.raises(MigrationError, match="no step or phase"):
        await play.rollback.run("three")
    assert all(step.path.exists() for step in three)


async def test_after_a_roll_back_the_run_goes_forward_again_and_asks_again(
    tmp_path: Path, journal: Journal, three: Three
) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    await play.rollback.run("one.b")
    play.operator.asked.clear()
    await play.runner.run()
    assert play.operator.asked == ["confirm one.b", "confirm two.c"]
    assert all(step.path.exists() for step in three)


async def test_a_step_that_only_looked_is_passed_over_and_looks_anew_next_time(
    tmp_path: Path, journal: Journal
) -> None:
    look = LookStep(tmp_path / "a", danger=Danger.SAFE)
    play = Play(tmp_path, journal, look)
    await play.forward()
    await play.rollback.run()
    assert play.operator.asked == []
    assert play.context.memory.recall(look.id) is None
    assert play.runner.status()[0].state is StepState.REVERTED


@pytest.mark.parametrize("choice", ["stop", "leave"])
async def test_what_cannot_be_taken_back_is_named_and_left_or_ends_it(
    tmp_path: Path, journal: Journal, three: Three, choice: str
) -> None:
    lasting = LastingStep(tmp_path / "c", name="c", phase="two")
    play = Play(tmp_path, journal, *three[:2], lasting)
    await play.forward()
    play.operator.choices.append(choice)
    outcome = await play.rollback.run()
    leaves = choice == "leave"
    assert outcome.ending is (Ending.FINISHED if leaves else Ending.DECLINED)
    assert outcome.left == (("two.c",) if leaves else ())
    assert play.operator.asked[0] == "choose “Write c” cannot be taken back"
    assert lasting.path.exists()
    assert three[0].path.exists() is not leaves
    assert play.runner.status()[2].state is StepState.DONE


@pytest.mark.parametrize(("answer", "ending"), [(Answer.DECLINE, Ending.DECLINED), (Answer.SKIP, Ending.FINISHED)])
async def test_a_declined_roll_back_stops_and_a_skipped_one_goes_on_and_both_touch_nothing_of_that_step(
    tmp_path: Path, journal: Journal, three: Three, answer: Answer, ending: Ending
) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    play.operator.replies.append(Reply(answer, "keep it"))
    outcome = await play.rollback.run()
    assert outcome.ending is ending
    assert three[2].path.exists()
    assert three[1].path.exists() is (answer is Answer.DECLINE)
    assert State.REVERTING not in play.states(three[2])


async def test_a_hand_edited_world_is_said_and_not_touched(tmp_path: Path, journal: Journal, three: Three) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    three[2].path.write_text("mine", encoding="utf-8")
    outcome = await play.rollback.run()
    assert outcome.ending is Ending.FAILED
    assert isinstance(outcome.error, WorldChangedError)
    assert three[2].path.read_text(encoding="utf-8") == "mine"
    assert three[1].path.exists()
    assert play.runner.status()[2].state is StepState.DONE
    assert any(isinstance(event, StepFailed) for event in play.events)


async def test_a_kill_in_the_middle_is_resumed_by_looking_and_goes_on_with_the_rest(
    tmp_path: Path, journal: Journal, three: Three
) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()

    def killed(context: Context) -> None:
        raise KeyboardInterrupt

    three[1].before_apply = killed
    with pytest.raises(KeyboardInterrupt):
        await play.rollback.run()
    assert play.states(three[2])[-1] is State.REVERTED
    assert play.states(three[1])[-1] is State.REVERTING
    three[1].before_apply = lambda context: None
    again = Play(tmp_path, journal, *three)
    assert [line.id for line in again.rollback.outline()] == ["one.b", "one.a"]
    assert (await again.rollback.run()).ending is Ending.FINISHED
    assert not any(step.path.exists() for step in three)


async def test_a_killed_roll_back_can_also_go_forward_again(tmp_path: Path, journal: Journal, three: Three) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()

    def killed(context: Context) -> None:
        raise KeyboardInterrupt

    three[2].before_apply = killed
    with pytest.raises(KeyboardInterrupt):
        await play.rollback.run()
    three[2].before_apply = lambda context: None
    await play.forward()
    assert all(step.path.exists() for step in three)


async def test_what_still_stands_after_it_was_taken_back_is_not_called_reverted(
    tmp_path: Path, journal: Journal, three: Three
) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    three[2].before_apply = lambda context: three[2].path.touch()
    outcome = await play.rollback.run()
    assert (outcome.ending, outcome.step) == (Ending.DIFFERS, "two.c")
    assert State.REVERTED not in play.states(three[2])


async def test_a_pause_ends_between_two_steps(tmp_path: Path, journal: Journal, three: Three) -> None:
    play = Play(tmp_path, journal, *three)
    await play.forward()
    three[2].before_apply = lambda context: play.rollback.pause()
    outcome = await play.rollback.run()
    assert (outcome.ending, outcome.step) == (Ending.PAUSED, "one.b")
    reverted = [e.step for e in play.events if isinstance(e, StepChanged) and e.state is StepState.REVERTED]
    assert reverted == ["two.c"]


async def test_what_is_only_restorable_is_restored_first_where_the_operator_wants_it(
    tmp_path: Path, journal: Journal, three: Three
) -> None:
    lasting = RestorableStep(tmp_path / "c", name="c", phase="two")
    play = Play(tmp_path, journal, *three[:2], lasting)
    await play.forward()
    play.operator.choices.append("restore")
    outcome = await play.rollback.run()
    assert (outcome.ending, outcome.left) == (Ending.FINISHED, ())
    assert play.operator.asked[:3] == ["choose “Write c” cannot be taken back", "confirm restore.c", "confirm two.c"]
    assert not any(step.path.exists() for step in (three[0], three[1], lasting))
    restored = [entry.state for entry in journal.entries(play.context.run) if entry.step == "restore.c"]
    assert restored == [State.INTENDED, State.APPLIED, State.VERIFIED]


async def test_a_restore_that_did_not_bring_everything_back_takes_no_step_back(
    tmp_path: Path, journal: Journal, three: Three
) -> None:
    lasting = RestorableStep(tmp_path / "c", name="c", phase="two")
    play = Play(tmp_path, journal, *three[:2], lasting)
    await play.forward()
    lasting.restored_to = "not what the backup held"
    play.operator.choices.append("restore")
    outcome = await play.rollback.run()
    assert outcome.ending is Ending.FAILED
    assert outcome.error is not None
    assert "did not bring everything back" in outcome.error.title
    assert all(step.path.exists() for step in (three[0], three[1], lasting))
