"""The comparison as the operator settles it: names that are taken are asked about, and every item can be changed."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from tekup_migrate.phases.resolutions import (
    Choice,
    decide,
    place_of,
    read_place,
    read_resolutions,
    read_strings,
    undecide,
)
from tekup_migrate.postgres.quoting import Relation, cut_name
from tekup_migrate.questions import Option, Question, TextRequest
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    from tekup_migrate.postgres.catalog.objects import ObjectKey
    from tekup_migrate.postgres.comparison import Item
    from tekup_migrate.postgres.transplant import TransplantPlan

Look = Callable[[], Awaitable["TransplantPlan"]]
"""Compares both catalogs anew, under what is decided by now."""

_STOP, _GO_ON, _CHANGE, _BACK, _MORE, _AS_FOUND = "stop", "go on", "change", "back", "more", "as found"
_NOBODY_SAID = "nobody said that they mean it; where one is run as SQL, it looks for the old name in the target"
_A_WORD = "rather a word of its rows than the thing; it can be let follow"
_ROWS_STAY = "Exactly the lines shown change. Rows keep the old word: a new check may refuse them."
_EXPOSED = "The API shows it only where that schema is among its exposed ones."
_LONGEST = 40
"""Bytes of an old name that a new one is made from."""
_LINE = 66
_ON_A_PAGE = 5
"""An option takes two or three lines: so many fit on 80 × 24."""


async def settle(context: Context, app: str, look: Look) -> None:
    """Ask about every name that is taken, then let the operator change what they like until they go on."""
    plan = await _settle_open(context, app, look)
    told = ""
    while not plan.conflicts:
        if await context.operator.choose(_overview(plan, told)) != _CHANGE:
            return
        told = await _change_one(context, app, plan, look)
        plan = await _settle_open(context, app, look)


async def _settle_open(context: Context, app: str, look: Look) -> TransplantPlan:
    """Ask about whatever only the operator can decide: names that are taken, then strings that say an old name."""
    plan = await _settle_conflicts(context, app, look)
    asked = [] if plan.conflicts else [item for item in plan.items if item.asks_about_strings]
    for item in asked:
        await _take(context, app, item, await context.operator.choose(strings_question(item)), plan)
    return await look() if asked else plan


async def _settle_conflicts(context: Context, app: str, look: Look) -> TransplantPlan:
    """Ask about each conflict, again where the answer makes another; one that is left open stays a conflict."""
    plan = await look()
    while plan.conflicts:
        item = plan.conflicts[0]
        chosen = await context.operator.choose(_conflict(context, app, item, plan))
        if not await _take(context, app, item, chosen, plan):
            return plan
        plan = await look()
    return plan


async def _change_one(context: Context, app: str, plan: TransplantPlan, look: Look) -> str:
    """Let the operator pick an item and say what becomes of it; return what to tell them of it."""
    item = await _pick(context, plan.items)
    if item is None:
        return ""
    before = read_resolutions(context, app).get(item.key)
    decided = before is not None or item.key in read_strings(context, app)
    chosen = await context.operator.choose(_about(context, app, item, plan, decided=decided))
    if chosen == _AS_FOUND:
        undecide(context, app, item.key)
        return f"{item.key}: as found"
    if not await _take(context, app, item, chosen, plan):
        return ""
    if Choice(chosen).of_strings:
        return f"{item.key}: its strings {'follow' if chosen == Choice.FOLLOW.value else 'stay as they are'}"
    if read_resolutions(context, app).get(item.key) == before:
        return ""
    lost = (await look()).lost
    if lost:
        # A table that the plan moves cannot be without what it is made of.
        undecide(context, app, item.key)
        return f"{item.key} cannot stay behind: {'; '.join(lost)}"
    return f"{item.key}: changed"


async def _pick(context: Context, items: Sequence[Item]) -> Item | None:
    """Show the items page by page until one is chosen."""
    pages = [items[start : start + _ON_A_PAGE] for start in range(0, len(items), _ON_A_PAGE)]
    page = 0
    while True:
        chosen = await context.operator.choose(_page(pages[page], page, len(pages)))
        if chosen == _MORE:
            page = (page + 1) % len(pages)
        elif chosen.isdecimal():
            return pages[page][int(chosen)]
        else:
            return None


def _overview(plan: TransplantPlan, told: str) -> Question:
    from tekup_migrate.postgres.comparison import Disposition

    lines: list[str] = []
    # What is lost or unlike stands where it is seen without scrolling.
    for disposition in (Disposition.STAYS, Disposition.DIFFERENT, Disposition.MOVES, Disposition.EQUAL):
        found = plan.comparison.with_disposition(disposition)
        lines += [f"{disposition.value}: {len(found)}", *(f"  {item_line(item)}" for item in found)] if found else []
    return Question(
        title="What becomes of everything that hangs on the tables",
        text="\n".join((*((told, "") if told else ()), *plan.remarks, *lines)),
        options=(
            Option(_GO_ON, "Go on with this", "The statements are shown once more before they run."),
            Option(_CHANGE, "Change one of them", "Leave it behind, move it too, or give it another name or schema."),
        ),
        safe=_GO_ON,
    )


def _page(items: Sequence[Item], page: int, pages: int) -> Question:
    options = [
        Option(str(place), _short(item.key), f"{_long(item.key)}{item.disposition.value} {_reason(item)}".strip())
        for place, item in enumerate(items)
    ]
    if pages > 1:
        options.append(Option(_MORE, "Show others", f"This is page {page + 1} of {pages}."))
    return Question(
        title="Which of them is to be changed?",
        text="",
        options=(*options, Option(_BACK, "None of them", "Back to the list.")),
        safe=_BACK,
    )


def _short(key: ObjectKey) -> str:
    """Return a name that fits a small terminal's line."""
    return str(key) if len(str(key)) <= _LINE else f"{key.kind.value} {key.name}"[:_LINE]


