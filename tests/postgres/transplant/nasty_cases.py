"""Nastier hand-made schemas: several features of Postgres at once, and names and texts made to confuse."""

from __future__ import annotations

from tests.postgres.transplant.cases import Case

BOTH = {"public.marks": "public.marks", "public.notes": "public.notes"}

NASTY_CASES = [
    Case(
        "columns that were dropped, with grants, comments and statistics behind them",
        """
        CREATE TABLE public.notes (gone int, id int PRIMARY KEY, also_gone text, a text, b int);
        ALTER TABLE public.notes DROP COLUMN gone, DROP COLUMN also_gone;
        CREATE INDEX notes_two ON public.notes (a, (b + 1)); ALTER INDEX public.notes_two ALTER COLUMN 2 SET STATISTICS 9;
        REVOKE ALL ON public.notes FROM anon; GRANT SELECT (a) ON public.notes TO anon;
        COMMENT ON COLUMN public.notes.b IS 'the last';
        CREATE STATISTICS public.notes_both (mcv) ON a, b FROM public.notes;
        """,
    ),
    Case(
        "rules with conditions and several actions, on a table and on a view",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE TABLE public.marks (id int, a text);
        CREATE RULE logs AS ON UPDATE TO public.notes WHERE old.a <> new.a
            DO ALSO (INSERT INTO public.marks VALUES (old.id, old.a); UPDATE public.marks SET a = new.a WHERE id = new.id);
        CREATE VIEW public.seen AS SELECT id, a FROM public.notes;
        CREATE RULE through AS ON INSERT TO public.seen DO INSTEAD INSERT INTO public.notes VALUES (new.id, new.a)
            RETURNING notes.id, notes.a;
        ALTER TABLE public.notes DISABLE RULE logs;
        """,
        moves=BOTH,
    ),
    Case(
        "views that recurse, window, unnest and see whole rows, and materialized ones on each other",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, parent int, a text[], at timestamptz);
        CREATE RECURSIVE VIEW public.tree (id, depth) AS
            SELECT id, 0 FROM public.notes WHERE parent IS NULL
            UNION ALL SELECT n.id, t.depth + 1 FROM public.notes AS n JOIN tree AS t ON n.parent = t.id;
        CREATE VIEW public.windows AS SELECT id, row_number() OVER (PARTITION BY parent ORDER BY at DESC NULLS LAST) AS n,
            count(*) FILTER (WHERE at IS NOT NULL) OVER w AS m FROM public.notes WINDOW w AS (ORDER BY id ROWS 3 PRECEDING);
        CREATE VIEW public.rows AS SELECT n::text AS whole, (n).id AS one, u.v, u.place FROM public.notes AS n,
            LATERAL unnest(n.a) WITH ORDINALITY AS u(v, place);
        CREATE MATERIALIZED VIEW public.first AS SELECT id FROM public.notes;
        CREATE MATERIALIZED VIEW public.second AS SELECT id + 1 AS id FROM public.first WITH NO DATA;
        CREATE INDEX second_id ON public.second (id) WITH (fillfactor = 60);
        CREATE VIEW public.third AS TABLE public.first UNION ALL TABLE public.second;
        """,
    ),
    Case(
        "domains over domains, composites in composites and arrays of both",
        """
        CREATE DOMAIN public.small AS int CHECK (VALUE < 100);
        CREATE DOMAIN public.smaller AS public.small DEFAULT 7 CONSTRAINT tiny CHECK (VALUE < 10) CHECK (VALUE <> 3);
        CREATE TYPE public.inner_pair AS (a public.smaller, b text[]);
        CREATE TYPE public.outer_pair AS (p public.inner_pair, ps public.inner_pair[], "Odd name" numeric(8, 3));
        CREATE DOMAIN public.pairs AS public.outer_pair[] CHECK (cardinality(VALUE) < 5);
        CREATE TYPE public.days AS RANGE (subtype = date, multirange_type_name = public."Days");
        CREATE TABLE public.notes (
            id public.smaller PRIMARY KEY, o public.outer_pair, ps public.pairs, d public.days, ds public."Days",
            CONSTRAINT deep CHECK (((o).p).a < 9), EXCLUDE USING gist (d WITH &&) DEFERRABLE
        );
        CREATE INDEX notes_deep ON public.notes ((((o).p).b));
        """,
    ),
    Case(
        "a column, an alias and a function with the renamed table's name",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, notes text);
        CREATE FUNCTION public.notes(n int) RETURNS text LANGUAGE sql STABLE
            AS $$ SELECT notes.notes FROM public.notes WHERE notes.id = n $$;
        CREATE VIEW public.said AS SELECT x.notes AS notes, notes.id FROM public.notes AS x JOIN public.notes ON true;
        """,
        moves={"public.notes": "public.app_notes"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_notes; ALTER INDEX public.notes_pkey RENAME TO app_notes_pkey;
        CREATE OR REPLACE FUNCTION public.notes(n int) RETURNS text LANGUAGE sql STABLE
            AS $$ SELECT app_notes.notes FROM public.app_notes WHERE app_notes.id = n $$;
        """,
    ),
    Case(
        "foreign keys with column lists, full matches and unproved ones",
        """
        CREATE TABLE public.notes (a int, b int, c int, PRIMARY KEY (a, b), UNIQUE NULLS NOT DISTINCT (c));
        CREATE TABLE public.marks (id int, a int, b int, c int,
            FOREIGN KEY (a, b) REFERENCES public.notes (a, b) ON DELETE SET NULL (b) ON UPDATE SET DEFAULT,
            CONSTRAINT full_match FOREIGN KEY (a, b) REFERENCES public.notes MATCH FULL INITIALLY DEFERRED,
            CONSTRAINT by_c FOREIGN KEY (c) REFERENCES public.notes (c) ON DELETE RESTRICT);
        ALTER TABLE public.marks ADD CONSTRAINT unproved FOREIGN KEY (a, b) REFERENCES public.notes NOT VALID;
        COMMENT ON CONSTRAINT by_c ON public.marks IS 'by c';
        """,
        moves=BOTH,
    ),
    Case(
        "indexes of every method with parameters of operator classes",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, p point, r int4range, j jsonb, x tsvector, u inet);
        CREATE INDEX notes_hash ON public.notes USING hash (a) WITH (fillfactor = 50);
        CREATE INDEX notes_spgist ON public.notes USING spgist (p kd_point_ops) INCLUDE (id);
        CREATE INDEX notes_gist ON public.notes USING gist (x tsvector_ops (siglen = 300), r);
        CREATE INDEX notes_gin ON public.notes USING gin (j, x) WITH (gin_pending_list_limit = 128);
        CREATE INDEX notes_brin ON public.notes USING brin (id int4_minmax_multi_ops (values_per_range = 16));
        CREATE INDEX notes_b ON public.notes (a COLLATE "C" varchar_pattern_ops DESC, u inet_ops NULLS FIRST)
            WITH (deduplicate_items = off, fillfactor = 33) WHERE (j ->> 'k') IS NOT NULL AND a ~ '^x''[y]$';
        CREATE UNIQUE INDEX "Notes Unique" ON public.notes ((lower(a) || '§'), ((j -> 'a') -> 0)) NULLS NOT DISTINCT;
        """,
    ),
    Case(
        "names with dots, dollars, per cents, newlines, back slashes and other alphabets",
        r"""
        CREATE TABLE public."a-b%$" ("new
line" int PRIMARY KEY, "tab	%s" text, "back\slash" text, "ΑΒΓ" int, "日本" int, "$1" int, "null" int, "--" int);
        CREATE INDEX "i.x /* */" ON public."a-b%$" ("--", "$1");
        CREATE FUNCTION public."f.%I"("$a" int, "b""c" text DEFAULT E'\\') RETURNS int LANGUAGE sql
            AS $f$ SELECT "日本" + "$1" FROM public."a-b%$" WHERE "back\slash" = $2 $f$;
        CREATE VIEW public."v.--" AS SELECT "new
line" AS "x;y", "null" FROM public."a-b%$";
        COMMENT ON COLUMN public."a-b%$"."--" IS '/* not a comment';
        CREATE POLICY "p; DROP TABLE x; --" ON public."a-b%$" USING ("null" IS NULL);
        """,
        moves={"public.a-b%$": "public.a-b%$"},
    ),
    Case(
        "comments on whatever can have one",
        """
        CREATE TABLE public.notes (id int GENERATED ALWAYS AS IDENTITY, a text, CONSTRAINT pk PRIMARY KEY (id),
            CONSTRAINT ex EXCLUDE USING btree (a WITH =), self int CONSTRAINT fk REFERENCES public.notes);
        CREATE FUNCTION public.f(public.notes) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION public.f(public.notes[]) RETURNS int LANGUAGE sql AS 'SELECT 2';
        CREATE VIEW public.v AS SELECT id FROM public.notes;
        COMMENT ON SEQUENCE public.notes_id_seq IS 'seq'; COMMENT ON INDEX public.pk IS 'index of pk';
        COMMENT ON CONSTRAINT pk ON public.notes IS 'pk'; COMMENT ON CONSTRAINT ex ON public.notes IS '';
        COMMENT ON CONSTRAINT fk ON public.notes IS 'fk'; COMMENT ON FUNCTION public.f(public.notes) IS 'one';
        COMMENT ON FUNCTION public.f(public.notes[]) IS E'many\n'; COMMENT ON VIEW public.v IS 'æøå 😀';
        """,
    ),
    Case(
        "policies on claims, on other moved tables and through renamed functions",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, owner uuid);
        CREATE TABLE public.marks (note int, who uuid);
        CREATE FUNCTION public.is_admin() RETURNS boolean LANGUAGE sql STABLE
            AS $$ SELECT coalesce(current_setting('request.jwt.claims', true)::jsonb ->> 'role' = 'admin', false) $$;
        ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY; ALTER TABLE public.marks ENABLE ROW LEVEL SECURITY;
        CREATE POLICY a ON public.notes AS RESTRICTIVE TO PUBLIC USING (public.is_admin() OR owner = auth.uid());
        CREATE POLICY b ON public.notes FOR UPDATE TO authenticated, service_role
            USING (EXISTS (SELECT 1 FROM public.marks m WHERE m.note = notes.id AND m.who = (SELECT auth.uid())))
            WITH CHECK (id IN (SELECT note FROM public.marks));
        CREATE POLICY c ON public.marks USING (note IN (SELECT notes.id FROM public.notes));
        """,
        moves={"public.notes": "public.app_notes", "public.marks": "public.app_marks"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_notes; ALTER INDEX public.notes_pkey RENAME TO app_notes_pkey;
        ALTER TABLE public.marks RENAME TO app_marks;
        """,
    ),
    Case(
        "functions of every way of writing one",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE FUNCTION public.next_one(n public.notes, by int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE
            RETURN n.id + by;
        CREATE FUNCTION public.any_of(VARIADIC anyarray) RETURNS anyelement LANGUAGE sql AS $$ SELECT $1[1] $$;
        CREATE FUNCTION public.typed(INOUT n public.notes, OUT more public.notes[]) LANGUAGE plpgsql
            SET search_path TO "$user", public SET statement_timeout TO '5s' AS $plpgsql$
            DECLARE r notes%ROWTYPE; t public.notes.a%TYPE; c CURSOR FOR SELECT * FROM notes;
            BEGIN FOR r IN c LOOP more := more || r; END LOOP; PERFORM public.any_of(1, 2); END $plpgsql$;
        CREATE PROCEDURE public.tidy(INOUT n int DEFAULT 5) LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN EXECUTE format('DELETE FROM %I.%I WHERE id = $1', 'public', 'notes') USING n; COMMIT; END $$;
        CREATE FUNCTION public.rows_of(above int) RETURNS TABLE (id int, notes text) ROWS 12 PARALLEL RESTRICTED LANGUAGE sql
            BEGIN ATOMIC SELECT n.id, n.a FROM public.notes AS n WHERE n.id > above; SELECT 1, public.any_of('x', n.a)
            FROM public.notes AS n; END;
        """,
    ),
    Case(
        "sequences owned across columns, named by hand, and counting down",
        """
        CREATE SEQUENCE public.counter AS smallint INCREMENT -3 MAXVALUE -1 MINVALUE -300 START -1 CACHE 4;
        CREATE UNLOGGED SEQUENCE public.loose;
        CREATE TABLE public.notes (
            id bigint GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME public."My Seq" MINVALUE 0 START 5 CYCLE),
            a int DEFAULT nextval('public.counter'), b int DEFAULT -nextval('public.loose'), c serial
        );
        ALTER SEQUENCE public.counter OWNED BY public.notes.b;
        ALTER TABLE public.notes ALTER c DROP DEFAULT;
        REVOKE ALL ON SEQUENCE public."My Seq" FROM anon, authenticated;
        """,
    ),
    Case(
        "a schema and a table with reserved names, and a type in a third schema",
        """
        CREATE SCHEMA "user"; CREATE SCHEMA "Types";
        CREATE TYPE "Types"."order" AS ENUM ('asc', 'DESC', '');
        CREATE TABLE "user"."table" ("primary" int PRIMARY KEY, "order" "Types"."order" DEFAULT 'asc', "select" text);
        CREATE FUNCTION "user"."all"("end" "Types"."order") RETURNS SETOF "user"."table" LANGUAGE sql
            AS $$ SELECT * FROM "user"."table" WHERE "order" = "end" $$;
        CREATE VIEW "user"."view" AS SELECT "primary", "order"::text AS "group" FROM "user"."table";
        GRANT USAGE ON SCHEMA "user", "Types" TO authenticated; GRANT USAGE, CREATE ON SCHEMA "user" TO service_role;
        GRANT SELECT ("primary", "order") ON "user"."table" TO PUBLIC;
        """,
        moves={"user.table": "user.table"},
    ),
    Case(
        "another owner of the table, its function and its view",
        """
        GRANT CREATE ON SCHEMA public TO service_role;
        CREATE TABLE public.notes (id serial PRIMARY KEY, a text);
        CREATE FUNCTION public.count_notes() RETURNS bigint LANGUAGE sql SECURITY DEFINER
            AS $$ SELECT count(*) FROM public.notes $$;
        CREATE VIEW public.seen AS SELECT id FROM public.notes;
        ALTER TABLE public.notes OWNER TO service_role; ALTER FUNCTION public.count_notes() OWNER TO service_role;
        ALTER VIEW public.seen OWNER TO service_role;
        """,
        target="GRANT CREATE ON SCHEMA public TO service_role",
    ),
    Case(
        "generated columns that an index, a key, a policy and a trigger use",
        """
        CREATE FUNCTION public.slug(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT lower($1) $$;
        CREATE FUNCTION public.slug(int) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::text $$;
        CREATE FUNCTION public.stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TABLE public.notes (id int, a text, s text GENERATED ALWAYS AS (public.slug(a) || public.slug(id)) STORED,
            CONSTRAINT s_key UNIQUE (s), CONSTRAINT s_check CHECK (s <> public.slug('X')));
        CREATE INDEX notes_s ON public.notes (public.slug(s));
        CREATE POLICY p ON public.notes FOR INSERT WITH CHECK (s IS NOT NULL);
        CREATE TRIGGER t AFTER UPDATE OF a, id ON public.notes FOR EACH ROW WHEN (new.s IS DISTINCT FROM old.s OR
            pg_trigger_depth() = 0) EXECUTE FUNCTION public.stop();
        CREATE TRIGGER both_tables AFTER UPDATE ON public.notes REFERENCING OLD TABLE AS "Old" NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION public.stop();
        ALTER TABLE public.notes ENABLE REPLICA TRIGGER t;
        """,
    ),
    Case(
        "temporal keys and unchecked constraints of Postgres 18",
        """
        CREATE TABLE public.notes (id int4range, during tstzrange, a int CONSTRAINT kept NOT NULL NO INHERIT,
            PRIMARY KEY (id, during WITHOUT OVERLAPS), b int);
        CREATE TABLE public.marks (id int4range, at tstzrange,
            CONSTRAINT within FOREIGN KEY (id, PERIOD at) REFERENCES public.notes (id, PERIOD during));
        ALTER TABLE public.notes ADD CONSTRAINT later NOT NULL b NOT VALID;
        """,
        moves=BOTH,
        newest=True,
    ),
    Case(
        "triggers that share a function, and constraint triggers that name another table",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY); CREATE TABLE public.marks (id int);
        CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF TG_TABLE_NAME = 'notes' THEN RAISE NOTICE 'notes'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON public.notes FOR EACH ROW EXECUTE FUNCTION public.tell();
        CREATE TRIGGER a AFTER TRUNCATE ON public.marks FOR EACH STATEMENT EXECUTE FUNCTION public.tell('x''y');
        CREATE CONSTRAINT TRIGGER watched AFTER DELETE ON public.notes FROM public.marks
            NOT DEFERRABLE FOR EACH ROW WHEN (old.id > 3) EXECUTE FUNCTION public.tell();
        """,
        moves=BOTH,
    ),
    Case(
        "a collation, a text search configuration with its dictionary, and aggregates",
        """
        CREATE COLLATION public."Plain" (provider = libc, locale = 'C');
        CREATE TEXT SEARCH DICTIONARY public.short (TEMPLATE = pg_catalog.simple, STOPWORDS = 'english', ACCEPT = false);
        CREATE TEXT SEARCH CONFIGURATION public.danish_notes (COPY = pg_catalog.danish);
        ALTER TEXT SEARCH CONFIGURATION public.danish_notes ALTER MAPPING FOR asciiword WITH public.short, danish_stem;
        COMMENT ON TEXT SEARCH CONFIGURATION public.danish_notes IS 'ord'; COMMENT ON COLLATION public."Plain" IS 'plain';
        CREATE TABLE public.notes (id int PRIMARY KEY, a text COLLATE public."Plain",
            found tsvector GENERATED ALWAYS AS (to_tsvector('public.danish_notes', coalesce(a, ''))) STORED);
        CREATE FUNCTION public.search(q text) RETURNS SETOF public.notes LANGUAGE plpgsql STABLE AS $$
            BEGIN RETURN QUERY SELECT * FROM public.notes WHERE found @@ plainto_tsquery('public.danish_notes', q); END $$;
        CREATE FUNCTION public.longer(state text, n public.notes) RETURNS text LANGUAGE sql IMMUTABLE
            AS $$ SELECT CASE WHEN length(n.a) > length(state) THEN n.a ELSE state END $$;
        CREATE AGGREGATE public.longest(public.notes) (SFUNC = public.longer, STYPE = text, INITCOND = 'it''s');
        CREATE FUNCTION public.half(bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2.0';
        CREATE AGGREGATE public.halves(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0', FINALFUNC = public.half,
            MSFUNC = int8inc, MINVFUNC = int8dec, MSTYPE = int8, MFINALFUNC = public.half, MINITCOND = '0',
            PARALLEL = SAFE);
        COMMENT ON AGGREGATE public.longest(public.notes) IS 'the longest';
        REVOKE ALL ON FUNCTION public.longest(public.notes) FROM PUBLIC, anon;
        CREATE VIEW public.summed AS SELECT public.longest(n) AS l, public.halves(*) AS h FROM public.notes AS n;
        """,
    ),
]
