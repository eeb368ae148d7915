"""Words that say an old name, in bodies, strings, defaults and checks: shown, and followed where the operator says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tekup_migrate.questions import Question
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Verdict
from tests.phases.moving import Moving, Picking, plan_of, run, value
from tests.phases.notes_world import CARRIED, MOVES, SOURCE
from tests.postgres.transplant.judge import dump


@pytest.fixture
def moving(source_database: SupabaseDatabase, target_database: SupabaseDatabase, tmp_path: Path) -> Moving:
    return Moving(plan_of(source_database, target_database, MOVES), source_database, target_database, tmp_path)


async def test_lines_of_a_body_that_still_say_the_old_name_are_shown_with_the_change(moving: Moving) -> None:
    await run(moving.source, SOURCE)
    await moving.go("compare", "create", "copy")
    shown = await moving.shown("attach")
    assert "-    RETURN (SELECT count(*) FROM notes); END" in shown
    assert "+    RETURN (SELECT count(*) FROM app_notes); END" in shown
    assert "Still says an old name, in code, a string or a comment:\n  BEGIN -- counts all notes" in shown


STRINGS = """
CREATE FUNCTION public.dynamic() RETURNS bigint LANGUAGE plpgsql AS
    $$ DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM public.%I', 'notes') INTO n; RETURN n; END $$;
CREATE FUNCTION public.label() RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM 1 FROM notes; RETURN 'notes'; END $$;
CREATE FUNCTION public.told() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF TG_TABLE_NAME = 'notes' THEN NEW.body := TG_ARGV[0]; END IF; RETURN NEW; END $$;
CREATE TRIGGER told BEFORE INSERT ON public.notes FOR EACH ROW EXECUTE FUNCTION public.told('notes');
"""


async def test_strings_that_say_an_old_name_follow_where_the_operator_confirms_it_and_else_stay_with_a_reason(
    moving: Moving,
) -> None:
    await run(moving.source, SOURCE, STRINGS)
    before = await dump(moving.target)
    moving.operator.texts = ["a mere word"]
    asked: list[Question] = []

    async def choose(question: Question) -> str:
        if not question.title.startswith("Do the strings of"):
            return question.safe
        asked.append(question)
        return "keep" if "label" in question.title else "follow"

    moving.operator.choose = choose  # type: ignore[method-assign]
    facts = (await moving.go("compare")).facts
    assert len(asked) == 3
    assert all(question.safe == "keep" for question in asked)
    kept = next(fact for fact in facts if "keep the old name" in fact)
    followed = [fact for fact in facts if "follow the rename, as the operator confirmed" in fact]
    assert "(a mere word): " in kept
    assert "'notes'" in kept
    assert len(followed) == 2
    assert kept in await moving.shown("attach")
    assert (await moving.go(*CARRIED)).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT public.dynamic()") == 50
    assert await value(moving.target, "SELECT public.label()") == "notes"
    assert "told('app_notes')" in str(
        await value(moving.target, "SELECT pg_get_triggerdef(max(oid)) FROM pg_trigger WHERE tgname = 'told'")
    )
    again = await moving.step("compare").verify(moving.context)
    assert again.verdict is Verdict.PASSED, "what was decided is compared as decided"
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before


async def test_nobody_asked_strings_stay_as_they_are_and_the_evidence_says_what_follows_from_that(
    moving: Moving,
) -> None:
    await run(moving.source, SOURCE, STRINGS)
    facts = (await moving.go("compare")).facts
    told = [fact for fact in facts if fact.startswith("strings of ")]
    assert len(told) == 3
    assert all("keep the old name (nobody said that they mean it; where one is run as SQL" in fact for fact in told)
    assert (await moving.go(*CARRIED)).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT public.label()") == "notes"
    # What can mean nothing else follows unasked.
    await run(moving.target, "INSERT INTO public.app_notes (id) VALUES (99)")
    assert await value(moving.target, "SELECT body FROM public.app_notes WHERE id = 99") == "notes"


async def test_what_was_decided_about_strings_can_be_changed_in_the_list(moving: Moving) -> None:
    await run(moving.source, SOURCE, STRINGS)
    function = ("Change one", "function public.dynamic()")
    picking = Picking(
        moving,
        *("Keep",) * 3,
        *function,
        "follow the rename",
        *function,
        "Create it as",
        *function,
        "Leave it as",
        "Go on",
    )
    facts = (await moving.go("compare")).facts
    assert not picking.labels
    assert all(len(question.options) <= 7 for question in picking.seen)
    assert any(fact.startswith("strings of function public.dynamic() follow") for fact in facts)
    assert "moves: function public.dynamic() → function public.app_dynamic()" in facts
    assert (await moving.go(*CARRIED)).verdict is Verdict.PASSED
    assert await value(moving.target, "SELECT public.app_dynamic()") == 50


WORDS = """
CREATE DOMAIN public.word AS text DEFAULT 'notes' CHECK (VALUE <> 'marks');
ALTER TABLE public.notes ADD w public.word, ADD kind text DEFAULT 'notes', ADD seen text DEFAULT 'my notes',
    ADD next bigint DEFAULT nextval('public.number'), ADD CONSTRAINT known CHECK (kind IN ('notes', 'other'));
