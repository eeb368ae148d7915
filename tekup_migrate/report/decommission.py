"""The plan for switching the source off: what to watch, what to rotate, and from which day it may go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from tekup_migrate.plan import Plan


def decommission_date(plan: Plan, today: dt.date) -> dt.date:
    """Return the first day on which the source may be deleted."""
    return today + dt.timedelta(days=plan.decommission_days)


def decommission_plan(
    plan: Plan, date: dt.date, backups: Sequence[str], rotate: Sequence[str], mentions: Sequence[str] = ()
) -> str:
    """Return the plan as Markdown.

    Args:
        plan: the consolidation.
        date: the first day on which the source may be deleted.
        backups: where the backups are, a path each.
        rotate: what must be rotated and where it was found, a line each, without values.
        mentions: what still names the source in the apps' repositories, a line each.
    """
    source, target = plan.source, plan.target
    lines = [
        f"# Switching off {source.title}",
        "",
        f"Everything that used `{source.ref}` ({source.region}) now uses `{target.ref}` ({target.region}).",
        f"The source stays as it is until **{date.isoformat()}**; until then going back is possible.",
        "",
        "## Until then",
        "",
        "- [ ] Once a week: `tekup-migrate verify` still finds no row at the source that the target lacks.",
        f"- [ ] The source's dashboard shows no requests: https://supabase.com/dashboard/project/{source.ref}/reports",
        "- [ ] The backups can be read from somewhere that is not this machine:",
        *(f"  - `{path}`" for path in backups),
        "",
        "## Rotate",
        "",
        *(f"- [ ] {line}" for line in rotate or ("Nothing was found in documents or under git.",)),
        f"- [ ] The database password and the API keys of `{source.ref}`, once nothing uses them.",
        "",
        *(("## Still names the old project", "", *(f"- [ ] {line}" for line in mentions), "") if mentions else ()),
        f"## On {date.isoformat()} or later",
        "",
        "- [ ] Take a last backup of the source and read it back.",
        f"- [ ] Pause the project: https://supabase.com/dashboard/project/{source.ref}/settings/general",
        "- [ ] A week later, when nobody missed it, delete it there. This cannot be undone.",
        "",
    ]
    return "\n".join(lines)
