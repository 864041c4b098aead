-- What the chunker has begun. Rows older than an upload's stay on its topic are of no use and are deleted at start-up.
CREATE TABLE IF NOT EXISTS chunker_tries (
    event_id text PRIMARY KEY,
    tries integer NOT NULL,
    answered boolean NOT NULL DEFAULT false,
    begun_at timestamptz NOT NULL DEFAULT now()
);
