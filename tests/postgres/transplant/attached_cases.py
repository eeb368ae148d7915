"""Hand-made schemas, each using one feature of what hangs on a table: policies, grants, triggers, functions, views."""

from __future__ import annotations

from tests.postgres.transplant.cases import Case

ATTACHED_CASES = [
    Case(
        "row security and policies of every shape",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, owner uuid, shared boolean);
        ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON public.notes TO authenticated USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
        CREATE POLICY reads ON public.notes FOR SELECT TO anon, authenticated USING (shared);
        CREATE POLICY adds ON public.notes FOR INSERT TO service_role WITH CHECK (true);
        CREATE POLICY strict ON public.notes AS RESTRICTIVE FOR UPDATE USING (shared) WITH CHECK (NOT shared);
        CREATE POLICY deep ON public.notes FOR DELETE
            USING (EXISTS (SELECT FROM public.notes AS other WHERE other.id = notes.id + 1));
        COMMENT ON POLICY own ON public.notes IS 'mine';
        """,
    ),
    Case(
        "column-level grants and grant options",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, b text);
        REVOKE ALL ON public.notes FROM anon, authenticated, service_role;
        GRANT SELECT (id, a), UPDATE (a) ON public.notes TO anon;
        GRANT SELECT, INSERT ON public.notes TO authenticated WITH GRANT OPTION;
        GRANT UPDATE ON public.notes TO authenticated;
        GRANT SELECT ON public.notes TO PUBLIC;
        """,
    ),
    Case(
        "comments with newlines, quotes and backslashes",
        r"""
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        COMMENT ON TABLE public.notes IS E'first\nsecond ''quoted'' \\ back';
        COMMENT ON COLUMN public.notes.a IS E'tab\there -- no comment; $$';
        """,
    ),
    Case(
        "triggers of every shape",
        """
        CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at = now(); RETURN NEW; END $$;
        CREATE TABLE public.notes (id int PRIMARY KEY, at timestamptz, a text);
        CREATE TRIGGER touched BEFORE UPDATE OF a ON public.notes FOR EACH ROW
            WHEN (OLD.a IS DISTINCT FROM NEW.a) EXECUTE FUNCTION public.touch();
        CREATE TRIGGER off AFTER INSERT ON public.notes FOR EACH STATEMENT EXECUTE FUNCTION public.touch();
        ALTER TABLE public.notes DISABLE TRIGGER off;
        CREATE TRIGGER always AFTER DELETE ON public.notes REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION public.touch();
        ALTER TABLE public.notes ENABLE ALWAYS TRIGGER always;
        CREATE CONSTRAINT TRIGGER checked AFTER INSERT ON public.notes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.touch();
        COMMENT ON TRIGGER touched ON public.notes IS 'keeps the time';
        """,
    ),
    Case(
        "security definer functions with a search path",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE FUNCTION public.count_notes(prefix text DEFAULT 'x', OUT n bigint) LANGUAGE sql STABLE SECURITY DEFINER
            PARALLEL SAFE COST 7 SET search_path TO 'public', 'extensions'
            AS $$ SELECT count(*) FROM public.notes WHERE a LIKE prefix || '%' $$;
        CREATE PROCEDURE public.clear_notes(keep int) LANGUAGE plpgsql
            AS $$ BEGIN DELETE FROM notes WHERE id > keep; END $$;
        CREATE FUNCTION public.all_notes() RETURNS SETOF public.notes LANGUAGE plpgsql AS
            $$ BEGIN RETURN QUERY EXECUTE 'SELECT * FROM public.notes'; END $$;
        CREATE FUNCTION public.standard(n int) RETURNS text LANGUAGE sql BEGIN ATOMIC
            SELECT a FROM public.notes WHERE id = n; END;
        REVOKE ALL ON FUNCTION public.count_notes(text) FROM PUBLIC, anon;
        COMMENT ON FUNCTION public.count_notes(text) IS 'counts';
        COMMENT ON PROCEDURE public.clear_notes(int) IS 'clears';
        """,
    ),
    Case(
        "views and materialized views",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, b int);
        CREATE VIEW public.some WITH (security_invoker = true, security_barrier = true) AS
            SELECT id, a AS "The A" FROM public.notes WHERE b > 1;
        CREATE VIEW public.more AS SELECT n.id, s."The A" FROM public.notes AS n JOIN public.some AS s USING (id);
        CREATE VIEW public.checked AS SELECT id, b FROM public.notes WHERE b > 1 WITH CASCADED CHECK OPTION;
        ALTER VIEW public.checked ALTER COLUMN b SET DEFAULT 5;
        CREATE MATERIALIZED VIEW public.sums
            WITH (fillfactor = 90) AS SELECT b, count(*) AS n FROM public.notes GROUP BY b;
        CREATE UNIQUE INDEX sums_b ON public.sums (b);
        COMMENT ON VIEW public.some IS 'some';
        COMMENT ON COLUMN public.some.id IS 'its id';
        COMMENT ON MATERIALIZED VIEW public.sums IS 'sums';
        GRANT SELECT ON public.some TO PUBLIC;
        """,
    ),
    Case(
        "rules and a trigger on a view",
        """
        CREATE FUNCTION public.instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TABLE public.notes (id int PRIMARY KEY);
        CREATE RULE keep AS ON DELETE TO public.notes DO INSTEAD NOTHING;
        CREATE VIEW public.seen AS SELECT id FROM public.notes;
        CREATE TRIGGER instead INSTEAD OF INSERT ON public.seen FOR EACH ROW EXECUTE FUNCTION public.instead();
        COMMENT ON RULE keep ON public.notes IS 'nothing goes';
        """,
    ),
    Case(
        "vectors and their indexes",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, e extensions.vector(3), h extensions.halfvec(3));
        CREATE INDEX notes_e ON public.notes USING hnsw (e extensions.vector_cosine_ops)
            WITH (m = 8, ef_construction = 32);
        CREATE INDEX notes_h ON public.notes USING ivfflat (h extensions.halfvec_l2_ops) WITH (lists = 5);
        CREATE INDEX notes_x ON public.notes USING hnsw ((e::extensions.halfvec(3)) extensions.halfvec_ip_ops);
        CREATE FUNCTION public.match_notes(query extensions.vector(3), n int) RETURNS TABLE (id int, near float8)
            LANGUAGE sql STABLE SET search_path TO 'public', 'extensions'
            AS $$ SELECT notes.id, 1 - (notes.e <=> query) FROM notes ORDER BY notes.e <=> query LIMIT n $$;
        """,
    ),
    Case(
        "publications",
        "CREATE TABLE public.notes (id int PRIMARY KEY, a text, b int); CREATE PUBLICATION live;"
        "ALTER PUBLICATION live ADD TABLE public.notes (id, b) WHERE (id > 3)",
        target="CREATE PUBLICATION live",
    ),
    Case(
        "a target that grants everything by default",
        """
        CREATE TYPE public.kind AS ENUM ('a');
        CREATE TABLE public.notes (id serial PRIMARY KEY, k public.kind);
        REVOKE ALL ON public.notes FROM anon, authenticated;
        REVOKE ALL ON SEQUENCE public.notes_id_seq FROM anon, authenticated, service_role;
        CREATE FUNCTION public.count_notes() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM public.notes $$;
        REVOKE ALL ON FUNCTION public.count_notes() FROM PUBLIC, anon;
        CREATE VIEW public.seen AS SELECT id FROM public.notes;
        REVOKE ALL ON public.seen FROM anon;
        """,
        target="""
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
        ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO anon;
        """,
    ),
    Case(
        "a target that lets nobody execute a new function",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY);
        CREATE FUNCTION public.count_notes() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM public.notes $$;
        """,
        target="ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ),
    Case(
        "overloaded, variadic and defaulted functions",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE FUNCTION public.find(int) RETURNS SETOF public.notes LANGUAGE sql STRICT ROWS 5 LEAKPROOF IMMUTABLE
            AS 'SELECT * FROM public.notes WHERE id = $1';
        """.replace(" LEAKPROOF", "")
        + """
        CREATE FUNCTION public.find(text, VARIADIC more text[] DEFAULT '{x,"y z"}') RETURNS SETOF public.notes
            LANGUAGE sql AS $body$ SELECT * FROM public.notes WHERE a = $1 OR a = ANY (more) $body$;
        CREATE FUNCTION public.find(INOUT a int, OUT b text, c date DEFAULT '2026-01-01') LANGUAGE plpgsql
            SET work_mem TO '8MB' SET "DateStyle" TO 'ISO, MDY' AS $x$
            -- counts public.notes; $function$ and $function$x are no delimiters here
            BEGIN SELECT 'a', n.a INTO a, b FROM public.notes AS n; END $x$;
        """,
    ),
    Case(
        "a check with a function of the whole row",
        """
        CREATE TABLE public.notes (id int, a text);
        CREATE FUNCTION public.fine(public.notes) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1.id > 0 $$;
        ALTER TABLE public.notes ADD CONSTRAINT fine CHECK (public.fine(notes));
        """,
    ),
    Case(
        "a policy through a function and through a view",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, owner uuid);
        CREATE FUNCTION public.owns(n int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path TO ''
            AS $$ SELECT EXISTS (SELECT FROM public.notes WHERE notes.id = n AND owner = auth.uid()) $$;
        CREATE VIEW public.mine AS SELECT id FROM public.notes WHERE owner = auth.uid();
        ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY a ON public.notes FOR SELECT USING (public.owns(id));
        CREATE POLICY b ON public.notes FOR UPDATE USING (id IN (SELECT mine.id FROM public.mine));
        """,
    ),
    Case(
        "a trigger with arguments, and a table without columns",
        """
        CREATE TABLE public.notes ();
        CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_notify(TG_ARGV[0], ''); RETURN NULL; END $$;
        CREATE TRIGGER "Tells [all]" AFTER TRUNCATE ON public.notes FOR EACH STATEMENT
            EXECUTE FUNCTION public.tell('it''s', 'notes');
        """,
    ),
    Case(
        "a function that a body calls, and a view of a function",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, at timestamptz);
        CREATE FUNCTION public.clock() RETURNS timestamptz LANGUAGE sql AS $$ SELECT clock_timestamp() $$;
        CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN NEW.at := clock(); RETURN NEW; END $$;
        CREATE TRIGGER touched BEFORE UPDATE ON public.notes FOR EACH ROW EXECUTE FUNCTION public.touch();
        CREATE FUNCTION public.list() RETURNS SETOF public.notes LANGUAGE sql AS $$ TABLE public.notes $$;
        CREATE VIEW public.listed AS SELECT list.id FROM public.list();
        """,
    ),
]
