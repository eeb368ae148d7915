CREATE TABLE public.members (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO public.members SELECT n, 'Medlem ' || n FROM generate_series(1, 20) AS n;
