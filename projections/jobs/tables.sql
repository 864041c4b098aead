-- What the view `jobs` keeps: a table for each kind of contribution, joined by the queries.
-- A row is written whole and only by a fact of a greater seq. The index of a chunk is `chunk`: `index` reads badly in SQL.

CREATE TABLE IF NOT EXISTS job_request (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL,
    actor text NOT NULL,
    audio_key text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    file_name text,
    media_type text,
    options jsonb NOT NULL,
    lane text NOT NULL,
    origin_job_id text
);
CREATE INDEX IF NOT EXISTS job_request_newest ON job_request (tenant_id, occurred_at DESC, job_id DESC);

-- What people said or named stays out of the planner's statistics, which keep samples of values.
ALTER TABLE job_request ALTER COLUMN file_name SET STATISTICS 0, ALTER COLUMN options SET STATISTICS 0;

CREATE TABLE IF NOT EXISTS job_audio (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL,
    duration_ms bigint NOT NULL,
    media jsonb NOT NULL,
    lane text NOT NULL,
    planned int NOT NULL
);

CREATE TABLE IF NOT EXISTS job_state (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL,
    status text NOT NULL,
    stage text,
    failure jsonb
);
ALTER TABLE job_state ALTER COLUMN failure SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS job_state_open ON job_state (tenant_id) WHERE status IN ('queued', 'processing');
CREATE INDEX IF NOT EXISTS job_state_ended ON job_state (occurred_at, job_id)
    WHERE status IN ('completed', 'failed', 'cancelled');

CREATE TABLE IF NOT EXISTS job_chunk (
    job_id text NOT NULL,
    chunk int NOT NULL,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL,
    round int NOT NULL,
    start_ms bigint NOT NULL,
    end_ms bigint NOT NULL,
    language text,
    text text NOT NULL,
    failed jsonb NOT NULL,
    warnings jsonb NOT NULL,
    PRIMARY KEY (job_id, chunk)
);
ALTER TABLE job_chunk ALTER COLUMN text SET STATISTICS 0, ALTER COLUMN failed SET STATISTICS 0,
    ALTER COLUMN warnings SET STATISTICS 0;

CREATE TABLE IF NOT EXISTS job_retry (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL,
    round int NOT NULL,
    planned int NOT NULL
);

CREATE TABLE IF NOT EXISTS job_completion (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL,
    round int NOT NULL,
    duration_ms bigint NOT NULL,
    language text,
    gaps jsonb NOT NULL,
    warnings jsonb NOT NULL
);
ALTER TABLE job_completion ALTER COLUMN gaps SET STATISTICS 0, ALTER COLUMN warnings SET STATISTICS 0;

-- The newest fact of each job: what a client sees as version and time of change. Nothing is decided by it.
CREATE TABLE IF NOT EXISTS job_touch (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL
);

-- Marker: rows of a lesser seq are gone and stay away, in whatever order facts arrive.
CREATE TABLE IF NOT EXISTS job_erasure (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    occurred_at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS job_erasure_when ON job_erasure (occurred_at, job_id);
