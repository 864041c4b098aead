-- What the consumer loop and `schema apply` need.

CREATE TABLE IF NOT EXISTS schema_version (
    version text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- The next offset of each consumer, moved in the transaction that holds its effects, and a digest of the record before.
CREATE TABLE IF NOT EXISTS consumer_offsets (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,
    last_record bytea,
    PRIMARY KEY (consumer, topic, partition)
);
ALTER TABLE consumer_offsets ADD COLUMN IF NOT EXISTS last_record bytea;
