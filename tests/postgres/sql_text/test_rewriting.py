"""Text follows renames by where names stand in it, and keeps everything else to the letter."""

from __future__ import annotations

from dataclasses import replace

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
            "e OPERATOR(extensions.<=>) '[1]'::extensions.vector(3)",
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
        ("nextval('notes')", "nextval('app_notes')"),
        ("pg_get_serial_sequence('public.notes', 'id')", "pg_get_serial_sequence('public.app_notes', 'id')"),
        ("pg_catalog.setval( 'notes', 4)", "pg_catalog.setval( 'app_notes', 4)"),
        ("NULL::'kind'::regtype", "NULL::'app_kind'::regtype"),
        ("to_regtype('kind')", "to_regtype('app_kind')"),
        ("'touch'::regproc", "'app_touch'::regproc"),
        ("'touch(int)'::regprocedure", "'app_touch(int)'::regprocedure"),
        ("IF TG_TABLE_NAME = 'notes' THEN", "IF TG_TABLE_NAME = 'app_notes' THEN"),
        ("IF 'notes' <> tg_relname THEN", "IF 'app_notes' <> tg_relname THEN"),
        ("TG_TABLE_NAME NOT IN ('x', 'notes','y')", "TG_TABLE_NAME NOT IN ('x', 'app_notes','y')"),
        ("TG_OP = 'notes'", "TG_OP = 'notes'"),
        ("EXECUTE 'SELECT ''x'' FROM notes'", "EXECUTE 'SELECT ''x'' FROM app_notes'"),
        ("EXECUTE E'SELECT 1 FROM notes'", "EXECUTE E'SELECT 1 FROM app_notes'"),
        ("format('%I', 'notes')", "format('%I', 'notes')"),
    ],
)
def test_written_text_follows_names_by_their_place(before: str, after: str) -> None:
    assert rewrite_written(before, RENAMES) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("format('%I.%I', 'public', 'notes')", "format('%I.%I', 'public', 'app_notes')"),
        ("format('%I', $q$notes$q$)", "format('%I', $q$app_notes$q$)"),
        ("'Old'", "'New One'"),
        ("'notes '", "'app_notes '"),
        ("'{notes, marks,\"Old\"}'", "'{app_notes, marks,\"New One\"}'"),
        ("'SELECT * FROM ' || 'notes WHERE id = 1'", "'SELECT * FROM ' || 'app_notes WHERE id = 1'"),
        ("c = 'notes_pkey'", "c = 'app_notes_pkey'"),
        ("EXECUTE 'SELECT format(''%I'', ''notes'')'", "EXECUTE 'SELECT format(''%I'', ''app_notes'')'"),
        ("RAISE 'no such notes'", "RAISE 'no such notes'"),
        ("'notes are here'", "'notes are here'"),
        ("'my_notes'", "'my_notes'"),
        ("'Notes'", "'Notes'"),
        ("SELECT notes FROM c", "SELECT notes FROM c"),
        ("B'101'", "B'101'"),
    ],
)
def test_strings_follow_where_they_are_said_to_mean_names_and_say_nothing_else(before: str, after: str) -> None:
    assert rewrite_written(before, replace(RENAMES, strings=True)) == after
    assert rewrite_written(before, RENAMES) == before


def test_a_name_with_a_quote_in_it_stays_one_in_a_string() -> None:
    renames = Renames(relations={("public", "it's"): ("public", "that's")}, strings=True)
    before = "EXECUTE 'SELECT 1 FROM \"it''s\"' || 'it''s'"
    assert rewrite_written(before, renames) == "EXECUTE 'SELECT 1 FROM \"that''s\"' || 'that''s'"


def test_lines_that_still_hold_an_old_name_are_shown() -> None:
    body = "SELECT 1;\n-- of notes\nRAISE 'touch';\nSELECT app_notes"
    assert leftovers(body, RENAMES) == ("-- of notes", "RAISE 'touch';")
    asking = "IF tg_table_schema = 'public' THEN"
    elsewhere = Renames(relations={("public", "notes"): ("app", "notes")})
    assert (leftovers(asking, RENAMES), leftovers(asking, elsewhere)) == ((), (asking,))


@given(st.text())
def test_no_text_loses_a_character(text: str) -> None:
    assert "".join(token.text for token in tokens(text)) == text
    assert rewrite_printed(text, Renames()) == text
    assert rewrite_written(text, Renames()) == text
    assert rewrite_written(text, Renames(strings=True)) == text


def test_definitions_that_differ_in_white_space_and_quoting_only_are_equal() -> None:
    assert canonical('SELECT "a"\n FROM  B -- why') == canonical("select a from b")
    assert canonical("SELECT 'A'") != canonical("SELECT 'a'")
    assert canonical('"A"') != canonical("a")
