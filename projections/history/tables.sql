-- What the view `history` keeps: one line for each fact, without content. Audit trail, live feed and outcomes of requests.

CREATE TABLE IF NOT EXISTS history (
    job_id text NOT NULL,
    seq bigint NOT NULL,
    tenant_id text NOT NULL,
    kind text NOT NULL,
    occurred_at bigint NOT NULL,
    actor text NOT NULL,
    cause_id text NOT NULL,
    event_id text NOT NULL,
    code text,
    message text,
    PRIMARY KEY (job_id, seq)
);
ALTER TABLE history ALTER COLUMN message SET STATISTICS 0;
CREATE INDEX IF NOT EXISTS history_cause ON history (cause_id);

-- Marker: lines of a lesser seq are gone and stay away, in whatever order facts arrive.
CREATE TABLE IF NOT EXISTS history_erasure (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    seq bigint NOT NULL
);
