"""A table of notes under a name that the plan changes, with what hangs on it, for tests that settle the comparison."""

from __future__ import annotations

from tekup_migrate.plan import Move

MOVES = (Move(app="app", sources=("app_notes", "notes"), target="app_notes"),)
SOURCE = """
CREATE TYPE public.kind AS ENUM ('a', 'local');
CREATE SEQUENCE public.number;
CREATE TABLE public.notes (
    id int PRIMARY KEY, k public.kind, body text, place bigint DEFAULT nextval('public.number'), at timestamptz
);
CREATE INDEX notes_body ON public.notes (body);
CREATE TABLE public.people (id int);
CREATE FUNCTION public.mixed() RETURNS bigint LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT count(*) FROM public.notes, public.people); END';
CREATE FUNCTION public.count_notes() RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN -- counts all notes
    RETURN (SELECT count(*) FROM notes); END $$;
INSERT INTO public.notes (id, k, body) SELECT n, 'local', 'note ' || n FROM generate_series(1, 50) AS n;
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY reads ON public.notes FOR SELECT TO authenticated USING (id < 10);
"""
CARRIED = ("create", "copy", "attach", "rows")
"""The steps that carry it over."""
