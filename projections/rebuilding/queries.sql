-- name: versions
SELECT projection, version, state, job_id, segment_id, changed_at FROM view_versions ORDER BY projection, version;

-- name: ensure_live  what was made without a rebuild is version 1
INSERT INTO view_versions (projection, version, state)
SELECT %(projection)s, %(version)s, 'live'
WHERE NOT EXISTS (SELECT FROM view_versions WHERE projection = %(projection)s AND state = 'live')
ON CONFLICT (projection, version) DO UPDATE SET state = 'live', changed_at = now();

-- name: add_next  one more than any there ever was beside the live one
INSERT INTO view_versions (projection, version, state)
SELECT %(projection)s, max(version) + 1, 'next' FROM view_versions WHERE projection = %(projection)s
RETURNING version;

-- name: promote  the chosen version is live, the one that was is the way back
UPDATE view_versions
SET state = CASE WHEN version = %(version)s THEN 'live' ELSE 'old' END, job_id = '', segment_id = '', changed_at = now()
WHERE projection = %(projection)s AND (version = %(version)s OR state = 'live');

-- name: note_place
UPDATE view_versions SET job_id = %(job_id)s, segment_id = %(segment_id)s, changed_at = now()
WHERE projection = %(projection)s AND version = %(version)s;

-- name: touch  work on a version goes on
UPDATE view_versions SET changed_at = now() WHERE projection = %(projection)s AND version = %(version)s;

-- name: forget
DELETE FROM view_versions WHERE projection = %(projection)s AND version = %(version)s;

-- name: beside  versions that are not live, held until the transaction ends so that nobody drops their tables
SELECT projection, version FROM view_versions
WHERE state <> 'live' AND projection = ANY(%(projections)s) ORDER BY projection, version FOR KEY SHARE;

-- name: beside_since  versions that nobody reads and nobody has worked on for so long
SELECT projection, version FROM view_versions
WHERE state <> 'live' AND changed_at < now() - make_interval(secs => %(older_s)s);

-- name: offsets
SELECT partition, next_offset FROM consumer_offsets WHERE consumer = %(consumer)s AND topic = %(topic)s;

-- name: put_offsets
INSERT INTO consumer_offsets (consumer, topic, partition, next_offset)
SELECT %(consumer)s, %(topic)s, * FROM unnest(%(partitions)s::int[], %(offsets)s::bigint[])
ON CONFLICT (consumer, topic, partition) DO UPDATE SET next_offset = excluded.next_offset, last_record = NULL;

-- name: forget_offsets
DELETE FROM consumer_offsets WHERE consumer = %(consumer)s;

-- name: page  segments after a place, in the order of their ids, as `search/queries.sql` reads marked ones
SELECT
    said.job_id, said.segment_id, 0 AS mark,
    said.tenant_id, said.seq, said.removed, said.start_ms, said.end_ms, said.speaker_id, said.language, said.text,
    said.words,
    job.seq AS job_seq, job.created_at, job.file_name,
    NULL::bigint AS erased_seq, NULL::text AS erased_tenant_id
FROM transcript_segment AS said
LEFT JOIN transcript_job AS job ON job.job_id = said.job_id
WHERE (said.job_id, said.segment_id) > (%(job_id)s, %(segment_id)s)
ORDER BY said.job_id, said.segment_id
LIMIT %(limit)s;

-- name: segments  about how many there are, without counting
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'transcript_segment'::regclass;

-- name: forget_refused  what was taken after all, or is to be noted anew
DELETE FROM search_refused AS refused
USING unnest(%(job_ids)s::text[], %(segment_ids)s::text[]) AS written (job_id, segment_id)
WHERE refused.projection = %(projection)s AND refused.version = %(version)s
  AND refused.job_id = written.job_id AND refused.segment_id = written.segment_id;

-- name: note_refused
INSERT INTO search_refused (projection, version, job_id, segment_id, reason)
SELECT %(projection)s, %(version)s, *
FROM unnest(%(job_ids)s::text[], %(segment_ids)s::text[], %(reasons)s::text[])
ON CONFLICT (version, job_id, segment_id) DO UPDATE SET reason = excluded.reason;

-- name: mark_refused  those that are not marked anyway
INSERT INTO search_pending (job_id, segment_id, partition, mark)
SELECT job_id, segment_id, %(partition)s, nextval('search_mark')
FROM (SELECT DISTINCT job_id, segment_id FROM search_refused) AS refused
ON CONFLICT (job_id, segment_id) DO NOTHING;
