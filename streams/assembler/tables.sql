-- What the assembler knows and has not told yet. Everything is split by partition, like the topics.

-- Who writes a partition: a member that finds another claim than its own has lost the partition.
CREATE TABLE IF NOT EXISTS assembler_claims (
    partition int PRIMARY KEY,
    claim bigint NOT NULL
);

-- One row per job, locked while its inputs are applied. The large parts have columns of their own, written only when they change.
-- `version` is new with each write: who knows it need not read the rest.
CREATE TABLE IF NOT EXISTS assembler_jobs (
    job_id text PRIMARY KEY,
    partition int NOT NULL,
    status text NOT NULL,
    version bigint NOT NULL,
    state bytea NOT NULL,
    plan bytea NOT NULL,
    segments bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE assembler_jobs ALTER COLUMN state SET STORAGE EXTERNAL;
ALTER TABLE assembler_jobs ALTER COLUMN plan SET STORAGE EXTERNAL;
ALTER TABLE assembler_jobs ALTER COLUMN segments SET STORAGE EXTERNAL;
-- What people said or named stays out of the planner's statistics, which keep samples of values.
ALTER TABLE assembler_jobs ALTER COLUMN state SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS assembler_jobs_assembling ON assembler_jobs (partition) WHERE status = 'assembling';

-- What is known of each chunk of a job, a row each, so that a result costs as much in a long recording as in a short one.
-- `early` are answers that came before the plan.
CREATE TABLE IF NOT EXISTS assembler_chunks (
    job_id text NOT NULL,
    index int NOT NULL,
    chunk bytea,
    early bytea,
    PRIMARY KEY (job_id, index)
);
ALTER TABLE assembler_chunks ALTER COLUMN chunk SET STATISTICS 0, ALTER COLUMN early SET STATISTICS 0;

-- Inputs that took effect; one sent again from the dead letters counts anew. With the id of a result goes the hash of its chunk.
CREATE TABLE IF NOT EXISTS assembler_applied (
    event_id text NOT NULL,
    redrive int NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, redrive)
);
CREATE INDEX IF NOT EXISTS assembler_applied_at ON assembler_applied (applied_at);

-- Inputs that are being applied, and how often that was begun: what a crash leaves here is what crashed.
CREATE TABLE IF NOT EXISTS assembler_attempts (
    name text PRIMARY KEY,
    begun int NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now()
);

-- Results of chunks as they came, until the transcript is whole.
CREATE TABLE IF NOT EXISTS assembler_results (
    job_id text NOT NULL,
    index int NOT NULL,
    task text NOT NULL,
    round int NOT NULL,
    chunk_sha256 text NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (job_id, index, task, round, chunk_sha256)
);
ALTER TABLE assembler_results ALTER COLUMN record SET STATISTICS 0;

-- Inputs of jobs that are not known yet.
CREATE TABLE IF NOT EXISTS assembler_parked (
    topic text NOT NULL,
    partition int NOT NULL,
    place bigint NOT NULL,
    job_id text NOT NULL,
    key bytea,
    value bytea,
    headers bytea NOT NULL,
    timestamp_ms bigint NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, place)
);
ALTER TABLE assembler_parked ALTER COLUMN value SET STATISTICS 0, ALTER COLUMN headers SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS assembler_parked_job ON assembler_parked (job_id);

-- Final bytes that the broker has not acknowledged: facts at ordinal 0 (so that no number is given twice), tombstones
-- below it, work for the chunk lanes above; dead letters under a key of their own.
CREATE TABLE IF NOT EXISTS assembler_outbox (
    job_id text NOT NULL,
    seq bigint NOT NULL,
    ordinal int NOT NULL,
    partition int NOT NULL,
    topic text NOT NULL,
    topic_partition int NOT NULL,
    key bytea NOT NULL,
    value bytea,
    headers bytea NOT NULL,
    PRIMARY KEY (job_id, seq, ordinal)
);
ALTER TABLE assembler_outbox ALTER COLUMN value SET STATISTICS 0, ALTER COLUMN headers SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS assembler_outbox_partition ON assembler_outbox (partition);

-- How far the log of `transcripts` is known: every fact before that place is in the states. After a loss the log is ahead.
CREATE TABLE IF NOT EXISTS assembler_log (
    partition int PRIMARY KEY,
    next_offset bigint NOT NULL
);

-- Jobs whose state was learned from the log after a loss, until their work goes on.
CREATE TABLE IF NOT EXISTS assembler_recovered (
    job_id text PRIMARY KEY,
    partition int NOT NULL,
    tenant_id text NOT NULL,
    cause_id text NOT NULL,
    occurred_at bigint NOT NULL
);
