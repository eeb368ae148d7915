"""The report of a run, as JSON for programs and as Markdown for people; written from the journal alone."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tekup_migrate.errors import MigrationError
from tekup_migrate.journal import Entry, Journal, RunRecord, State
from tekup_migrate.plan import Plan
from tekup_migrate.report.criteria import CriterionResult, judge
from tekup_migrate.steps import Evidence, Step, Verdict

PEAK_MEMORY = "peak_memory_bytes"


class ReportedStep(Struct, frozen=True, kw_only=True):
    """One step of the report; ``seconds`` is how long its last attempt took.

    ``verdict`` is that of the evidence, or ``reverted`` where the step was taken back: then the evidence is about that.
    """

    id: str
    phase: str
    title: str
    danger: str
    undo: str
    verdict: str
    evidence: Evidence
    seconds: float
    reason: str = ""


class Figures(Struct, frozen=True, kw_only=True):
    """The run in numbers; ``peak_memory`` is the largest resident size of our own process, in bytes."""

    rows: int
    bytes: int
    seconds: float
    peak_memory: int


class ReportedRun(Struct, frozen=True, kw_only=True):
    """Which run the report is of; times are UTC, ISO 8601, ``finished`` empty while it is not."""

    id: str
    plan: str
    title: str
    rehearsal: bool
    started: str
    finished: str


class ReportedRestore(Struct, frozen=True, kw_only=True):
    """A backup, or a table of one, that was restored beside the plan's steps; ``at`` is UTC, ISO 8601."""

    at: str
    title: str
    target: str
    verdict: str
    summary: str


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a run proved; without restores, none are named in its JSON."""

    run: ReportedRun
    steps: tuple[ReportedStep, ...]
    criteria: tuple[CriterionResult, ...]
    figures: Figures
    restores: tuple[ReportedRestore, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every success criterion passed (and there is at least one)."""
        return bool(self.criteria) and all(result.verdict is Verdict.PASSED for result in self.criteria)


def make_report(plan: Plan, steps: Sequence[Step], journal: Journal, run: RunRecord) -> Report:
    """Gather the report of a run from its journal."""
    latest = journal.latest(run.id)
    reported = tuple(_reported(step, latest) for step in steps)
    memory = journal.recall(run.id, PEAK_MEMORY) or b"0"
    return Report(
        run=ReportedRun(
            id=run.id,
            plan=plan.id,
            title=plan.title,
            rehearsal=run.rehearsal,
            started=_iso(run.started),
            finished=_iso(run.finished) if run.finished else "",
        ),
        steps=reported,
        criteria=judge(plan, latest),
        figures=Figures(
            rows=int(_total(reported, "rows copied")),
            bytes=int(_total(reported, "bytes copied")),
            seconds=round(sum(journal.seconds_by_phase(run.id).values()), 3),
            peak_memory=int(memory),
        ),
        restores=_restores({step.id for step in steps}, journal, run),
    )


def _restores(planned: Collection[str], journal: Journal, run: RunRecord) -> tuple[ReportedRestore, ...]:
    """Return every restore that was carried out, failed, or has no known end; a declined one never began."""
    apart = [entry for entry in journal.entries(run.id) if entry.step not in planned]
    last = {entry.step: entry for entry in apart}
    ends = [entry for entry in apart if entry.state in (State.VERIFIED, State.FAILED) or entry is last[entry.step]]
    found = []
    for entry in ends:
        preview = journal.preview(run.id, entry.step, before=entry.seq + 1)
        if preview is None or entry.state is State.SKIPPED:
            continue
        evidence = entry.evidence or Evidence(
            verdict=Verdict.UNVERIFIED, summary=entry.reason or "its end is not known"
        )
        restore = ReportedRestore(
            at=_iso(entry.at),
            title=preview.title,
            target=preview.target,
            verdict="failed" if entry.state is State.FAILED else evidence.verdict.value,
            summary=evidence.summary,
        )
        found.append(restore)
    return tuple(found)