CREATE INDEX notes_kind ON public.notes (kind) WHERE kind <> 'notes';
CREATE FUNCTION public.first_of(word text) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT min(notes.body) || word FROM public.notes);
ALTER TABLE public.notes ADD via text DEFAULT public.first_of('notes');
CREATE STATISTICS public.notes_words ON (kind || 'notes'), at FROM public.notes;
"""


async def test_words_in_defaults_checks_and_predicates_that_are_an_old_name_are_listed_and_followed_only_when_said(
    moving: Moving,
) -> None:
    await run(moving.source, SOURCE, WORDS)
    before = await dump(moving.target)
    following = ("index public.notes_kind", "table public.notes")
    answers = [each for item in following for each in ("Change one", item, "follow the rename")]
    picking = Picking(moving, *answers, "Go on")
    facts = (await moving.go("compare")).facts
    assert not [question for question in picking.seen if question.title.startswith("Do the strings")]
    left = "(a text in it says an old name, and is left as it is)"
    told = {fact.partition(" →")[0].removesuffix(left).strip() for fact in facts if fact.endswith(left)}
    assert told == {
        "moves: domain public.word",
        "moves: constraint known on public.notes",
        "moves: statistics object public.notes_words",
    }
    kept = next(fact for fact in facts if fact.startswith("strings of constraint known on public.notes keep the old"))
    assert "'notes'::text, 'other'::text" in kept
    assert kept in await moving.shown("create")
    followed = [fact for fact in facts if "follow the rename, as the operator confirmed" in fact]
    assert len(followed) == len(following)
    assert not [fact for fact in followed if "my notes" in fact]
    assert (await moving.go(*CARRIED)).verdict is Verdict.PASSED
    index = str(await value(moving.target, "SELECT pg_get_indexdef('public.app_notes_kind'::regclass)"))
    assert "(kind <> 'app_notes'::text)" in index
    await run(moving.target, "INSERT INTO public.app_notes (id, kind) VALUES (99, 'notes')")
    assert (
        await value(moving.target, "SELECT w || right(via, 9) FROM public.app_notes WHERE id = 99") == "notesapp_notes"
    )
    default = (
        "SELECT column_default FROM information_schema.columns WHERE table_name = 'app_notes' AND column_name = 'kind'"
    )
    assert await value(moving.target, default) == "'app_notes'::text"
    await run(moving.target, "DELETE FROM public.app_notes WHERE id = 99")
    await moving.take_back("attach", "copy", "create")
    assert await dump(moving.target) == before
