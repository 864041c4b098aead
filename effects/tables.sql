-- What effects remember: which work is done. Losing a row repeats harmless work.

-- Jobs whose objects were deleted, as of the fact `seq` of their state. Not final: a process that was still at the job's
-- audio may have stored something after that, so it is looked at once more.
CREATE TABLE IF NOT EXISTS swept_jobs (
    job_id text PRIMARY KEY,
    seq bigint NOT NULL,
    reason text NOT NULL,
    final boolean NOT NULL,
    swept_at timestamptz NOT NULL DEFAULT now()
);

-- When each partition of `transcripts` was nudged last.
CREATE TABLE IF NOT EXISTS nudges (
    partition int PRIMARY KEY,
    nudged_at timestamptz NOT NULL
);

-- Erasures as `effects` carries them out. Nothing here says what a job was about: ids, counts and times.
-- `settled_at` is the last pass: until then whatever a paused or slow process stored meanwhile is looked for again.
CREATE TABLE IF NOT EXISTS erasures (
    job_id text PRIMARY KEY,
    seq bigint NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    passed_at timestamptz NOT NULL DEFAULT now(),
    -- when a pass last found something to forget
    forgot_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz
);
-- Since when no document of the job waits for the search index; null while one may.
ALTER TABLE erasures ADD COLUMN IF NOT EXISTS unmarked_at timestamptz;
CREATE INDEX IF NOT EXISTS erasures_forgot ON erasures (forgot_at);
CREATE INDEX IF NOT EXISTS erasures_unmarked ON erasures (unmarked_at);
CREATE INDEX IF NOT EXISTS erasures_open ON erasures (passed_at) WHERE settled_at IS NULL;

-- What was done for each, by place: how often, how much in all, when it was first and last done.
CREATE TABLE IF NOT EXISTS erasure_steps (
    job_id text NOT NULL,
    step text NOT NULL,
    runs int NOT NULL,
    amount bigint NOT NULL,
    detail text NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, step)
);

-- When each store was last rewritten without what it had forgotten: whatever was deleted before `through` is not in its files.
CREATE TABLE IF NOT EXISTS rewrites (
    store text PRIMARY KEY,
    through timestamptz NOT NULL,
    done_at timestamptz NOT NULL
);

-- For how many days from the upload on a tenant keeps recordings and transcripts; null is for ever.
CREATE TABLE IF NOT EXISTS tenant_retention (
    tenant_id text PRIMARY KEY,
    audio_days int CHECK (audio_days >= 1),
    transcript_days int CHECK (transcript_days >= 1),
    set_at timestamptz NOT NULL DEFAULT now()
);

-- Jobs whose recording was deleted because it was too old.
CREATE TABLE IF NOT EXISTS audio_expiries (
    job_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    expired_at timestamptz NOT NULL DEFAULT now()
);