def _reported(step: Step, latest: Mapping[str, Entry]) -> ReportedStep:
    entry = latest.get(step.id)
    evidence = entry.evidence if entry and entry.evidence else None
    if evidence is None:
        evidence = Evidence(verdict=Verdict.UNVERIFIED, summary=entry.state.value if entry else "not reached yet")
    return ReportedStep(
        id=step.id,
        phase=step.phase,
        title=step.title,
        danger=step.danger.value,
        undo=step.undo.value,
        verdict=State.REVERTED.value if entry and entry.state is State.REVERTED else evidence.verdict.value,
        evidence=evidence,
        seconds=round(entry.seconds, 3) if entry else 0.0,
        reason=entry.reason if entry else "",
    )


def _total(steps: Sequence[ReportedStep], name: str) -> float:
    return sum(figure.value for step in steps for figure in step.evidence.figures if figure.name == name)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def require_writable(path: Path) -> None:
    """Raise a ``MigrationError`` now where ``write_report`` would fail at the end; leaves nothing behind."""
    try:
        existed = path.exists()
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise _unwritable(path, error, "Nothing was started or written.") from None


def write_report(path: Path, text: str) -> None:
    """Write a report where the operator asked for it.

    Raises:
        MigrationError: the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise _unwritable(path, error, "The run is as it was; its journal is kept.") from None


def _unwritable(path: Path, error: OSError, unchanged: str) -> MigrationError:
    return MigrationError(
        "The report cannot be written",
        happened=f"{path}: {error.strerror or error}.",
        unchanged=unchanged,
        remedy="Name a file in a directory that exists and can be written to.",
    )


def to_json(report: Report) -> str:
    """Return the report as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def to_markdown(report: Report) -> str:
    """Return the report as Markdown: criteria first, then every step with its evidence."""
    run = report.run
    kind = "Rehearsal" if run.rehearsal else "Run"
    lines = [f"# {run.title}: report", ""]
    lines.append(
        f"{kind} `{run.id}`, started {run.started}, "
        + (f"finished {run.finished}." if run.finished else "not finished.")
    )
    figures = report.figures
    lines.append(
        f"{figures.rows:,} rows and {figures.bytes / 1e6:,.1f} MB copied, {figures.seconds:,.1f} s spent"
        + (f", {figures.peak_memory / 1e6:.0f} MB of memory at most." if figures.peak_memory else ".")
    )
    lines += ["", "## Success criteria", "", "| | criterion | verdict |", "| --- | --- | --- |"]
    lines += [f"| {n} | {_cell(c.title)} | **{c.verdict.value}** |" for n, c in enumerate(report.criteria, 1)]
    for criterion in report.criteria:
        lines += ["", f"### {criterion.title}", "", *(f"- {_line(text)}" for text in criterion.evidence)]
    if report.restores:
        lines += ["", "## Restored from backup", ""]
        lines += [
            f"- {each.at}, {_line(each.title)}, {_line(each.target)}: {each.verdict}, {_line(each.summary)}"
            for each in report.restores
        ]
    lines += ["", "## Steps"]
    phase = ""
    for step in report.steps:
        if step.phase != phase:
            phase = step.phase
            lines += ["", f"### Phase `{phase}`"]
        lines += ["", *_step_lines(step)]
    return "\n".join(lines) + "\n"


def _step_lines(step: ReportedStep) -> list[str]:
    head = f"**{_line(step.title)}** (`{step.id}`): {step.verdict}, {step.seconds:.2f} s, {step.danger}, {step.undo}"
    lines = [head, "", _line(step.evidence.summary)]
    if step.reason and step.reason != step.evidence.summary:
        lines.append(f"Reason given: {_line(step.reason)}")
    if step.evidence.facts:
        lines += ["", *(f"- {_line(fact)}" for fact in step.evidence.facts)]
    return lines


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
