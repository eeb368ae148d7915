"""The board: what events make of the run as it is shown."""

from __future__ import annotations

from screens.board import MOST_LINES, Board
from screens.meter import Meter
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import (
    ChunkChanged,
    ChunkState,
    OutputLine,
    Progress,
    Ran,
    StepChanged,
    StepFailed,
    StepState,
    TableStarted,
)
from tekup_migrate.runner import statuses
from tests.screens.scenery import PLAN, ScriptedStep


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def a_board(clock: Clock | None = None) -> Board:
    board = Board(PLAN, now=clock or Clock())
    steps = [ScriptedStep("look"), ScriptedStep("copy", phase="notes"), ScriptedStep("alone", phase="testing")]
    board.put(statuses(steps, {}), {"setup": 60.0})
    return board


def test_the_log_is_bounded_and_hands_out_only_what_is_new() -> None:
    board = a_board()
    for number in range(MOST_LINES + 5):
        board.take(OutputLine(f"line {number}"))
    assert board.total_lines == MOST_LINES + 5
    assert len(board.lines_after(0)) == MOST_LINES
    assert board.lines_after(board.total_lines - 1) == [f"   | line {MOST_LINES + 4}"]
    assert board.lines_after(board.total_lines) == []


def test_what_ran_is_kept_line_by_line_without_control_characters() -> None:
    board = a_board()
    board.take(Ran(kind="sql", text="SELECT 1\n  FROM \x1b[31m[/]\x07", where="old"))
    assert board.lines_after(0) == ["sql  SELECT 1   — old", "       FROM [/]"]


def test_a_step_with_an_open_question_asks_and_then_runs_on() -> None:
    board = a_board()
    seen: list[StepState] = []
    board.take(StepChanged(step="setup.look", state=StepState.APPLYING))
    with board.asking():
        seen.append(board.steps["setup.look"].state)
    seen.append(board.steps["setup.look"].state)
    with board.asking():
        board.take(StepChanged(step="setup.look", state=StepState.PAUSED))
    seen.append(board.steps["setup.look"].state)
    assert seen == [StepState.CONFIRMING, StepState.APPLYING, StepState.PAUSED]


def test_seconds_of_a_phase_grow_only_while_a_step_of_it_is_carried_out() -> None:
    clock = Clock()
    board = a_board(clock)
    board.take(StepChanged(step="setup.look", state=StepState.PREVIEWING))
    clock.seconds += 5
    assert board.seconds_of("setup") == 65.0
    assert board.seconds_of("notes") == 0.0
    board.take(StepChanged(step="setup.look", state=StepState.APPLYING))
    clock.seconds += 5
    assert board.seconds_of("setup") == 70.0
    board.take(StepChanged(step="setup.look", state=StepState.DONE, verdict="passed"))
    clock.seconds += 500
    assert board.live_seconds == 0.0


def test_the_present_phase_is_the_running_steps_else_the_first_with_something_left() -> None:
    board = a_board()
    assert board.phase.id == "setup"
    board.take(StepChanged(step="testing.alone", state=StepState.APPLYING))
    assert board.phase.id == "testing"


def test_before_any_step_is_known_the_first_phase_is_the_present_one() -> None:
    assert Board(PLAN, now=Clock()).phase.id == "setup"


def test_an_error_stands_until_a_step_is_tried_again() -> None:
    board = a_board()
    error = MigrationError("Gone", happened="", unchanged="", remedy="")
    board.take(StepChanged(step="setup.look", state=StepState.FAILED))
    board.take(StepFailed(step="setup.look", error=error))
    assert board.error is error
    board.take(StepChanged(step="setup.look", state=StepState.PREVIEWING))
    assert board.error is None


def test_chunks_keep_their_rows_when_an_event_names_only_the_state() -> None:
    board = a_board()
    board.take(StepChanged(step="notes.copy", state=StepState.APPLYING))
    board.take(TableStarted(table="notes", rows=10, bytes=100))
    board.take(ChunkChanged(table="notes", index=0, state=ChunkState.COPYING, rows=10))
    board.take(ChunkChanged(table="notes", index=0, state=ChunkState.VERIFIED, bytes=100))
    assert board.tables["notes"].rows_in(ChunkState.VERIFIED) == 10
    assert board.tables["notes"].sent == 100


def test_counts_of_one_step_are_gone_at_the_next() -> None:
    board = a_board()
    board.take(StepChanged(step="setup.look", state=StepState.APPLYING))
    board.take(Progress(label="dump", done=1, total=2, unit="tables"))
    assert list(board.progress) == ["dump"]
    board.take(StepChanged(step="notes.copy", state=StepState.PREVIEWING))
    assert board.progress == {}


def test_a_meter_tells_rate_and_time_left_and_starts_over_when_the_count_does() -> None:
    meter = Meter()
    for second in range(5):
        meter.take(float(second), second * 100.0)
    assert meter.rate == 100.0
    assert meter.left(1000.0) == 6.0
    assert sum(meter.shape()) == 400.0
    meter.take(5.0, 0.0)
    assert meter.rate == 0.0
    assert meter.left(1000.0) is None
