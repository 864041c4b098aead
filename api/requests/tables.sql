-- What the API has promised before the log knows it.

-- An accepted upload with the final bytes of its UploadReceived: written before the record is produced, so that a
-- client's next GET finds the job and `effects` can produce exactly these bytes again.
CREATE TABLE IF NOT EXISTS accepted_requests (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    event_id text NOT NULL,
    occurred_at bigint NOT NULL,
    request jsonb NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    headers jsonb NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now(),
    repeated_at timestamptz,
    repeats int NOT NULL DEFAULT 0
);
-- What people said or named stays out of the planner's statistics, which keep samples of values.
ALTER TABLE accepted_requests ALTER COLUMN request SET STATISTICS 0, ALTER COLUMN value SET STATISTICS 0,
    ALTER COLUMN headers SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS accepted_requests_by_tenant ON accepted_requests (tenant_id, occurred_at DESC, job_id DESC);

-- One row for each Idempotency-Key: in flight while `answer_status` is null, and then only until `leased_until`.
-- `request_id` stays the same for every repeat, so that a repeat appends the same record.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    tenant_id text NOT NULL,
    key text NOT NULL,
    request_id text NOT NULL,
    holder text NOT NULL,
    leased_until timestamptz NOT NULL,
    job_id text,
    fingerprint text,
    answer_status int,
    answer_headers jsonb,
    answer_body bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key)
);
ALTER TABLE idempotency_keys ALTER COLUMN answer_body SET STATISTICS 0, ALTER COLUMN answer_headers SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS idempotency_keys_by_job ON idempotency_keys (job_id);
