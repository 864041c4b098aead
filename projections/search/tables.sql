-- Segments whose document in the search index is behind the view. `mark` changes whenever a segment is marked again, so
-- that an indexer that read an older state cannot strike it off.

CREATE SEQUENCE IF NOT EXISTS search_mark;
CREATE TABLE IF NOT EXISTS search_pending (
    job_id text NOT NULL,
    segment_id text NOT NULL,
    partition int NOT NULL,
    mark bigint NOT NULL,
    PRIMARY KEY (job_id, segment_id)
);
CREATE INDEX IF NOT EXISTS search_pending_next ON search_pending (partition, mark);
