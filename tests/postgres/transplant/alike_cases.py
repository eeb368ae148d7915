"""Hand-made schemas in which names must be told apart: tables alike in two schemas, and functions of a table's row."""

from __future__ import annotations

from tests.postgres.transplant.cases import Case

_TWO = """
CREATE SCHEMA audit;
CREATE TABLE public.notes (id int PRIMARY KEY, a text); CREATE TABLE audit.notes (id int PRIMARY KEY, a text);
"""
_BOTH_RENAMED = """
ALTER TABLE public.notes RENAME TO app_notes; ALTER INDEX public.notes_pkey RENAME TO app_notes_pkey;
ALTER TABLE audit.notes RENAME TO old; ALTER INDEX audit.notes_pkey RENAME TO old_pkey;
"""

_SCHEMA = "CREATE SCHEMA app;"
_PATHS = """
CREATE {0}FUNCTION public.of_audit() RETURNS bigint LANGUAGE sql SET search_path = app, audit, public
    AS $$ SELECT count(*) FROM {2} WHERE {2}.id > 0 $$;
CREATE {0}FUNCTION audit.of_public() RETURNS bigint LANGUAGE sql SET search_path = app, public, audit
    AS $$ SELECT count(*) FROM {1} WHERE {1}.id > 0 $$;
CREATE {0}FUNCTION public.of_users() RETURNS bigint LANGUAGE plpgsql SET search_path = "$user", audit, public
    AS $$ BEGIN RETURN (SELECT max({2}.id) FROM {2}); END $$;
CREATE {0}FUNCTION app.of_nobody() RETURNS bigint LANGUAGE plpgsql SET search_path = "$user", public, pg_temp
    AS $$ DECLARE n {1}%ROWTYPE; BEGIN SELECT * INTO n FROM {1}; RETURN n.id; END $$;
CREATE {0}FUNCTION audit.without_path() RETURNS bigint LANGUAGE plpgsql
    AS $$ BEGIN RETURN (SELECT count(*) FROM {2} JOIN public.{1} AS p USING (id)); END $$;
"""

ALIKE_CASES = [
    Case(
        "functions that look for a table of two schemas along a path",
        _TWO + _SCHEMA + _PATHS.format("", "notes", "notes"),
        moves={"public.notes": "public.app_notes", "audit.notes": "audit.notes"},
        rename=_BOTH_RENAMED.partition("ALTER TABLE audit")[0] + _PATHS.format("OR REPLACE ", "app_notes", "notes"),
    ),
    Case(
        "functions that look along a path for tables that are alike and both renamed",
        _TWO + _SCHEMA + _PATHS.format("", "notes", "notes"),
        moves={"public.notes": "public.app_notes", "audit.notes": "audit.old"},
        rename=_BOTH_RENAMED + _PATHS.format("OR REPLACE ", "app_notes", "old"),
    ),
    # The server tells the second one by a number in what it prints; the number stays, and means the same.
    Case(
        "two tables alike in one view, one policy and one body, none with another name there",
        _TWO
        + """
        CREATE VIEW public.both AS SELECT public.notes.id, audit.notes.a FROM public.notes, audit.notes
            WHERE public.notes.id = audit.notes.id;
        CREATE POLICY p ON public.notes USING (EXISTS (SELECT FROM audit.notes WHERE audit.notes.id = public.notes.id));
        CREATE FUNCTION public.count_both() RETURNS bigint LANGUAGE sql
            AS $$ SELECT count(*) FROM public.notes, audit.notes WHERE public.notes.id = audit.notes.id $$;
        CREATE VIEW public.longest AS SELECT (SELECT max(notes.id) FROM audit.notes) AS a,
            (SELECT max(notes.id) FROM public.notes) AS b
            UNION SELECT notes.id, n FROM audit.notes, unnest(ARRAY[1]) AS n
            UNION SELECT notes.id, n FROM public.notes, unnest(ARRAY[2]) AS n;
        CREATE FUNCTION public.count_parsed() RETURNS bigint LANGUAGE sql RETURN (
            SELECT count(*) FROM audit.notes, public.notes WHERE public.notes.a = audit.notes.a);
        """,
        moves={"public.notes": "public.app_notes", "audit.notes": "audit.old"},
        rename=_BOTH_RENAMED
        + """
        ALTER POLICY p ON public.app_notes
            USING (EXISTS (SELECT FROM audit.old AS notes_1 WHERE notes_1.id = app_notes.id));
        CREATE OR REPLACE VIEW public.both AS SELECT app_notes.id, notes_1.a FROM public.app_notes, audit.old AS notes_1
            WHERE app_notes.id = notes_1.id;
        CREATE OR REPLACE FUNCTION public.count_both() RETURNS bigint LANGUAGE sql
            AS $$ SELECT count(*) FROM public.app_notes, audit.old WHERE public.app_notes.id = audit.old.id $$;
        CREATE OR REPLACE FUNCTION public.count_parsed() RETURNS bigint LANGUAGE sql RETURN (
            SELECT count(*) FROM audit.old, public.app_notes AS notes_1 WHERE notes_1.a = old.a);
        """,
    ),
    Case(
        "a generated column, a default, a check and an index of functions that take the table's own row",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, b text);
        CREATE FUNCTION public.shown(public.notes) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1.id || $1.a $$;
        CREATE FUNCTION public.packed(public.notes[], VARIADIC public.notes[]) RETURNS text LANGUAGE sql IMMUTABLE
            AS $$ SELECT $1[1].a $$;
        ALTER TABLE public.notes ADD c text GENERATED ALWAYS AS (public.shown(NULL::public.notes)) STORED;
        ALTER TABLE public.notes ADD d text DEFAULT public.packed(NULL, NULL::public.notes), ALTER b SET NOT NULL;
        ALTER TABLE public.notes ADD CONSTRAINT fine CHECK (public.shown(notes) <> '');
        CREATE INDEX notes_shown ON public.notes (public.shown(notes));
        CREATE POLICY p ON public.notes USING (public.shown(notes.*) <> 'x');
        COMMENT ON FUNCTION public.shown(public.notes) IS 'shown';
        """,
        moves={"public.notes": "public.items"},
        rename="""
        ALTER TABLE public.notes RENAME TO items; ALTER INDEX public.notes_pkey RENAME TO items_pkey;
        ALTER INDEX public.notes_shown RENAME TO items_shown;
        """,
    ),
    Case(
        "functions of a row whose table's name is a word of SQL",
        """
        CREATE TABLE public."order" (id int PRIMARY KEY, a text);
        CREATE FUNCTION public.shown(public."order", OUT x text) LANGUAGE sql IMMUTABLE AS $$ SELECT $1.a $$;
        CREATE FUNCTION public.later(int, public."order") RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $2.id';
        CREATE AGGREGATE public.last_of(public."order") (SFUNC = public.later, STYPE = int, INITCOND = '0');
        CREATE TABLE public."Group" (id int PRIMARY KEY);
        CREATE FUNCTION public.of_group(g public."Group", "group" public."Group"[] DEFAULT '{}') RETURNS int
            LANGUAGE sql IMMUTABLE RETURN g.id;
        """,
        moves={"public.order": "public.user", "public.Group": "public.things"},
        rename="""
        ALTER TABLE public."order" RENAME TO "user"; ALTER INDEX public.order_pkey RENAME TO user_pkey;
        ALTER TABLE public."Group" RENAME TO things; ALTER INDEX public."Group_pkey" RENAME TO things_pkey;
        """,
    ),
]
