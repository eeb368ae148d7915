"""What every step says the same way when it is taken back."""

from __future__ import annotations

from pathlib import Path

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.phases.text_diff import text_diff
from tekup_migrate.steps import Evidence, Verdict


def reverted(holds: bool, good: str, bad: str, *, facts: tuple[str, ...] = ()) -> Evidence:
    """Return the evidence of a roll back: passed when the world is as it was before the step."""
    return Evidence(verdict=Verdict.PASSED if holds else Verdict.DIFFERS, summary=good if holds else bad, facts=facts)


def edited_since(path: Path, written: bytes, now: bytes | None) -> WorldChangedError:
    """Say that a document of ours was edited since it was written, with the lines that differ."""
    if now is None:
        happened, details = f"{path} was deleted since this run wrote it.", ""
    else:
        happened = f"{path} is not what this run wrote; the lines that differ are below."
        details = "\n".join(f"{line.kind} {line.text}" for line in text_diff(written, now) if line.kind != " ")
    return WorldChangedError(
        f"{path.name} was edited meanwhile",
        happened=happened,
        unchanged="The file was left as it is now.",
        remedy="Take your own edit out (or keep a copy of it), then try again; or leave this step as it is.",
        details=details,
    )
