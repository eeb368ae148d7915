"""How a status looks: always a glyph, a word and a colour, never a colour alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.content import Content

from tekup_migrate.events import StepState
from tekup_migrate.runner import StepStatus
from tekup_migrate.steps import Danger, Undo, Verdict

WORD_CELLS = 10


@dataclass(frozen=True)
class Mark:
    """A glyph of one column, a word of at most ten, and a theme colour."""

    glyph: str
    word: str
    style: str

    @property
    def content(self) -> Content:
        """The glyph and the word in their colour."""
        return Content.styled(f"{self.glyph} {self.word}", self.style)


_CALM = "dim"
_GOOD = "$text-success"
_LIVE = "bold $text-primary"
_WARY = "$text-warning"
_BAD = "bold $text-error"

_STATES = {
    StepState.WAITING: Mark("○", "waiting", _CALM),
    StepState.PREVIEWING: Mark("▶", "reading", _LIVE),
    StepState.CONFIRMING: Mark("◆", "asking", _WARY),
    StepState.APPLYING: Mark("▶", "running", _LIVE),
    StepState.VERIFYING: Mark("▶", "checking", _LIVE),
    StepState.DONE: Mark("✓", "done", _GOOD),
    StepState.SKIPPED: Mark("»", "skipped", _WARY),
    StepState.FAILED: Mark("✗", "failed", _BAD),
    StepState.PAUSED: Mark("‖", "paused", _WARY),
    StepState.REVERTED: Mark("↶", "reverted", _WARY),
}
_VERDICTS = {
    Verdict.PASSED.value: Mark("✓", "passed", _GOOD),
    Verdict.DIFFERS.value: Mark("✗", "differs", _BAD),
    Verdict.UNVERIFIED.value: Mark("?", "unverified", _WARY),
    Verdict.ATTESTED.value: Mark("✓", "attested", _GOOD),
    Verdict.SKIPPED.value: Mark("»", "skipped", _WARY),
}
_STARTED = Mark("◐", "under way", _LIVE)
_LIVE_STATES = (StepState.PREVIEWING, StepState.CONFIRMING, StepState.APPLYING, StepState.VERIFYING)
_ENDED = (StepState.DONE, StepState.SKIPPED)

DANGERS = {
    Danger.SAFE.value: _CALM,
    Danger.CAREFUL.value: _WARY,
    Danger.DESTRUCTIVE.value: _BAD,
}
UNDOS = {
    Undo.UNDOABLE.value: "can be undone",
    Undo.RESTORABLE.value: "can be restored",
    Undo.IRREVERSIBLE.value: "CANNOT be undone",
    Undo.NOTHING.value: "nothing to undo",
}


def of_verdict(verdict: str) -> Mark:
    """Return a verdict's mark; what has no verdict yet is waiting."""
    return _VERDICTS.get(verdict, _STATES[StepState.WAITING])


def of_step(status: StepStatus) -> Mark:
    """Return a step's mark; a verdict that is not simply good speaks louder than the state."""
    if status.state in (StepState.DONE, StepState.FAILED) and status.verdict not in ("", Verdict.PASSED.value):
        return of_verdict(status.verdict)
    return _STATES[status.state]


def is_live(state: StepState) -> bool:
    """Whether a step in this state is being carried out now."""
    return state in _LIVE_STATES


def of_phase(steps: Iterable[StepStatus]) -> Mark:
    """Return a phase's mark from its steps: trouble first, then what runs, then how far it is."""
    states = [status.state for status in steps]
    for state in (StepState.FAILED, StepState.CONFIRMING, StepState.PAUSED):
        if state in states:
            return _STATES[state]
    if any(is_live(state) for state in states):
        return _STATES[StepState.APPLYING]
    if states and all(state in _ENDED for state in states):
        return _STATES[StepState.DONE]
    if any(state in _ENDED for state in states):
        return _STARTED
    return _STATES[StepState.WAITING]
