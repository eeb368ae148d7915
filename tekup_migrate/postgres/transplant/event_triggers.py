"""What the target's event triggers do to our statements: they may refuse one, or change what was made.

Source: "Overview of Event Trigger Behavior" in the PostgreSQL manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tekup_migrate.postgres.catalog.objects import EventTrigger
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.quoting import quote_ident

if TYPE_CHECKING:
    import asyncpg


class Refusing(NamedTuple):
    """Who refused a statement, in words, and what to do about it; no remedy where no event trigger did."""

    happened: str
    remedy: str


def watching(triggers: Iterable[EventTrigger]) -> tuple[EventTrigger, ...]:
    """Return those that are the project's own and run on what is created, changed or dropped."""
    return tuple(each for each in triggers if each.own and each.enabled in "OA" and each.event != "login")


def remarks_on_event_triggers(target: Catalog) -> tuple[str, ...]:
    """Return a line about each event trigger of the target that will see what is created."""
    return tuple(
        f"The target's event trigger {described(trigger)} sees every statement: if it refuses one, or changes what was"
        " made, the step is taken back whole and says so"
        for trigger in watching(target.of(EventTrigger))
    )


def refusing(error: asyncpg.PostgresError, triggers: Iterable[EventTrigger]) -> Refusing:
    """Say who refused a statement: the server tells in which function the error was raised."""
    context = getattr(error, "context", None) or ""
    found = next((each for each in triggers if f"function {each.function} " in context), None)
    if found is None:
        return Refusing(f"Postgres said: {error}.", "")
    return Refusing(f"The event trigger {described(found)} refused it: {error}.", remedy_for([found]))


def described(trigger: EventTrigger) -> str:
    """Return its name, when it runs and what it runs."""
    return f"{trigger.key.name} (on {trigger.event}, runs {trigger.function})"


def remedy_for(triggers: Sequence[EventTrigger]) -> str:
    """Say how to get them out of the way, and back."""
    off = " ".join(f"ALTER EVENT TRIGGER {quote_ident(each.key.name)} DISABLE;" for each in triggers)
    whose = "" if all(each.mine for each in triggers) else f" as {', '.join(sorted({e.owner for e in triggers}))}"
    return (
        f"Look at what it does. To go on without it: {off} in the target{whose}, run this step again, then"
        " ALTER EVENT TRIGGER … ENABLE."
    )
