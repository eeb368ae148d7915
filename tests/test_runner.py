"""The runner: confirms by danger, verifies before it goes on, pauses, resumes, and asks when the world moved."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Event, StepChanged, StepFailed, StepState
from tekup_migrate.journal import Journal, State
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.runner import Runner
from tekup_migrate.steps import Context, Danger, Evidence, Step, Undo, Verdict
from tekup_migrate.walk import Ending
from tests.scripted import FileStep, ScriptedOperator, make_context


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.sqlite3")


def runner_of(
    tmp_path: Path, journal: Journal, *steps: Step, operator: ScriptedOperator | None = None
) -> tuple[Runner, list[Event]]:
    events: list[Event] = []
    context = make_context(tmp_path, journal, operator=operator, events=events)
    return Runner(steps=steps, context=context, journal=journal), events


def states(journal: Journal, step: str) -> list[State]:
    run = journal.latest_run()
    assert run is not None
    return [entry.state for entry in journal.entries(run.id) if entry.step == step]


async def test_a_step_is_intended_applied_and_verified_in_that_order(tmp_path: Path, journal: Journal) -> None:
    step = FileStep(tmp_path / "a")
    runner, events = runner_of(tmp_path, journal, step)
    outcome = await runner.run()
    assert outcome.ending is Ending.FINISHED
    assert states(journal, step.id) == [State.INTENDED, State.APPLIED, State.VERIFIED]
    shown = [event.state for event in events if isinstance(event, StepChanged)]
    assert shown[-3:] == [StepState.APPLYING, StepState.VERIFYING, StepState.DONE]


@pytest.mark.parametrize(("danger", "asked"), [(Danger.SAFE, 0), (Danger.CAREFUL, 1), (Danger.DESTRUCTIVE, 1)])
async def test_only_safe_steps_run_without_a_confirmation(
    tmp_path: Path, journal: Journal, danger: Danger, asked: int
) -> None:
    operator = ScriptedOperator()
    runner, _ = runner_of(tmp_path, journal, FileStep(tmp_path / "a", danger=danger), operator=operator)
    await runner.run()
    assert len(operator.asked) == asked


async def test_a_declined_step_changes_nothing_and_is_asked_again_next_time(tmp_path: Path, journal: Journal) -> None:
    step = FileStep(tmp_path / "a")
    operator = ScriptedOperator(replies=[Reply(Answer.DECLINE)])
    runner, _ = runner_of(tmp_path, journal, step, operator=operator)
    assert (await runner.run()).ending is Ending.DECLINED
    assert not step.path.exists()
    assert states(journal, step.id) == []
    assert (await runner.run()).ending is Ending.FINISHED


async def test_a_skipped_step_keeps_its_reason_and_is_not_applied(tmp_path: Path, journal: Journal) -> None:
    step = FileStep(tmp_path / "a")
    operator = ScriptedOperator(replies=[Reply(Answer.SKIP, "done by hand, hunter2")])
    runner, _ = runner_of(tmp_path, journal, step, operator=operator)
    assert (await runner.run()).ending is Ending.FINISHED
    assert step.applied == 0
    reason = runner.status()[0].reason
    assert reason.startswith("done by hand, ‹password")
    assert "hunter2" not in reason


async def test_a_world_that_changed_during_the_confirmation_is_previewed_and_confirmed_again(
    tmp_path: Path, journal: Journal
) -> None:
    step = FileStep(tmp_path / "a")
    changes = iter(["edited meanwhile"])
    operator = ScriptedOperator(before_reply=lambda: [step.path.write_text(text) for text in changes])
    runner, _ = runner_of(tmp_path, journal, step, operator=operator)
    assert (await runner.run()).ending is Ending.FINISHED
    assert operator.asked == ["confirm one.write", "confirm one.write"]


async def test_a_world_that_never_stands_still_is_refused_and_nothing_is_applied(
    tmp_path: Path, journal: Journal
) -> None:
    step = FileStep(tmp_path / "a")
    count = iter(range(100))
    operator = ScriptedOperator(before_reply=lambda: step.path.write_text(str(next(count))))
    runner, _ = runner_of(tmp_path, journal, step, operator=operator)
    outcome = await runner.run()
    assert outcome.ending is Ending.FAILED
    assert step.applied == 0


async def test_after_a_kill_the_world_is_looked_at_before_anything_is_applied(tmp_path: Path, journal: Journal) -> None:
    step = FileStep(tmp_path / "a")
    operator = ScriptedOperator()
    runner, _ = runner_of(tmp_path, journal, step, operator=operator)

    def killed(context: Context) -> None:
        step.path.write_text(step.id, encoding="utf-8")
        raise KeyboardInterrupt

    step.before_apply = killed
    with pytest.raises(KeyboardInterrupt):
        await runner.run()
    assert states(journal, step.id) == [State.INTENDED]
    runner, _ = runner_of(tmp_path, journal, step, operator=operator)
    assert (await runner.run()).ending is Ending.FINISHED
    assert step.applied == 1
    assert len(operator.asked) == 1


async def test_an_unfinished_step_is_not_confirmed_twice_when_its_world_is_as_it_was(
    tmp_path: Path, journal: Journal
) -> None:
    step = FileStep(tmp_path / "a")
    operator = ScriptedOperator()
    runner, _ = runner_of(tmp_path, journal, step, operator=operator)

    def killed(context: Context) -> None:
        raise KeyboardInterrupt

    step.before_apply = killed
    with pytest.raises(KeyboardInterrupt):
        await runner.run()
    step.before_apply = lambda context: None
    assert (await runner.run()).ending is Ending.FINISHED
    assert len(operator.asked) == 1


async def test_a_pause_ends_at_the_next_edge_and_the_run_goes_on_from_there(tmp_path: Path, journal: Journal) -> None:
    first, second = FileStep(tmp_path / "a", name="first"), FileStep(tmp_path / "b", name="second")
    runner, events = runner_of(tmp_path, journal, first, second)
    first.before_apply = lambda context: runner.pause()
    outcome = await runner.run()
    assert (outcome.ending, outcome.step) == (Ending.PAUSED, second.id)
    assert first.path.exists()
    assert not second.path.exists()
    assert (await runner.run()).ending is Ending.FINISHED
    assert first.applied == 1
    assert any(isinstance(e, StepChanged) and e.state is StepState.PAUSED for e in events)


async def test_work_without_edges_is_cancelled_by_a_pause_within_two_seconds(tmp_path: Path, journal: Journal) -> None:
    gone = asyncio.Event()

    class Long(FileStep):
        async def apply(self, context: Context) -> None:
            try:
                await context.gate.guard(asyncio.sleep(60))
            finally:
                gone.set()

    runner, _ = runner_of(tmp_path, journal, Long(tmp_path / "a"))
    running = asyncio.create_task(runner.run())
    await asyncio.sleep(0.05)
    runner.pause()
    outcome = await asyncio.wait_for(running, 2)
    assert outcome.ending is Ending.PAUSED
    assert gone.is_set()


@pytest.mark.parametrize(
    ("choice", "ending", "done"), [("stop", Ending.DIFFERS, False), ("accept", Ending.FINISHED, True)]
)
async def test_evidence_that_is_not_good_is_decided_by_the_operator(
    tmp_path: Path, journal: Journal, choice: str, ending: Ending, done: bool
) -> None:
    class Wrong(FileStep):
        async def verify(self, context: Context) -> Evidence:
            return Evidence(verdict=Verdict.DIFFERS, summary="2 rows differ")

    runner, _ = runner_of(tmp_path, journal, Wrong(tmp_path / "a"), operator=ScriptedOperator(choices=[choice]))
    assert (await runner.run()).ending is ending
    status = runner.status()[0]
    assert (status.state is StepState.DONE) is done
    assert status.verdict == "differs"


async def test_a_step_tried_again_after_differing_can_pass(tmp_path: Path, journal: Journal) -> None:
    verdicts = [Verdict.UNVERIFIED, Verdict.PASSED]

    class Flaky(FileStep):
        async def verify(self, context: Context) -> Evidence:
            return Evidence(verdict=verdicts.pop(0), summary="")

    step = Flaky(tmp_path / "a")
    runner, _ = runner_of(tmp_path, journal, step, operator=ScriptedOperator(choices=["again"]))
    assert (await runner.run()).ending is Ending.FINISHED
    assert step.applied == 2


async def test_an_error_is_journaled_redacted_and_the_step_can_be_run_again(tmp_path: Path, journal: Journal) -> None:
    step = FileStep(tmp_path / "a")

    def fail(context: Context) -> None:
        raise MigrationError("hunter2 was refused", happened="hunter2", unchanged="-", remedy="-", details="hunter2")

    step.before_apply = fail
    runner, events = runner_of(tmp_path, journal, step)
    outcome = await runner.run()
    assert outcome.ending is Ending.FAILED
    failed = [event for event in events if isinstance(event, StepFailed)]
    assert "hunter2" not in str(failed[0].error) + runner.status()[0].reason
    assert runner.status()[0].state is StepState.FAILED
    step.before_apply = lambda context: None
    assert (await runner.run()).ending is Ending.FINISHED


async def test_a_run_stops_behind_the_phase_it_was_asked_for(tmp_path: Path, journal: Journal) -> None:
    one, two = FileStep(tmp_path / "a", phase="one"), FileStep(tmp_path / "b", phase="two")
    runner, _ = runner_of(tmp_path, journal, one, two)
    await runner.run(until="one")
    assert one.path.exists()
    assert not two.path.exists()
    run = journal.latest_run()
    assert run is not None
    assert not run.finished


class Looking(FileStep):
    """A step that only looks."""

    undo = Undo.NOTHING


async def test_what_no_longer_holds_is_carried_out_again_and_what_was_looked_at_after_it_too(
    tmp_path: Path, journal: Journal
) -> None:
    first, second = FileStep(tmp_path / "a", name="a"), FileStep(tmp_path / "c", name="c")
    before, after = Looking(tmp_path / "b", name="b"), Looking(tmp_path / "d", name="d")
    runner, _ = runner_of(tmp_path, journal, first, before, second, after)
    await runner.run()
    assert await runner.look_again("restored") == ()
    second.path.unlink()
    assert await runner.look_again("a backup was restored") == ("one.c", "one.d")
    run = journal.latest_run()
    assert run is not None
    assert not run.finished
    assert journal.latest(run.id)["one.c"].reason == "a backup was restored"
    assert (await runner.run()).ending is Ending.FINISHED
    assert [step.applied for step in (first, before, second, after)] == [1, 1, 2, 1]


async def test_a_step_outside_of_the_plan_is_journaled_and_neither_ends_nor_moves_the_run(
    tmp_path: Path, journal: Journal
) -> None:
    runner, _ = runner_of(tmp_path, journal, FileStep(tmp_path / "a"))
    extra = FileStep(tmp_path / "extra", name="extra", phase="restore")
    assert (await runner.carry_out(extra)).ending is Ending.FINISHED
    assert states(journal, extra.id) == [State.INTENDED, State.APPLIED, State.VERIFIED]
    run = journal.latest_run()
    assert run is not None
    assert not run.finished
    assert runner.status()[0].state is StepState.WAITING
    operator = ScriptedOperator(replies=[Reply(Answer.SKIP, "rather not")])
    again, _ = runner_of(tmp_path, journal, FileStep(tmp_path / "a"), operator=operator)
    other = FileStep(tmp_path / "other", name="other", phase="restore")
    assert (await again.carry_out(other)).ending is Ending.DECLINED
    assert not other.path.exists()
