-- What the view `transcripts` keeps: the text as it stands now, and who speaks.

CREATE TABLE IF NOT EXISTS transcript_job (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    created_at bigint NOT NULL,
    file_name text
);
-- What people said or named stays out of the planner's statistics, which keep samples of values.
ALTER TABLE transcript_job ALTER COLUMN file_name SET STATISTICS 0;

CREATE TABLE IF NOT EXISTS transcript_completion (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    duration_ms bigint NOT NULL,
    language text,
    gaps jsonb NOT NULL
);

-- A removed segment stays as a marker without text.
CREATE TABLE IF NOT EXISTS transcript_segment (
    job_id text NOT NULL,
    segment_id text NOT NULL,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    removed boolean NOT NULL,
    start_ms bigint NOT NULL,
    end_ms bigint NOT NULL,
    ordinal bigint NOT NULL,
    speaker_id text,
    language text,
    text text NOT NULL,
    confidence double precision,
    flags jsonb NOT NULL,
    -- json, not jsonb: nothing looks inside it here, and it is written three times as fast
    words json NOT NULL,
    word_count int NOT NULL,
    PRIMARY KEY (job_id, segment_id)
);
ALTER TABLE transcript_segment ALTER COLUMN text SET STATISTICS 0, ALTER COLUMN words SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS transcript_segment_order
    ON transcript_segment (job_id, start_ms, ordinal) INCLUDE (word_count) WHERE NOT removed;

CREATE TABLE IF NOT EXISTS transcript_speaker (
    job_id text NOT NULL,
    speaker_id text NOT NULL,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    label text NOT NULL,
    speech_ms bigint NOT NULL,
    PRIMARY KEY (job_id, speaker_id)
);
ALTER TABLE transcript_speaker ALTER COLUMN label SET STATISTICS 0;

CREATE TABLE IF NOT EXISTS transcript_speaker_name (
    job_id text NOT NULL,
    speaker_id text NOT NULL,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    name text,
    PRIMARY KEY (job_id, speaker_id)
);
ALTER TABLE transcript_speaker_name ALTER COLUMN name SET STATISTICS 0;

CREATE TABLE IF NOT EXISTS transcript_speaker_merge (
    job_id text NOT NULL,
    speaker_id text NOT NULL,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    into_speaker_id text NOT NULL,
    PRIMARY KEY (job_id, speaker_id)
);

-- Marker: rows of a lesser seq are gone and stay away, in whatever order facts arrive.
CREATE TABLE IF NOT EXISTS transcript_erasure (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL
);
