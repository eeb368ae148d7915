"""What an env rewrite proved: what holds the target's values, what was left as it is, and what was not touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tekup_migrate.parts import DOCUMENT, REWRITE, SKIP, Choices
from tekup_migrate.phases.env_survey import Survey
from tekup_migrate.steps import Context, Evidence, Verdict

if TYPE_CHECKING:
    from tekup_migrate.envfiles.former import FormerFile
    from tekup_migrate.envfiles.places import FilePlaces, Place


def env_evidence(context: Context, found: Survey, chosen: Choices, formers: Sequence[FormerFile]) -> Evidence:
    """Return the evidence of an env rewrite from a look at the files after it.

    ``passed``: every key that the plan names holds the target's value. ``skipped``: the operator left some of them
    out. ``differs``: something that was to be rewritten was not, a file has none of the plan's keys, or something else
    changed.
    """
    wrong, skipped, facts = [], [], []
    for file in found.files:
        places = [(place, chosen.get(place.id, place.choice)) for place in file.places if place.edits]
        wrong += [f"{file.name}: {place.label}" for place, choice in places if choice == REWRITE]
        skipped += [f"{file.name}: {place.label}" for place, choice in places if choice == SKIP]
        good = [place.label for place in file.places if place.planned and not place.edits]
        if good:
            facts.append(f"{file.name}: {', '.join(good)} hold the target's values")
    facts += [f"{line}: does not hold the target's value" for line in wrong]
    facts += [f"{line}: left out by the operator, it holds its former value" for line in skipped]
    touched, untouched = _untouched(found, formers)
    verdict = Verdict.DIFFERS if wrong or touched or found.without else Verdict.SKIPPED if skipped else Verdict.PASSED
    rest = _left(found, chosen)
    return Evidence(
        verdict=verdict,
        summary=_summary(context, found, wrong, skipped, touched),
        facts=(*facts, *touched, *untouched, *found.missing, *rest),
    )


def documented_lines(found: Survey, chosen: Choices) -> tuple[str, ...]:
    """Return what still names the old project and was to be documented: file, lines, and why."""
    return tuple(_mentions(found, chosen, DOCUMENT))


def _summary(context: Context, found: Survey, wrong: list[str], skipped: list[str], touched: tuple[str, ...]) -> str:
    planned = [place for file in found.files for place in file.places if place.planned]
    if wrong or touched:
        return f"{len(wrong)} of {len(planned)} keys do not hold the target's values" if wrong else touched[0]
    if found.without:
        return f"{', '.join(found.without)}: there is none of the keys that the plan names"
    count = sum(any(place.planned for place in file.places) for file in found.files)
    files = f"{count} env file" if count == 1 else f"{count} env files"
    points = "points" if count == 1 else "point"
    if skipped:
        return f"{len(skipped)} of {len(planned)} keys were left out by the operator: {', '.join(skipped)}"
    return f"{files} {points} at {context.plan.target.ref}"


def _left(found: Survey, chosen: Choices) -> Iterator[str]:
    """Say, for the report, what names the old project and stays: by file and line, and what was chosen for it."""
    for choice in dict.fromkeys(chosen.get(place.id, place.choice) for file in found.files for place in file.places):
        if choice not in (REWRITE, SKIP):
            word = "documented" if choice == DOCUMENT else "left"
            yield from (f"{line} ({word})" for line in _mentions(found, chosen, choice))
    yield from (f"{each.name}: {each.why}" for each in found.passed_over)


def _mentions(found: Survey, chosen: Choices, choice: str) -> Iterator[str]:
    for file in found.files:
        places = [p for p in file.places if not p.planned and chosen.get(p.id, p.choice) == choice]
        for why in dict.fromkeys(place.why for place in places):
            yield f"{file.name}, {_lines(file, [p for p in places if p.why == why])} of the old project" + (
                f": {why}" if why else ""
            )


def _lines(file: FilePlaces, places: list[Place]) -> str:
    numbers = ", ".join(str(place.line) for place in places)
    keys = [place.label for place in places if place.key]
    what = f" ({', '.join(keys)})" if keys else ""
    return f"line {numbers}{what}: still speaks" if len(places) == 1 else f"lines {numbers}{what}: still speak"


def _untouched(found: Survey, formers: Sequence[FormerFile]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare all of each rewritten file but what was rewritten; return what differs and what is the same."""
    from tekup_migrate.envfiles.former import Now, standing
    from tekup_migrate.envfiles.untouched import rest_of

    touched, untouched = [], []
    names = {file.path.absolute(): file.name for file in found.files}
    for former in formers:
        now, content = standing(former)
        if now is Now.FORMER:
            continue
        before, after = rest_of(former.content, former), rest_of(content, former)
        if before == after:
            untouched.append(
                f"{names.get(former.path, former.path.name)}: the other {after.size} bytes are as they were"
                f" (keyed digest {after.digest} before and after)"
            )
        else:
            touched.append(f"{former.path}: more than the named values changed since it was kept")
    return tuple(touched), tuple(untouched)
