-- Which versions of each view there are: the live one, the next one while it is made, the old one as a way back.
-- Tables of the live version have the names that everybody uses; those of another version lie in the schema
-- `<projection>_v<version>`, with offsets of their own in consumer_offsets.

CREATE TABLE IF NOT EXISTS view_versions (
    projection text NOT NULL,
    version int NOT NULL,
    state text NOT NULL CHECK (state IN ('next', 'live', 'old')),
    -- how far an index is made from its view: the last job and segment, in the order of their ids
    job_id text NOT NULL DEFAULT '',
    segment_id text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, version)
);

-- Segments whose document a version of the search index refuses, and shows without content; what is said of why is the
-- engine's kind of error.
CREATE TABLE IF NOT EXISTS search_refused (
    projection text NOT NULL,
    version int NOT NULL,
    job_id text NOT NULL,
    segment_id text NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (version, job_id, segment_id),
    FOREIGN KEY (projection, version) REFERENCES view_versions ON DELETE CASCADE
);
