-- Marks of the view `search`. %(rows)s is a JSON list of rows {job_id, tenant_id, seq, …}, %(partition)s where they came from.
-- A segment that is marked again gets a new mark, so that whoever indexes an older state of it does not strike it off.

-- name: mark_segments
INSERT INTO search_pending (job_id, segment_id, partition, mark)
SELECT fresh.job_id, fresh.segment_id, %(partition)s, nextval('search_mark')
FROM json_to_recordset(%(rows)s::json) AS fresh (job_id text, segment_id text)
ON CONFLICT (job_id, segment_id) DO UPDATE SET mark = excluded.mark, partition = excluded.partition;

-- name: mark_speakers  the segments of these speakers and of all that were merged into them
WITH RECURSIVE voices AS (
    SELECT fresh.job_id, fresh.speaker_id
    FROM json_to_recordset(%(rows)s::json) AS fresh (job_id text, speaker_id text)
    UNION
    SELECT merged.job_id, merged.speaker_id
    FROM transcript_speaker_merge AS merged
    JOIN voices ON merged.job_id = voices.job_id AND merged.into_speaker_id = voices.speaker_id
)
INSERT INTO search_pending (job_id, segment_id, partition, mark)
SELECT spoken.job_id, spoken.segment_id, %(partition)s, nextval('search_mark')
FROM transcript_segment AS spoken
JOIN voices ON spoken.job_id = voices.job_id AND spoken.speaker_id = voices.speaker_id
ON CONFLICT (job_id, segment_id) DO UPDATE SET mark = excluded.mark, partition = excluded.partition;

-- name: mark_jobs  every segment of these jobs
INSERT INTO search_pending (job_id, segment_id, partition, mark)
SELECT spoken.job_id, spoken.segment_id, %(partition)s, nextval('search_mark')
FROM transcript_segment AS spoken
JOIN json_to_recordset(%(rows)s::json) AS fresh (job_id text) ON spoken.job_id = fresh.job_id
ON CONFLICT (job_id, segment_id) DO UPDATE SET mark = excluded.mark, partition = excluded.partition;
