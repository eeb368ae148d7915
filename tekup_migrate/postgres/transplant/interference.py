"""Finds out whether event triggers of the target's own changed what was just made."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.catalog.objects import RELATIONS, CatalogObject, EventTrigger, ObjectKey, Sequence
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.comparison.access import access_differences
from tekup_migrate.postgres.comparison.items import Item
from tekup_migrate.postgres.comparison.roles import WITHOUT_OWNER, owner_there
from tekup_migrate.postgres.comparison.strings import changed_lines
from tekup_migrate.postgres.transplant.event_triggers import described, remedy_for, watching
from tekup_migrate.postgres.transplant.planning import TransplantPlan, planned_again
from tekup_migrate.postgres.transplant.strangers import strangers


def refuse_changed(
    plan: TransplantPlan, target: Catalog, made: Collection[ObjectKey], triggers: Iterable[EventTrigger]
) -> None:
    """Stop where what was just made is not as planned, and event triggers of the target's own have seen it made.

    Where there are none, the next look at both catalogs tells as much, and the step stands.

    Args:
        plan: what was carried out, in part or whole.
        target: its catalog by now.
        made: the target's keys of what was made.
        triggers: the target's event triggers.

    Raises:
        MigrationError: with what is different; to be raised inside the transaction, which takes everything back.
    """
    active = watching(triggers)
    found = _differences(plan, target, made) if active else []
    if found:
        raise MigrationError(
            "An event trigger of the target changed what was created",
            happened=f"{' and '.join(map(described, active))} ran, and then: {found[0]}.",
            unchanged="Everything that this step had created is gone again: it was one transaction.",
            remedy=f"{remedy_for(active)} Or let the source, or the plan's floor, ask for what it does.",
            details="\n".join(found),
        )


def _differences(plan: TransplantPlan, target: Catalog, made: Collection[ObjectKey]) -> list[str]:
    again = planned_again(plan, target)
    items = [item for item in again.items if item.target in made]
    found = [line for item in again.conflicts if item.target in made for line in _otherwise(item)]
    left = (statement.sql for statement in (*again.before, *again.after) if statement.new and statement.creates in made)
    found += [f"it is not there any more: {sql}" for sql in left]
    found += access_differences(again.source, target, items)
    found += [line for item in items for line in _of_another(again.source.objects[item.key], item, target)]
    for key in made:
        if key.kind in RELATIONS:
            found += [f"{other} was added to {key}" for other in strangers(target, key, made)]
    return found


def _otherwise(item: Item) -> list[str]:
    lines = (line for line in changed_lines(item.definition, item.existing) if line[:1] in "+-")
    return [f"{item.target} is defined otherwise", *(f"  {line}" for line in lines)]


def _of_another(here: CatalogObject, item: Item, target: Catalog) -> list[str]:
    """Return who owns an object that somebody else should; a column's own sequence goes with its table."""
    there = target.objects.get(item.target)
    follows = isinstance(here, Sequence) and here.owned_by
    if there is None or follows or here.key.kind in WITHOUT_OWNER or there.owner == owner_there(here, target):
        return []
    return [f"{item.target} is owned by {there.owner} and not by {owner_there(here, target)}"]
