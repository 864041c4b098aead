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
