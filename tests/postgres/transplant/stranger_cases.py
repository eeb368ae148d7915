"""Schemas as a stranger may have them who never thought of moving: code in strings, half of it there, silent casts."""

from __future__ import annotations

from tests.postgres.transplant.cases import Case
from tests.postgres.transplant.nasty_cases import BOTH

_HALF = """
CREATE TYPE public.kind AS ENUM ('a', 'b');
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
CREATE TABLE public.notes (id int PRIMARY KEY, k public.kind NOT NULL DEFAULT 'a', at timestamptz);
REVOKE ALL ON public.notes FROM anon, authenticated, service_role;
REVOKE ALL ON FUNCTION public.touch() FROM PUBLIC, anon, authenticated, service_role;
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
"""

STRANGER_CASES = [
    Case(
        "operators that name each other, and one that only a body uses",
        """
        CREATE FUNCTION public.alike(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE
            AS 'SELECT lower($1) OPERATOR(pg_catalog.=) lower($2)';
        CREATE FUNCTION public.unlike(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE
            AS 'SELECT NOT public.alike($1, $2)';
        CREATE OPERATOR public.==== (FUNCTION = public.alike, LEFTARG = text, RIGHTARG = text, COMMUTATOR = OPERATOR(public.====),
            NEGATOR = OPERATOR(public.!==!), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
        CREATE OPERATOR public.!==! (FUNCTION = public.unlike, LEFTARG = text, RIGHTARG = text,
            COMMUTATOR = OPERATOR(public.!==!), NEGATOR = OPERATOR(public.====));
        CREATE OPERATOR public.@#@ (FUNCTION = pg_catalog.upper, RIGHTARG = text);
        COMMENT ON OPERATOR public.==== (text, text) IS 'alike'; COMMENT ON OPERATOR public.@#@ (NONE, text) IS 'loud';
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, CONSTRAINT c CHECK (a OPERATOR(public.====) a),
            big text GENERATED ALWAYS AS (OPERATOR(public.@#@) a) STORED);
        ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON public.notes USING (NOT a OPERATOR(public.====) 'secret');
        CREATE INDEX notes_alike ON public.notes ((a OPERATOR(public.====) 'x')) WHERE a OPERATOR(public.====) 'y';
        CREATE FUNCTION public.near(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) < 3';
        CREATE OPERATOR public.~=~ (FUNCTION = public.near, LEFTARG = int, RIGHTARG = int);
        CREATE FUNCTION public.around(int) RETURNS SETOF public.notes LANGUAGE plpgsql SET search_path = public
            AS $$ BEGIN RETURN QUERY SELECT * FROM notes WHERE id ~=~ $1; END $$;
        """,
    ),
    Case(
        "casts that expressions use in silence",
        """
        CREATE TYPE public.kind AS ENUM ('a', 'b');
        CREATE FUNCTION public.to_kind(int) RETURNS public.kind LANGUAGE sql IMMUTABLE
            AS $$ SELECT (ARRAY['a', 'b'])[$1]::public.kind $$;
        CREATE FUNCTION public.weight(public.kind) RETURNS int LANGUAGE sql IMMUTABLE
            AS $$ SELECT array_position(enum_range(NULL::public.kind), $1) $$;
        CREATE CAST (int AS public.kind) WITH FUNCTION public.to_kind(int) AS ASSIGNMENT;
        CREATE CAST (public.kind AS int) WITH FUNCTION public.weight(public.kind) AS IMPLICIT;
        CREATE CAST (varchar AS public.kind) WITH INOUT AS IMPLICIT;
        COMMENT ON CAST (public.kind AS int) IS 'how heavy';
        CREATE TABLE public.notes (id int PRIMARY KEY, k public.kind DEFAULT (1)::public.kind, w int, v varchar,
            twice int GENERATED ALWAYS AS (k + 1) STORED, CONSTRAINT heavy CHECK (k > 0));
        CREATE VIEW public.heavy AS SELECT id, k + w AS total FROM public.notes WHERE k > w;
        """,
        moves={"public.notes": "public.app_items"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_items; ALTER INDEX public.notes_pkey RENAME TO app_items_pkey;
        """,
    ),
    Case(
        "ordered-set and hypothetical aggregates",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a float8);
        CREATE FUNCTION public.nth_step(float8[], float8) RETURNS float8[] LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2';
        CREATE FUNCTION public.nth_final(float8[], int) RETURNS float8 LANGUAGE sql IMMUTABLE
            AS 'SELECT ($1)[$2]';
        CREATE AGGREGATE public.nth(place int ORDER BY value float8) (SFUNC = public.nth_step, STYPE = float8[],
            FINALFUNC = public.nth_final, INITCOND = '{}');
        CREATE FUNCTION public.rank_final(float8[], float8) RETURNS bigint LANGUAGE sql IMMUTABLE
            AS 'SELECT count(*) + 1 FROM unnest($1) AS v WHERE v < $2';
        CREATE AGGREGATE public.place_of(float8 ORDER BY float8) (SFUNC = public.nth_step, STYPE = float8[],
            FINALFUNC = public.rank_final, INITCOND = '{}', HYPOTHETICAL);
        COMMENT ON AGGREGATE public.nth(int ORDER BY float8) IS 'the nth';
        REVOKE ALL ON FUNCTION public.nth(int, float8) FROM PUBLIC, anon;
        CREATE VIEW public.thirds AS
            SELECT public.nth(3) WITHIN GROUP (ORDER BY n.a DESC) AS third, public.place_of(1) WITHIN GROUP (ORDER BY n.a) AS p
            FROM public.notes AS n;
        """,
    ),
    Case(
        "a target that already has half of it",
        _HALF
        + """
        CREATE TABLE public.marks (id int PRIMARY KEY, note int REFERENCES public.notes ON DELETE CASCADE);
        CREATE INDEX notes_at ON public.notes (at DESC);
        CREATE TRIGGER touched BEFORE UPDATE ON public.notes FOR EACH ROW EXECUTE FUNCTION public.touch();
        CREATE POLICY p ON public.notes USING (id IN (SELECT note FROM public.marks));
        """,
        moves=BOTH,
        target=_HALF,
    ),
    Case(
        "views on views on materialized views, with options, defaults and grants of their own",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, secret text);
        CREATE VIEW public.one WITH (security_invoker = true, security_barrier = true) AS
            SELECT id, a FROM public.notes WHERE a IS NOT NULL WITH LOCAL CHECK OPTION;
        ALTER VIEW public.one ALTER COLUMN a SET DEFAULT 'x';
        CREATE MATERIALIZED VIEW public.two (number, text) AS SELECT id, upper(a) FROM public.one;
        CREATE UNIQUE INDEX two_number ON public.two (number) INCLUDE (text);
        CREATE VIEW public.three AS SELECT t.*, o.a FROM public.two AS t JOIN public.one AS o ON o.id = t.number;
        CREATE MATERIALIZED VIEW public.four AS TABLE public.three WITH NO DATA;
        GRANT SELECT (id) ON public.one TO pg_monitor; REVOKE ALL ON public.three FROM anon, authenticated;
        CREATE FUNCTION public.through() RETURNS SETOF public.three LANGUAGE sql STABLE BEGIN ATOMIC
            SELECT * FROM public.three; END;
        """,
    ),
    Case(
        "domains over enums, checked by functions that call others, in arrays and defaults",
        """
        CREATE TYPE public.kind AS ENUM ('a', 'B c', '');
        CREATE FUNCTION public.inner_ok(public.kind) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 <> '' $$;
        CREATE FUNCTION public.ok(public.kind) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
            AS $$ BEGIN RETURN public.inner_ok($1); END $$;
        CREATE DOMAIN public.good AS public.kind DEFAULT 'a' CONSTRAINT fine CHECK (public.ok(VALUE));
        CREATE DOMAIN public.goods AS public.good[] CHECK (cardinality(VALUE) < 9);
        ALTER DOMAIN public.goods ADD CONSTRAINT later CHECK (VALUE IS NOT NULL) NOT VALID;
        CREATE TABLE public.notes (id int PRIMARY KEY, g public.good, gs public.goods DEFAULT ARRAY['B c'::public.good],
            many public.good[] DEFAULT '{}', k text GENERATED ALWAYS AS (CASE WHEN public.ok(g) THEN 'y' END) STORED);
        CREATE INDEX notes_good ON public.notes ((public.ok(g::public.kind))) WHERE g::public.kind <> 'a';
        """,
    ),
    Case(
        "row types, in columns, arguments, arrays and domains",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE TABLE public.marks (id int PRIMARY KEY, note public.notes, notes public.notes[] DEFAULT '{}');
        CREATE DOMAIN public.full_note AS public.notes CHECK ((VALUE).a <> '');
        ALTER TABLE public.marks ADD COLUMN checked public.full_note;
        CREATE FUNCTION public.title(public.notes) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.a || $1.id';
        CREATE FUNCTION public.pack(VARIADIC n public.notes[]) RETURNS SETOF public.marks LANGUAGE plpgsql
            AS $$ DECLARE r public.notes%ROWTYPE; m public.marks; BEGIN
                SELECT * INTO r FROM public.notes; RETURN QUERY SELECT * FROM public.marks WHERE note = r; END $$;
        CREATE VIEW public.titled AS SELECT public.title(n) AS title, (m.note).a FROM public.notes AS n, public.marks AS m;
        """,
        moves=BOTH,
    ),
    # A name that is handed to %I may be anything: it stays, and its line is shown to the operator.
    Case(
        "code in strings: dynamic SQL, dollars in dollars, and the table's name where it means nothing",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, notes text DEFAULT 'notes');
        CREATE FUNCTION public.count_all() RETURNS bigint LANGUAGE plpgsql AS $f$
            DECLARE found bigint; BEGIN
                EXECUTE 'SELECT count(*) FROM public.notes' INTO found;
                EXECUTE format($q$ SELECT count(*) FROM public.%I WHERE notes = $1 $q$, 'notes') INTO found USING 'notes';
                EXECUTE 'DO $x$ BEGIN PERFORM 1 FROM public.notes; END $x$';
                RETURN found; END $f$;
        CREATE FUNCTION public.quoted() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
            RETURN $function$ it's $notes$ a 'name' $notes$ $function$ || (SELECT max(n.notes) FROM public.notes n); END $$;
        CREATE PROCEDURE public.clean(INOUT n int DEFAULT 3) LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
            AS $$ BEGIN DELETE FROM public.notes WHERE id = n; COMMIT; END $$;
        """,
        moves={"public.notes": "public.app_items"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_items; ALTER INDEX public.notes_pkey RENAME TO app_items_pkey;
        CREATE OR REPLACE FUNCTION public.count_all() RETURNS bigint LANGUAGE plpgsql AS $f$
            DECLARE found bigint; BEGIN
                EXECUTE 'SELECT count(*) FROM public.app_items' INTO found;
                EXECUTE format($q$ SELECT count(*) FROM public.%I WHERE notes = $1 $q$, 'notes') INTO found USING 'notes';
                EXECUTE 'DO $x$ BEGIN PERFORM 1 FROM public.app_items; END $x$';
                RETURN found; END $f$;
        CREATE OR REPLACE FUNCTION public.quoted() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
            RETURN $function$ it's $notes$ a 'name' $notes$ $function$ || (SELECT max(n.notes) FROM public.app_items n); END $$;
        CREATE OR REPLACE PROCEDURE public.clean(INOUT n int DEFAULT 3) LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
            AS $$ BEGIN DELETE FROM public.app_items WHERE id = n; COMMIT; END $$;
        """,
    ),
    Case(
        "triggers with transition tables, columns and whole rows, in a fixed order and on a view",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, "b c" int);
        CREATE FUNCTION public.count_them() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM count(*) FROM fresh JOIN stale USING (id); RETURN NULL; END $$;
        CREATE TRIGGER "B first" AFTER UPDATE ON public.notes REFERENCING NEW TABLE AS fresh OLD TABLE AS stale
            FOR EACH STATEMENT EXECUTE FUNCTION public.count_them();
        CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER a BEFORE UPDATE OF a, "b c" ON public.notes FOR EACH ROW
            WHEN (OLD.* IS DISTINCT FROM NEW.* AND NEW."b c" > 3) EXECUTE FUNCTION public.keep('notes', 'it''s', '3');
        CREATE VIEW public.shown AS SELECT id, "b c" AS "notes" FROM public.notes;
        CREATE TRIGGER instead INSTEAD OF INSERT OR DELETE ON public.shown FOR EACH ROW EXECUTE FUNCTION public.keep();
        ALTER TABLE public.notes ENABLE ALWAYS TRIGGER a;
        COMMENT ON TRIGGER instead ON public.shown IS E'in\\nstead';
        """,
    ),
    Case(
        "policies that look into each other's tables, through views and definers",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, owner uuid);
        CREATE TABLE public.marks (note int REFERENCES public.notes, who uuid, PRIMARY KEY (note, who));
        ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY; ALTER TABLE public.notes FORCE ROW LEVEL SECURITY;
        ALTER TABLE public.marks ENABLE ROW LEVEL SECURITY;
        CREATE VIEW public.mine AS SELECT note FROM public.marks WHERE who = auth.uid();
        CREATE FUNCTION public.may(note int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
            AS $$ SELECT EXISTS (SELECT FROM public.mine AS m WHERE m.note = $1) $$;
        CREATE POLICY "see: [mine]" ON public.notes FOR SELECT TO authenticated, anon
            USING (owner = auth.uid() OR public.may(id) OR EXISTS (SELECT FROM public.mine WHERE mine.note = notes.id));
        CREATE POLICY write ON public.marks AS RESTRICTIVE FOR INSERT TO authenticated
            WITH CHECK (note IN (SELECT n.id FROM public.notes AS n WHERE n.owner = auth.uid()) AND auth.role() <> 'anon');
        CREATE POLICY everything ON public.marks TO service_role USING (true) WITH CHECK (true);
        """,
        moves={"public.notes": "public.vault_notes", "public.marks": "public.vault_marks"},
        rename="""
        ALTER TABLE public.notes RENAME TO vault_notes; ALTER TABLE public.marks RENAME TO vault_marks;
        ALTER INDEX public.notes_pkey RENAME TO vault_notes_pkey; ALTER INDEX public.marks_pkey RENAME TO vault_marks_pkey;
        ALTER TABLE public.vault_marks RENAME CONSTRAINT marks_note_fkey TO vault_marks_note_fkey;
        """,
    ),
    Case(
        "functions with defaults, enums of two schemas, and a helper that only another helper calls",
        """
        CREATE SCHEMA helpers; CREATE TYPE helpers.mode AS ENUM ('x');
        CREATE TYPE public.mode AS ENUM ('y');
        CREATE SEQUENCE helpers.ticket;
        CREATE FUNCTION helpers.deep(m helpers.mode DEFAULT 'x', n bigint DEFAULT nextval('helpers.ticket')) RETURNS text
            LANGUAGE sql VOLATILE AS $$ SELECT m::text || n $$;
        CREATE FUNCTION helpers.middle() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN helpers.deep(); END $$;
        CREATE TABLE public.notes (id int PRIMARY KEY, a text DEFAULT helpers.middle(), m helpers.mode, m2 public.mode);
        GRANT USAGE ON SCHEMA helpers TO anon; REVOKE ALL ON FUNCTION helpers.middle() FROM PUBLIC;
        """,
    ),
]
