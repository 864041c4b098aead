-- What the indexer reads and strikes off.

-- name: pending  the oldest marks of these partitions
SELECT job_id, segment_id, mark FROM search_pending
WHERE partition = ANY(%(partitions)s)
ORDER BY mark
LIMIT %(limit)s;

-- name: sources  these marked segments as they stand now, with their jobs
SELECT
    marked.job_id, marked.segment_id, marked.mark,
    said.tenant_id, said.seq, said.removed, said.start_ms, said.end_ms, said.speaker_id, said.language, said.text,
    said.words,
    job.seq AS job_seq, job.created_at, job.file_name,
    gone.seq AS erased_seq, gone.tenant_id AS erased_tenant_id
FROM unnest(%(job_ids)s::text[], %(segment_ids)s::text[], %(marks)s::bigint[]) AS marked (job_id, segment_id, mark)
LEFT JOIN transcript_segment AS said ON said.job_id = marked.job_id AND said.segment_id = marked.segment_id
LEFT JOIN transcript_job AS job ON job.job_id = marked.job_id
LEFT JOIN transcript_erasure AS gone ON gone.job_id = marked.job_id;

-- name: speakers
SELECT job_id, 'label' AS kind, speaker_id, label AS text, speech_ms, seq FROM transcript_speaker
WHERE job_id = ANY(%(job_ids)s)
UNION ALL
SELECT job_id, 'name', speaker_id, name, 0, seq FROM transcript_speaker_name WHERE job_id = ANY(%(job_ids)s)
UNION ALL
SELECT job_id, 'merge', speaker_id, into_speaker_id, 0, seq FROM transcript_speaker_merge WHERE job_id = ANY(%(job_ids)s);

-- name: strike  those that were not marked again meanwhile
DELETE FROM search_pending AS pending
USING unnest(%(job_ids)s::text[], %(segment_ids)s::text[], %(marks)s::bigint[]) AS done (job_id, segment_id, mark)
WHERE pending.job_id = done.job_id AND pending.segment_id = done.segment_id AND pending.mark = done.mark;

-- name: waiting  how many marks there are, at most 10,000
SELECT count(*) FROM (SELECT FROM search_pending WHERE partition = ANY(%(partitions)s) LIMIT 10000) AS those;

-- name: oldest_mark  the first mark that waits, if any, and the last that was given out
SELECT (SELECT min(mark) FROM search_pending WHERE partition = ANY(%(partitions)s)), last_value FROM search_mark;
