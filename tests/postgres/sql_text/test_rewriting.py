"""Text follows renames by where names stand in it, and keeps everything else to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekup_migrate.postgres.sql_text.rewriting import Renames, leftovers, rewrite_printed, rewrite_written
from tekup_migrate.postgres.sql_text.tokens import canonical, tokens

RENAMES = Renames(
    relations={("public", "notes"): ("public", "app_notes"), ("public", "Old"): ("public", "New One")},
    types={("public", "kind"): ("public", "app_kind")},
    functions={("public", "touch"): ("public", "app_touch")},
    members={("public", "vector"): ("extensions", "vector"), ("public", "<=>"): ("extensions", "<=>")},
    constraints={"notes_pkey": "app_notes_pkey"},
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("public.notes", "public.app_notes"),
        ("'a'::public.kind", "'a'::public.app_kind"),
        ("(notes.owner = auth.uid())", "(app_notes.owner = auth.uid())"),
        ("nextval('public.notes'::regclass)", "nextval('public.app_notes'::regclass)"),
        ("'public.notes'::text", "'public.notes'::text"),
        (
            "e OPERATOR(public.<=>) '[1]'::public.vector(3)",
            'e OPERATOR("extensions".<=>) \'[1]\'::"extensions".vector(3)',
        ),
        ("EXECUTE FUNCTION public.touch()", "EXECUTE FUNCTION public.app_touch()"),
        ('public."Old"."Old"', 'public."New One"."Old"'),
        ("SELECT notes.a FROM public.other notes", "SELECT notes.a FROM public.other notes"),
        ("WITH notes AS (SELECT 1) SELECT notes.a FROM notes", "WITH notes AS (SELECT 1) SELECT notes.a FROM notes"),
        ("(notes > 1)", "(notes > 1)"),
        ("other.notes", "other.notes"),
    ],
)
def test_printed_text_follows_qualified_names_and_prefixes_only(before: str, after: str) -> None:
    assert rewrite_printed(before, RENAMES) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SELECT notes FROM notes WHERE notes.id = 1", "SELECT notes FROM app_notes WHERE app_notes.id = 1"),
        ("SELECT * FROM a, notes n, b", "SELECT * FROM a, app_notes n, b"),
        ("SELECT a, notes, b FROM c", "SELECT a, notes, b FROM c"),
        ("SELECT f(a, notes) FROM c", "SELECT f(a, notes) FROM c"),
        ("SELECT * FROM c JOIN NOTES ON true", "SELECT * FROM c JOIN app_notes ON true"),
        ("INSERT INTO notes (id, notes) VALUES (1, 2)", "INSERT INTO app_notes (id, notes) VALUES (1, 2)"),
        ("UPDATE ONLY notes SET a = 1", "UPDATE ONLY app_notes SET a = 1"),
        ("DELETE FROM public.notes", "DELETE FROM public.app_notes"),
        ("DECLARE r notes%ROWTYPE; k kind; n int;", "DECLARE r app_notes%ROWTYPE; k app_kind; n int;"),
        ("x::kind", "x::app_kind"),
        ("SELECT kind FROM t", "SELECT kind FROM t"),
        ("PERFORM touch(1)", "PERFORM app_touch(1)"),
        ("EXECUTE 'SELECT 1 FROM notes'", "EXECUTE 'SELECT 1 FROM app_notes'"),
        ("RAISE 'no such notes'", "RAISE 'no such notes'"),
        ("to_regclass('notes')", "to_regclass('app_notes')"),
        ("-- from notes\nSELECT 1", "-- from notes\nSELECT 1"),
        ("ON CONFLICT ON CONSTRAINT notes_pkey DO NOTHING", "ON CONFLICT ON CONSTRAINT app_notes_pkey DO NOTHING"),
        ("WITH notes AS (SELECT 1) SELECT * FROM notes", "WITH notes AS (SELECT 1) SELECT * FROM notes"),
        ('SELECT * FROM "Old"', 'SELECT * FROM "New One"'),
        ("SELECT * FROM old", "SELECT * FROM old"),
    ],
)
def test_written_text_follows_names_by_their_place(before: str, after: str) -> None:
    assert rewrite_written(before, RENAMES) == after


def test_lines_that_still_hold_an_old_name_are_shown() -> None:
    body = "SELECT 1;\n-- of notes\nRAISE 'touch';\nSELECT app_notes"
    assert leftovers(body, RENAMES) == ("-- of notes", "RAISE 'touch';")


@given(st.text())
def test_no_text_loses_a_character(text: str) -> None:
    assert "".join(token.text for token in tokens(text)) == text
    assert rewrite_printed(text, Renames()) == text
    assert rewrite_written(text, Renames()) == text


def test_definitions_that_differ_in_white_space_and_quoting_only_are_equal() -> None:
    assert canonical('SELECT "a"\n FROM  B -- why') == canonical("select a from b")
    assert canonical("SELECT 'A'") != canonical("SELECT 'a'")
    assert canonical('"A"') != canonical("a")