def _long(key: ObjectKey) -> str:
    return "" if len(str(key)) <= _LINE else f"{key}: "


def item_line(item: Item) -> str:
    """Return an item with its new name and the reason of what becomes of it."""
    renamed = f" → {item.target}" if item.target != item.key else ""
    return f"{item.key}{renamed} {_reason(item)}".strip()


def _reason(item: Item) -> str:
    return f"({item.reason})" if item.reason else ""


def _conflict(context: Context, app: str, item: Item, plan: TransplantPlan) -> Question:
    shared = Option(Choice.SHARE.value, "Use the target's", "The moved tables use what is there, though it differs.")
    if _is_table(item):
        shared = Option(Choice.SHARE.value, "Use the target's", "The rows go into that table; its columns must fit.")
    title, there = f"{item.target} is something else on the target", f"\n\nOn the target:\n{item.existing}"
    if not item.existing:
        title, there = f"{item.key} cannot become {item.target}", ""
    return Question(
        title=title,
        text=f"At the source:\n{item.definition}{there}\n\n{item.reason}",
        options=(
            Option(_STOP, "Decide later", "Nothing is created; the run stops here."),
            *_new_places(app, item, plan),
            *((shared,) if item.existing else ()),
            *(() if _is_table(item) else (_leave(),)),
        ),
        safe=_STOP,
    )


def _about(context: Context, app: str, item: Item, plan: TransplantPlan, *, decided: bool) -> Question:
    from tekup_migrate.postgres.comparison import Disposition

    options = [Option(_BACK, "Leave it as it is", "Back to the list.")]
    if decided:
        options.append(Option(_AS_FOUND, "As it was found", "What was decided about it is forgotten."))
    stays = item.disposition is Disposition.STAYS
    if stays and item.can_move:
        options.append(Option(Choice.BRING.value, "Move it too", "It may not work without what it needs."))
    if not stays:
        options += [*_other_wording(item), *_new_places(app, item, plan)]
        options += [] if _is_table(item) else [_leave()]
    offer = ("", strings_line(item), *item.offer) if item.offer else ()
    return Question(
        title=f"What becomes of {item.key}?",
        text="\n".join((f"{item.disposition.value} {_reason(item)}", "", item.definition, *offer)),
        options=tuple(options),
        safe=_BACK,
    )


def strings_question(item: Item) -> Question:
    """Ask whether string constants that say an old name follow the rename."""
    return Question(
        title=f"Do the strings of {item.key} follow the rename?",
        text="\n".join(
            (
                "A string in it says a name that is another one in the target. Only you can know whether it means that"
                " thing (as format('%I', …) and EXECUTE do) or is a mere word. If it follows, this changes:",
                "",
                *item.offer,
            )
        ),
        options=_string_options(),
        safe=Choice.KEEP.value,
    )


def _string_options() -> tuple[Option, ...]:
    return (
        Option(
            Choice.KEEP.value,
            "Keep its strings as they are",
            "Where one is run as SQL it looks for the old name: an error, or a stranger's table. The report says so.",
        ),
        Option(Choice.FOLLOW.value, "Let them follow the rename", "Exactly the lines shown change, nothing else."),
    )


def _other_wording(item: Item) -> tuple[Option, ...]:
    """Return the offer to decide otherwise about strings that say an old name, where there are some."""
    from tekup_migrate.postgres.comparison import FollowStrings
    from tekup_migrate.postgres.comparison.strings import MEANT

    keep, follow = _string_options()
    if item.kind not in MEANT:
        follow = Option(follow.id, follow.label, _ROWS_STAY)
    return ((keep if isinstance(item.strings, FollowStrings) else follow),) if item.offer else ()


