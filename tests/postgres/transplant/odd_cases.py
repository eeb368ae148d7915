"""Odd hand-made schemas: the same name in two schemas, texts that look like SQL, and what is rarely used together."""

from __future__ import annotations

from tests.postgres.transplant.cases import Case

ODD_CASES = [
    Case(
        "a table of the same name in another schema, which its own function and view mean",
        """
        CREATE SCHEMA audit;
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE TABLE audit.notes (id int PRIMARY KEY, a text);
        CREATE INDEX notes_a ON public.notes (a); CREATE INDEX notes_a ON audit.notes (a);
        CREATE VIEW audit.seen AS SELECT notes.id, notes.a FROM audit.notes WHERE notes.id > 1;
        CREATE POLICY p ON audit.notes USING (EXISTS (SELECT FROM audit.notes AS n WHERE n.id = notes.id));
        CREATE FUNCTION audit.count_them() RETURNS bigint LANGUAGE sql
            AS $$ SELECT count(*) FROM audit.notes WHERE notes.id > 0 $$;
        CREATE FUNCTION audit.inner_ones() RETURNS bigint LANGUAGE plpgsql SET search_path = audit
            AS $$ BEGIN RETURN (SELECT count(*) FROM notes WHERE notes.id > 0); END $$;
        CREATE FUNCTION public.both_of_them() RETURNS bigint LANGUAGE sql
            AS $$ SELECT count(*) FROM public.notes AS n, audit.notes AS o WHERE n.id = o.id $$;
        """,
        moves={"public.notes": "public.app_notes", "audit.notes": "audit.notes"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_notes; ALTER INDEX public.notes_pkey RENAME TO app_notes_pkey;
        ALTER INDEX public.notes_a RENAME TO app_notes_a;
        CREATE OR REPLACE FUNCTION public.both_of_them() RETURNS bigint LANGUAGE sql
            AS $$ SELECT count(*) FROM public.app_notes AS n, audit.notes AS o WHERE n.id = o.id $$;
        """,
    ),
    Case(
        "an argument's default and a setting that look like the beginning of a body",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE FUNCTION public.odd(a text DEFAULT E'x
AS $function$ not yet $function$', b text DEFAULT '$$') RETURNS bigint LANGUAGE sql
            AS $$ SELECT count(*) FROM public.notes $$;
        CREATE FUNCTION public.odd_too(a text DEFAULT E'
BEGIN ATOMIC') RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM public.notes; END;
        """,
    ),
    Case(
        "a statistics object in another schema than its table",
        """
        CREATE SCHEMA stats;
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, b int);
        CREATE STATISTICS stats.notes_both (mcv, ndistinct) ON a, b FROM public.notes;
        CREATE STATISTICS stats.plain ON (lower(a)), b FROM public.notes;
        COMMENT ON STATISTICS stats.notes_both IS 'both';
        """,
    ),
    Case(
        "multiranges, arrays of enums and domains with defaults, and keys over them",
        """
        CREATE TYPE public.kind AS ENUM ('a', 'b "c"', 'd,e');
        CREATE DOMAIN public.slots AS int4multirange DEFAULT '{[1,3)}' CHECK (NOT isempty(VALUE));
        CREATE TYPE public.money_span AS RANGE (subtype = numeric, multirange_type_name = public.money_spans);
        CREATE TABLE public.notes (
            id bigint GENERATED ALWAYS AS IDENTITY (START 1000 INCREMENT -7 MINVALUE -5000 MAXVALUE 1000 CACHE 9 CYCLE),
            kinds public.kind[] DEFAULT ARRAY['a', 'd,e']::public.kind[] NOT NULL, open public.slots, m public.money_spans
            DEFAULT public.money_spans(public.money_span(1, 2.5), public.money_span(3, NULL, '[)')),
            matrix int[][] DEFAULT '{{1,2},{3,4}}', price money, bits bit(3)[], PRIMARY KEY (id, kinds),
            EXCLUDE USING gist (open WITH &&, m WITH -|-) WHERE (cardinality(kinds) > 1) DEFERRABLE INITIALLY DEFERRED
        );
        CREATE UNIQUE INDEX notes_kinds ON public.notes (kinds array_ops DESC, (m * '{[1,2]}'::public.money_spans))
            NULLS NOT DISTINCT WHERE kinds @> '{a}'::public.kind[];
        """,
    ),
    Case(
        "types, a sequence and a materialized view of another owner",
        """
        CREATE SCHEMA app; GRANT CREATE, USAGE ON SCHEMA app TO service_role;
        GRANT CREATE ON SCHEMA public TO service_role;
        CREATE TYPE app.kind AS ENUM ('a'); CREATE DOMAIN app.name AS text CHECK (VALUE <> '');
        CREATE SEQUENCE app.numbers; CREATE TYPE app.pair AS (k app.kind, n app.name);
        CREATE TABLE public.notes (id bigint DEFAULT nextval('app.numbers') PRIMARY KEY, p app.pair);
        CREATE MATERIALIZED VIEW public.kept AS SELECT id FROM public.notes;
        ALTER TYPE app.kind OWNER TO service_role; ALTER DOMAIN app.name OWNER TO service_role;
        ALTER SEQUENCE app.numbers OWNER TO service_role; ALTER TYPE app.pair OWNER TO service_role;
        ALTER MATERIALIZED VIEW public.kept OWNER TO service_role;
        GRANT USAGE ON TYPE app.name TO anon; GRANT SELECT ON public.notes TO service_role;
        """,
        target="GRANT CREATE ON SCHEMA public TO service_role; GRANT service_role TO postgres",
    ),
    Case(
        "deferrable keys in a circle, rules that notify and rewrite, and triggers fired always or by replicas",
        """
        CREATE TABLE public.notes (id int CONSTRAINT pk PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, code text UNIQUE, mark int);
        CREATE TABLE public.marks (id int PRIMARY KEY, code text REFERENCES public.notes (code)
            ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, UNIQUE (id, code) DEFERRABLE);
        ALTER TABLE public.notes ADD CONSTRAINT back FOREIGN KEY (mark) REFERENCES public.marks ON DELETE SET DEFAULT
            DEFERRABLE INITIALLY DEFERRED;
        CREATE RULE told AS ON INSERT TO public.marks WHERE NEW.id > 3 DO ALSO SELECT pg_notify('Marks [x]', NEW.code);
        CREATE RULE instead AS ON DELETE TO public.notes WHERE OLD.code = 'notes'
            DO INSTEAD UPDATE public.notes SET code = NULL WHERE id = OLD.id RETURNING notes.*;
        """.replace(" RETURNING notes.*", "")
        + """
        ALTER TABLE public.marks ENABLE ALWAYS RULE told; ALTER TABLE public.notes ENABLE REPLICA RULE instead;
        CREATE FUNCTION public.stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER c AFTER UPDATE OF code ON public.notes FROM public.marks DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.stop('a', '', E'b\\nc\\\\');
        ALTER TABLE public.notes ENABLE REPLICA TRIGGER c;
        """,
        moves={"public.notes": "public.notes", "public.marks": "public.marks"},
    ),
    Case(
        "parameters of every relation, storage and compression column by column, and a partial replica identity",
        """
        CREATE TABLE public.notes (id int NOT NULL, a text COMPRESSION pglz, b jsonb, c int4range NOT NULL)
            WITH (toast_tuple_target = 256, parallel_workers = 2, vacuum_truncate = off, log_autovacuum_min_duration = 5,
            autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_vacuum_threshold = 7,
            toast.autovacuum_enabled = on);
        CREATE UNIQUE INDEX "Id [x]" ON public.notes USING btree (id) INCLUDE (c) WITH (fillfactor = 55);
        ALTER TABLE public.notes REPLICA IDENTITY USING INDEX "Id [x]", CLUSTER ON "Id [x]";
        ALTER TABLE public.notes ALTER a SET STORAGE MAIN, ALTER a SET (n_distinct = 5, n_distinct_inherited = 7), ALTER b SET STATISTICS 0;
        CREATE INDEX notes_gist ON public.notes USING gist (c range_ops) WITH (buffering = off);
        CREATE INDEX notes_brin ON public.notes USING brin (id) WITH (autosummarize = on);
        CREATE MATERIALIZED VIEW public.kept WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off) AS
            SELECT id, a FROM public.notes;
        ALTER MATERIALIZED VIEW public.kept ALTER a SET STORAGE EXTERNAL, ALTER a SET STATISTICS 12;
        CREATE UNIQUE INDEX kept_id ON public.kept (id);
        """,
    ),
    Case(
        "functions with every option, polymorphic ones, and bodies with merge, json and grouping sets",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text, j jsonb);
        CREATE FUNCTION public.pick(a anycompatible, b anycompatiblearray, OUT "First One" anycompatible, OUT rest bigint)
            LANGUAGE plpgsql CALLED ON NULL INPUT STABLE PARALLEL RESTRICTED COST 0.5 SET timezone TO 'UTC'
            SET search_path TO public, "$user", "Odd, path" SET statement_timeout = 100 AS $a$
            BEGIN "First One" := a; SELECT count(*) INTO rest FROM public.notes; END $a$;
        CREATE FUNCTION public.grouped() RETURNS TABLE ("id" int, "a b" text, n bigint) LANGUAGE sql ROWS 3 BEGIN ATOMIC
            SELECT id, a, count(*) FROM public.notes GROUP BY GROUPING SETS ((id, a), (a), ()) HAVING count(*) > 0
            ORDER BY 1 NULLS FIRST FETCH FIRST 5 ROWS WITH TIES; END;
        CREATE PROCEDURE public.merged(VARIADIC n int[] DEFAULT '{}') LANGUAGE sql BEGIN ATOMIC
            MERGE INTO public.notes AS t USING (SELECT unnest(n) AS id) AS s ON t.id = s.id
            WHEN MATCHED AND t.a IS NULL THEN DELETE WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, 'notes');
            INSERT INTO public.notes VALUES (1) ON CONFLICT ON CONSTRAINT notes_pkey DO UPDATE SET a = excluded.a
            WHERE notes.a <> excluded.a; END;
        CREATE VIEW public.odd AS WITH RECURSIVE notes AS (SELECT 1 AS id UNION SELECT notes.id + 1 FROM notes WHERE notes.id < 3)
            SELECT notes.id, x.a, (SELECT max(notes_1.id) FROM public.notes notes_1 WHERE notes_1.j @? '$.notes')
            FROM notes JOIN public.notes x USING (id) TABLESAMPLE system (50);
        """.replace(" TABLESAMPLE system (50)", ""),
        moves={"public.notes": "public.app_items"},
        rename="""
        ALTER TABLE public.notes RENAME TO app_items; ALTER INDEX public.notes_pkey RENAME TO app_items_pkey;
        CREATE OR REPLACE FUNCTION public.pick(a anycompatible, b anycompatiblearray, OUT "First One" anycompatible, OUT rest bigint)
            LANGUAGE plpgsql CALLED ON NULL INPUT STABLE PARALLEL RESTRICTED COST 0.5 SET timezone TO 'UTC'
            SET search_path TO public, "$user", "Odd, path" SET statement_timeout = 100 AS $a$
            BEGIN "First One" := a; SELECT count(*) INTO rest FROM public.app_items; END $a$;
        """,
    ),
    Case(
        "security on functions, views and policies for roles that inherit",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, owner uuid DEFAULT auth.uid(), who name DEFAULT SESSION_USER);
        ALTER TABLE public.notes FORCE ROW LEVEL SECURITY;
        CREATE POLICY "a" ON public.notes AS RESTRICTIVE FOR ALL TO postgres, anon USING (CURRENT_USER = who)
            WITH CHECK (pg_has_role(CURRENT_USER, 'authenticated', 'MEMBER'));
        CREATE POLICY "A" ON public.notes FOR INSERT TO PUBLIC WITH CHECK ((SELECT auth.role()) = ANY ('{anon,authenticated}'));
        CREATE VIEW public.barrier WITH (security_barrier, security_invoker = false) AS TABLE public.notes;
        CREATE FUNCTION public.leak(public.barrier) RETURNS SETOF public.barrier LANGUAGE sql SECURITY DEFINER
            AS 'SELECT * FROM public.barrier WHERE id = $1.id';
        REVOKE ALL ON public.barrier FROM PUBLIC, anon; GRANT INSERT (id), REFERENCES (id) ON public.notes TO anon;
        GRANT EXECUTE ON FUNCTION public.leak(public.barrier) TO anon WITH GRANT OPTION;
        """,
    ),
    Case(
        "another owner and explicit grants on every kind of object, to whoever makes them too",
        """
        CREATE SCHEMA app; GRANT CREATE ON SCHEMA public TO service_role;
        CREATE TYPE app.kind AS ENUM ('a'); CREATE DOMAIN app.name AS text; CREATE TYPE app.pair AS (k app.kind, n app.name);
        CREATE SEQUENCE app.numbers;
        CREATE TABLE public.notes (id bigint DEFAULT nextval('app.numbers') PRIMARY KEY, p app.pair);
        CREATE VIEW public.seen AS SELECT id, p FROM public.notes;
        CREATE FUNCTION public.count_notes() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.notes';
        ALTER SCHEMA app OWNER TO service_role; ALTER TYPE app.kind OWNER TO service_role;
        ALTER DOMAIN app.name OWNER TO service_role; ALTER SEQUENCE app.numbers OWNER TO service_role;
        ALTER TABLE public.notes OWNER TO service_role; ALTER VIEW public.seen OWNER TO service_role;
        ALTER FUNCTION public.count_notes() OWNER TO service_role;
        GRANT USAGE ON SCHEMA app TO anon, postgres; GRANT USAGE ON TYPE app.kind, app.name TO postgres WITH GRANT OPTION;
        GRANT SELECT ON SEQUENCE app.numbers TO postgres; GRANT SELECT, INSERT ON public.notes TO postgres;
        GRANT UPDATE (p) ON public.notes TO anon, postgres WITH GRANT OPTION; REVOKE DELETE ON public.notes FROM service_role;
        GRANT SELECT (id) ON public.seen TO postgres; REVOKE ALL ON FUNCTION public.count_notes() FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION public.count_notes() TO postgres;
        """,
        target="GRANT CREATE ON SCHEMA public TO service_role; GRANT service_role TO postgres",
        newest=True,
    ),
    Case(
        "a materialized view that is clustered",
        """
        CREATE TABLE public.notes (id int PRIMARY KEY, a text);
        CREATE MATERIALIZED VIEW public.kept AS SELECT id, a FROM public.notes;
        CREATE INDEX "Kept [x]" ON public.kept (a); CREATE INDEX kept_id ON public.kept (id);
        ALTER MATERIALIZED VIEW public.kept CLUSTER ON "Kept [x]";
        """,
    ),
]
