"""Hand-made schemas whose objects need each other in a circle, so that no order of whole objects makes them."""

from __future__ import annotations

from tests.postgres.transplant.cases import Case

CIRCLE_CASES = [
    Case(
        "a default that calls a function which reads the same table",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, place int DEFAULT 3);
        CREATE FUNCTION public.next_place() RETURNS int LANGUAGE sql STABLE
            BEGIN ATOMIC SELECT coalesce(max(notes.place), 0) + 1 FROM public.notes; END;
        ALTER TABLE public.notes ADD COLUMN own int DEFAULT public.next_place() NOT NULL;
        COMMENT ON COLUMN public.notes.own IS 'counted'; GRANT SELECT (own) ON public.notes TO pg_monitor;
        COMMENT ON FUNCTION public.next_place() IS 'the next';
        """,
        moves={"public.notes": "public.app_notes"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_notes; ALTER INDEX public.notes_pkey RENAME TO app_notes_pkey;
        """,
    ),
    Case(
        "a domain whose check and default call functions that take the domain",
        """
        CREATE DOMAIN public.level AS int CONSTRAINT low CHECK (VALUE < 100);
        CREATE FUNCTION public.fine(public.level) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1 > 0; END';
        CREATE FUNCTION public.first(public.level[]) RETURNS public.level LANGUAGE sql IMMUTABLE AS 'SELECT $1[1]';
        ALTER DOMAIN public.level ADD CONSTRAINT "Fine one" CHECK (CASE WHEN VALUE > 50 THEN public.fine(VALUE) ELSE true END);
        ALTER DOMAIN public.level SET DEFAULT public.first(NULL::public.level[]);
        COMMENT ON CONSTRAINT "Fine one" ON DOMAIN public.level IS 'above';
        COMMENT ON DOMAIN public.level IS 'how high';
        CREATE TABLE public.notes (id int PRIMARY KEY, l public.level);
        """,
    ),
    Case(
        "a default that takes the table's own row, and a composite type around a domain that is checked with it",
        """
        CREATE TABLE public.notes (id int, a text);
        CREATE FUNCTION public.told(public.notes) RETURNS text LANGUAGE sql AS $$ SELECT coalesce($1.a, 'none') $$;
        ALTER TABLE public.notes ALTER a SET DEFAULT public.told(NULL::public.notes);
        CREATE DOMAIN public.step AS int; CREATE TYPE public.steps AS (one public.step, more public.step[]);
        CREATE FUNCTION public.right_steps(public.steps) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
        ALTER DOMAIN public.step ADD CONSTRAINT right_one CHECK (public.right_steps(ROW(1, NULL)::public.steps));
        ALTER TABLE public.notes ADD COLUMN s public.steps;
        """,
    ),
    Case(
        "functions that call each other, one of them in an argument's default, with parsed bodies",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a int);
        CREATE FUNCTION public.even(n int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION public.odd(n int, m boolean DEFAULT public.even(2)) RETURNS boolean LANGUAGE sql
            RETURN n > 0 AND public.even(n - 1);
        CREATE OR REPLACE FUNCTION public.even(n int) RETURNS boolean LANGUAGE sql
            BEGIN ATOMIC SELECT (n = 0 OR public.odd(n - 1)); SELECT n = 0 OR public.odd(n - 1); END;
        ALTER TABLE public.notes ADD CONSTRAINT is_odd CHECK (public.odd(a));
        REVOKE ALL ON FUNCTION public.even(int) FROM PUBLIC;
        """,
    ),
    Case(
        "a generated column, a view and a materialized one with a function that reads the table and them",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a int);
        CREATE FUNCTION public.most() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
        CREATE VIEW public.seen WITH (security_invoker = true) AS
            SELECT id, 'x'::varchar(5) COLLATE "C" AS t, public.most() AS most FROM public.notes;
        CREATE MATERIALIZED VIEW public.kept AS SELECT id, public.most() AS most FROM public.notes;
        ALTER TABLE public.notes ADD COLUMN g int GENERATED ALWAYS AS (a + public.most()) STORED, ADD COLUMN z int;
        CREATE OR REPLACE FUNCTION public.most() RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC
            SELECT (SELECT max(id) FROM public.notes) + (SELECT count(*)::int FROM public.kept)
                + (SELECT count(*)::int FROM public.seen); END;
        CREATE POLICY p ON public.notes USING (public.most() > 0);
        """,
    ),
    Case(
        "a view whose row type is an argument of a function that it calls",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE VIEW public.seen AS SELECT id, a, NULL::text AS title FROM public.notes;
        CREATE FUNCTION public.title(public.seen) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'x' || $1.a $$;
        CREATE OR REPLACE VIEW public.seen WITH (security_barrier = true) AS
            SELECT n.id, n.a, public.title(ROW(n.id, n.a, '')::public.seen) AS title FROM public.notes AS n
            WHERE n.id > 0 WITH LOCAL CHECK OPTION;
        ALTER VIEW public.seen ALTER a SET DEFAULT 'none';
        COMMENT ON COLUMN public.seen.title IS 'said'; GRANT SELECT (id) ON public.seen TO pg_monitor;
        """,
        moves={"public.notes": "public.app_notes"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_notes; ALTER INDEX public.notes_pkey RENAME TO app_notes_pkey;
        """,
    ),
    Case(
        "an aggregate and a range type whose functions use them",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a int);
        CREATE FUNCTION public.plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
        CREATE AGGREGATE public.total(int) (SFUNC = public.plus, STYPE = int, INITCOND = '0');
        CREATE OR REPLACE FUNCTION public.plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE
            RETURN $1 + $2 + (SELECT public.total(v) FROM (VALUES (0)) AS x(v)) * 0;
        CREATE FUNCTION public.gap(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
        CREATE TYPE public.span AS RANGE (subtype = float8, subtype_diff = public.gap);
        CREATE OR REPLACE FUNCTION public.gap(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE
            RETURN $1 - $2 + CASE WHEN isempty('empty'::public.span) THEN 0 END;
        CREATE VIEW public.sums AS SELECT public.total(a) AS t, public.span(1, 2) AS s FROM public.notes;
        """,
    ),
]