def strings_line(item: Item) -> str:
    """Return what becomes of an object's strings that say an old name, with each line that does, for the evidence."""
    from tekup_migrate.postgres.comparison import FollowStrings
    from tekup_migrate.postgres.comparison.strings import MEANT

    why = _NOBODY_SAID if item.kind in MEANT else _A_WORD
    sign, told = "-", f"keep the old name ({getattr(item.strings, 'reason', '') or why})"
    if isinstance(item.strings, FollowStrings):
        sign, told = "+", "follow the rename, as the operator confirmed"
    lines = " / ".join(line[1:].strip() for line in item.offer if line.startswith(sign))
    return f"strings of {item.key} {told}: {lines}"


def _leave() -> Option:
    return Option(Choice.LEAVE.value, "Leave it behind", "The report says so.")


def _new_places(app: str, item: Item, plan: TransplantPlan) -> list[Option]:
    """Return the offers of another name, and where the kind of thing allows it of another schema."""
    if not item.can_be_renamed:
        return []
    name = _free_name(app, item, plan)
    follows = "Everything that moves and refers to it follows."
    if _is_table(item):
        follows = "Rows, digests and checks follow. The app itself asks for the old name: it must be told."
    found = [Option(Choice.RENAME.value, f"Create it as {name}", follows)]
    if _takes_schema(item):
        elsewhere = f"{follows} {_EXPOSED}" if _is_table(item) else follows
        found.append(Option(Choice.SCHEMA.value, f"Put it into schema {app}", elsewhere))
    other = "Type another name, or a schema and a name" if _takes_schema(item) else "Type another name"
    return [*found, Option(Choice.PLACE.value, other, follows)]


def _free_name(app: str, item: Item, plan: TransplantPlan) -> str:
    """Return a name that nothing among what moves has; one that the target has is asked about again."""
    taken = {each.target.name for each in plan.items}
    base = cut_name(re.sub(r"_\d\Z", "", item.target.name), most=_LONGEST)
    base = base if base.startswith(f"{app}_") else f"{app}_{base}"
    names = (cut_name(base), *(cut_name(base, f"_{number}") for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


async def _take(context: Context, app: str, item: Item, chosen: str, plan: TransplantPlan) -> bool:
    """Keep a decision, with the words that go with it; say whether one was chosen."""
    if chosen not in {choice.value for choice in Choice}:
        return False
    choice = Choice(chosen)
    match choice:
        case Choice.RENAME:
            word = _free_name(app, item, plan)
        case Choice.SCHEMA if _is_table(item):
            choice, word = Choice.PLACE, place_of(Relation(app, item.target.name))
        case Choice.SCHEMA:
            word = app
        case Choice.PLACE:
            word = await _typed_place(context, item)
            if not word:
                return True  # Gone back: asked about once more.
        case Choice.LEAVE:
            word = await _why(context, item)
        case Choice.KEEP:
            word = await _own_words(context, f"Why do the strings of {item.key} stay as they are?")
        case _:
            word = ""
    decide(context, app, item.key, choice, word)
    return True


async def _typed_place(context: Context, item: Item) -> str:
    """Return the name, or schema and name, that the operator types; an empty text where they go back."""
    trouble = ""
    example = "name, or schema.name" if _takes_schema(item) else "name"
    while True:
        line = await context.operator.write(
            TextRequest(
                title=f"What shall {item.key} be called in the target?",
                text=f"Type {example}, as it shall stand there; a part with a dot goes into double quotes."
                " Everything that moves and refers to it follows.",
                verb="Take this name",
                trouble=trouble,
            )
        )
        if not line:
            return ""
        try:
            place = read_place(line)
        except ValueError as error:
            trouble = str(error)
            continue
        if not place.schema or _takes_schema(item):
            return line
        trouble = "It stays in the schema of its table: type a name alone, in double quotes where it has a dot."


async def _why(context: Context, item: Item) -> str:
    """Return why something stays behind: the operator's own words, or what is known without them."""
    from tekup_migrate.postgres.comparison import Disposition

    known = item.reason if item.disposition is Disposition.DIFFERENT else ""
    why = await _own_words(context, f"Why does {item.key} stay behind?") or known
    return f"left behind by the operator: {why}" if why else ""


async def _own_words(context: Context, title: str) -> str:
    """Return the operator's reason, or an empty text where they give none."""
    told = await context.operator.write(
        TextRequest(
            title=title,
            text="The reason is kept in the journal and printed in the report. Go back to give none.",
            verb="Keep this reason",
        )
    )
    return context.redact(told)


def _is_table(item: Item) -> bool:
    from tekup_migrate.postgres.comparison import Tie

    return item.tie is Tie.MOVED


def _takes_schema(item: Item) -> bool:
    """Whether it can be put into another schema by the operator."""
    return item.has_own_schema or _is_table(item)
