-- The source as it is: made by the app's own migrations plus what was clicked together in the dashboard since.

CREATE TYPE source_type AS ENUM ('github', 'supabase', 'chatgpt', 'local');
CREATE TYPE sync_status AS ENUM ('pending', 'in_progress', 'success', 'error');

CREATE TABLE vault_documents (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source source_type NOT NULL,
    repository text NOT NULL,
    path text NOT NULL,
    content text NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    sha text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT vault_documents_source_repository_path_key UNIQUE (source, repository, path)
);
COMMENT ON TABLE vault_documents IS 'Dokumenter hentet fra GitHub, Supabase og ChatGPT';
COMMENT ON COLUMN vault_documents.sha IS 'Git-hash af filen, hvis den kommer fra GitHub';
CREATE INDEX vault_documents_repository_idx ON vault_documents (repository);
CREATE INDEX vault_documents_metadata_idx ON vault_documents USING gin (metadata);
CREATE INDEX vault_documents_local_idx ON vault_documents (updated_at DESC) WHERE source = 'local';

CREATE TABLE vault_embeddings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    document_id uuid NOT NULL REFERENCES vault_documents (id) ON DELETE CASCADE,
    content_text text NOT NULL,
    embedding vector(1536) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN vault_embeddings.embedding IS 'text-embedding-3-small, 1536 dimensioner';
CREATE INDEX vault_embeddings_document_id_idx ON vault_embeddings (document_id);
-- Before the load, as the hand-written DDL does: its lists are made from no rows at all.
CREATE INDEX vault_embeddings_embedding_idx ON vault_embeddings USING ivfflat (embedding vector_cosine_ops) WITH (lists = 10);

CREATE TABLE vault_sync_status (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source source_type NOT NULL,
    repository text NOT NULL,
    status sync_status NOT NULL DEFAULT 'pending',
    error_message text,
    last_sync_at timestamptz,
    duration_seconds double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, repository)
);

CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END;
$$;
CREATE TRIGGER update_vault_documents_updated_at BEFORE UPDATE ON vault_documents
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_vault_sync_status_updated_at BEFORE UPDATE ON vault_sync_status
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE FUNCTION match_documents(query_embedding vector(1536), match_threshold double precision DEFAULT 0.7, match_count integer DEFAULT 10)
RETURNS TABLE (document_id uuid, source source_type, repository text, path text, content text, similarity double precision)
LANGUAGE sql STABLE AS $$
    SELECT d.id, d.source, d.repository, d.path, e.content_text, 1 - (e.embedding <=> query_embedding)
    FROM vault_embeddings e
    JOIN vault_documents d ON d.id = e.document_id
    WHERE 1 - (e.embedding <=> query_embedding) > match_threshold
    ORDER BY e.embedding <=> query_embedding
    LIMIT match_count
$$;
COMMENT ON FUNCTION match_documents IS 'Semantisk søgning; kaldes af /api/search';

-- The third table was forgotten: any authenticated user may write to it.
ALTER TABLE vault_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault_embeddings ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Service role can do everything" ON vault_documents FOR ALL TO service_role USING (true) WITH CHECK (true);
CREATE POLICY "Authenticated users can read" ON vault_documents FOR SELECT TO authenticated USING (true);
CREATE POLICY "Service role can do everything" ON vault_embeddings FOR ALL TO service_role USING (true) WITH CHECK (true);
CREATE POLICY "Authenticated users can read" ON vault_embeddings FOR SELECT TO authenticated USING (true);

SELECT setseed(0.42);

CREATE TEMP TABLE topics AS
SELECT row_number() OVER () - 1 AS n, subject, sentence FROM (VALUES
    ('faktura', 'Fakturaen sendes til kunden, når rengøringen er udført og godkendt.'),
    ('kunde', 'Kunden ønsker fast rengøring hver anden uge, nøglen ligger i nøgleboksen.'),
    ('booking', 'Bookingen flyttes, hvis medarbejderen melder sig syg inden klokken otte.'),
    ('løn', 'Lønnen beregnes ud fra de registrerede timer og kørsel på ruten.'),
    ('moms', 'Momsen angives hvert kvartal; Billy beregner beløbet ud fra bilagene.'),
    ('rute', 'Ruten planlægges efter adresserne i Århus, Skanderborg og Ærø.'),
    ('nøgle', 'Nøglen kvitteres ud og ind; mistede nøgler meldes straks til kontoret.'),
    ('klage', 'En klage besvares samme dag, og rengøringen gøres om uden beregning.')
) AS t(subject, sentence);

-- A vector is a cluster's centre plus two small disturbances, so that neighbours mean something.
CREATE TEMP TABLE centres AS
SELECT n, (SELECT array_agg(random() - 0.5 + 0 * (n + d)) FROM generate_series(1, 1536) d)::vector(1536) AS v
FROM generate_series(0, 63) n;
CREATE TEMP TABLE disturbances AS
SELECT n, (SELECT array_agg((random() - 0.5) * 0.35 + 0 * (n + d)) FROM generate_series(1, 1536) d)::vector(1536) AS v
FROM generate_series(0, 255) n;
CREATE INDEX ON centres (n);
CREATE INDEX ON disturbances (n);
ANALYZE topics, centres, disturbances;

INSERT INTO vault_documents (id, source, repository, path, content, metadata, sha, created_at, updated_at)
SELECT md5('document' || i)::uuid,
    (ARRAY['github', 'github', 'github', 'supabase', 'chatgpt', 'local'])[1 + i % 6]::source_type,
    'tekup/' || (ARRAY['vault', 'billy', 'rendetalje', 'håndbog'])[1 + i % 4],
    format('docs/%s/%s.md', t.subject, i),
    format(E'# %s nr. %s\n\n%s\n\nSe også side %s – «%s».', initcap(t.subject), i, t.sentence, i % 97, t.subject),
    jsonb_build_object('emne', t.subject, 'nummer', i, 'sprog', 'da'),
    CASE WHEN i % 6 < 3 THEN md5('sha' || i) END,
    timestamptz '2025-03-01 08:00:00+00' + i * interval '1 minute 0.000123 seconds',
    timestamptz '2025-09-01 08:00:00+00' + i * interval '1 minute 0.000321 seconds'
FROM generate_series(1, ${rows}) i
JOIN topics t ON t.n = i % 8;

INSERT INTO vault_embeddings (id, document_id, content_text, embedding, created_at)
SELECT md5('embedding' || i)::uuid, md5('document' || i)::uuid, t.sentence,
    c.v + a.v + b.v,
    timestamptz '2025-03-01 08:00:00+00' + i * interval '1 minute 0.000123 seconds'
FROM generate_series(1, ${rows}) i
JOIN topics t ON t.n = i % 8
JOIN centres c ON c.n = i % 64
JOIN disturbances a ON a.n = (i / 64) % 256
JOIN disturbances b ON b.n = (i * 7 + i / 16384) % 256;

INSERT INTO vault_sync_status (source, repository, status, error_message, last_sync_at, duration_seconds)
SELECT s::source_type, r,
    CASE WHEN s = 'local' THEN 'error' ELSE 'success' END::sync_status,
    CASE WHEN s = 'local' THEN 'Mappen findes ikke: C:\Users\Jonas\Tekup' END,
    timestamptz '2025-10-20 06:00:00.123456+00', 12.3456789012345678
FROM unnest(ARRAY['github', 'supabase', 'chatgpt', 'local']) s, unnest(ARRAY['tekup/vault', 'tekup/billy', 'tekup/rendetalje', 'tekup/håndbog']) r;

DROP TABLE topics, centres, disturbances;
ANALYZE;
