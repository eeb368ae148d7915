"""The tables of the copying benchmark: documents and their vectors, as a search app has them."""

from __future__ import annotations

TABLES = """
    CREATE TABLE articles (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        source text NOT NULL, repository text NOT NULL, path text NOT NULL,
        content text NOT NULL, metadata jsonb, sha text,
        created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (source, repository, path)
    );
    CREATE TABLE passages (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        article_id uuid NOT NULL REFERENCES articles ON DELETE CASCADE,
        embedding extensions.vector(1536) NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
    );
"""
NAMES = ("articles", "passages")
VECTORS = 2000
"""Different vectors, of about length 1 as embeddings are; more would only make the filling slower."""

FILL = """
    SELECT setseed(0.5);
    CREATE TEMP TABLE vectors AS
        SELECT v,
               (SELECT array_agg((sin(v + i * random()) / 28)::real)
                FROM generate_series(1, 1536) AS i)::extensions.vector AS e
        FROM generate_series(0, {vectors} - 1) AS v;
    INSERT INTO articles (id, source, repository, path, content, metadata, sha, created_at, updated_at)
        SELECT md5('a' || n)::uuid, 'github', 'example/repository-' || n % 7, 'docs/' || n || '.md',
               (SELECT string_agg(md5(n || '-' || i), ' ') FROM generate_series(1, 65) AS i),
               jsonb_build_object('line', n, 'tags', ARRAY['a', 'b']), md5('sha' || n), '2026-01-01', '2026-01-02'
        FROM generate_series(1, {rows}) AS n;
    INSERT INTO passages (id, article_id, embedding, created_at)
        SELECT md5('p' || n)::uuid, md5('a' || n)::uuid, v.e, '2026-01-01'
        FROM generate_series(1, {rows}) AS n JOIN vectors AS v ON v.v = n % {vectors};
    ANALYZE articles; ANALYZE passages;
"""
CHANGE_AT_RANDOM = """
    UPDATE passages SET created_at = created_at + interval '1 second'
    WHERE id IN (SELECT md5('p' || n)::uuid FROM generate_series(1, {rows}, 100) AS n)
"""
CHANGE_CLUSTERED = """
    UPDATE passages SET created_at = created_at + interval '1 second'
    WHERE id IN (SELECT id FROM passages ORDER BY id LIMIT {rows} / 100)
"""
