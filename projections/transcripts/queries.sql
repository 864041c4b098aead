-- Reads of the view `transcripts`. The tenant is always part of the question.

-- name: segments  in reading order, after a cursor; a limit of NULL means all
SELECT segment_id, seq, start_ms, end_ms, ordinal, speaker_id, language, text, confidence, flags, words
FROM transcript_segment
WHERE job_id = %(job_id)s AND tenant_id = %(tenant_id)s AND NOT removed
    AND (start_ms, ordinal, segment_id) > (%(start_ms)s, %(ordinal)s, %(segment_id)s)
ORDER BY start_ms, ordinal, segment_id
LIMIT %(limit)s;

-- name: segment
SELECT segment_id, seq, start_ms, end_ms, ordinal, speaker_id, language, text, confidence, flags, words
FROM transcript_segment
WHERE job_id = %(job_id)s AND tenant_id = %(tenant_id)s AND segment_id = %(segment_id)s AND NOT removed;

-- name: speakers
SELECT job_id, 'label' AS kind, speaker_id, label AS text, speech_ms, seq FROM transcript_speaker
WHERE job_id = ANY(%(job_ids)s) AND tenant_id = %(tenant_id)s
UNION ALL
SELECT job_id, 'name', speaker_id, name, 0, seq FROM transcript_speaker_name
WHERE job_id = ANY(%(job_ids)s) AND tenant_id = %(tenant_id)s
UNION ALL
SELECT job_id, 'merge', speaker_id, into_speaker_id, 0, seq FROM transcript_speaker_merge
WHERE job_id = ANY(%(job_ids)s) AND tenant_id = %(tenant_id)s;

-- name: counts
SELECT job_id, count(*) AS segments, coalesce(sum(word_count), 0) AS words FROM transcript_segment
WHERE job_id = ANY(%(job_ids)s) AND tenant_id = %(tenant_id)s AND NOT removed
GROUP BY job_id;

-- name: head  what a transcript is beside its segments; version = the greatest seq of any of its rows
SELECT whole.duration_ms, whole.language, whole.gaps,
    greatest(
        whole.seq,
        (SELECT max(seq) FROM transcript_segment WHERE job_id = %(job_id)s),
        (SELECT max(seq) FROM transcript_speaker_name WHERE job_id = %(job_id)s),
        (SELECT max(seq) FROM transcript_speaker_merge WHERE job_id = %(job_id)s)
    ) AS version
FROM transcript_completion AS whole
WHERE whole.job_id = %(job_id)s AND whole.tenant_id = %(tenant_id)s;
