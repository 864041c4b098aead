-- Reads of the view `jobs`. The tenant is always part of the question.

-- name: jobs  the joined rows of these jobs
SELECT
    asked.job_id, asked.tenant_id, asked.occurred_at AS created_at, asked.file_name, asked.media_type, asked.audio_key,
    asked.sha256, asked.size_bytes, asked.options, coalesce(audio.lane, asked.lane) AS lane, asked.origin_job_id,
    state.status, state.stage, state.failure,
    coalesce(audio.duration_ms, whole.duration_ms) AS duration_ms,
    CASE WHEN again.seq > audio.seq THEN again.planned ELSE audio.planned END AS planned,
    coalesce(again.occurred_at, asked.occurred_at) AS round_started_at,
    chunks.completed AS chunks_completed, chunks.last_at AS last_chunk_at, chunks.language AS chunk_language,
    chunks.failed AS chunk_failed, chunks.warnings AS chunk_warnings, chunks.text AS partial_text,
    whole.job_id IS NOT NULL AS completed, whole.language AS completed_language, whole.gaps AS completed_gaps,
    whole.warnings AS completed_warnings,
    touch.occurred_at AS updated_at, touch.seq AS version,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
FROM job_request AS asked
JOIN job_state AS state USING (job_id)
JOIN job_touch AS touch USING (job_id)
LEFT JOIN job_audio AS audio USING (job_id)
LEFT JOIN job_retry AS again USING (job_id)
LEFT JOIN job_completion AS whole USING (job_id)
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE round = coalesce(again.round, 0)) AS completed,
        max(occurred_at) FILTER (WHERE round = coalesce(again.round, 0)) AS last_at,
        mode() WITHIN GROUP (ORDER BY language) AS language,
        coalesce(jsonb_agg(failed ORDER BY chunk) FILTER (WHERE failed <> '[]'), '[]') AS failed,
        coalesce(jsonb_agg(warnings ORDER BY chunk) FILTER (WHERE warnings <> '[]'), '[]') AS warnings,
        CASE WHEN %(with_text)s THEN string_agg(text, ' ' ORDER BY chunk) FILTER (WHERE text <> '') END AS text
    FROM job_chunk
    WHERE job_chunk.job_id = asked.job_id
) AS chunks
WHERE asked.tenant_id = %(tenant_id)s AND asked.job_id = ANY(%(job_ids)s);

-- name: newest  a page of job ids, newest first; a status of NULL means any
SELECT asked.job_id, asked.occurred_at AS created_at
FROM job_request AS asked
JOIN job_state AS state USING (job_id)
WHERE asked.tenant_id = %(tenant_id)s
    AND (%(status)s::text IS NULL OR state.status = %(status)s)
    AND (%(before)s::bigint IS NULL OR (asked.occurred_at, asked.job_id) < (%(before)s, %(before_job)s))
ORDER BY asked.occurred_at DESC, asked.job_id DESC
LIMIT %(limit)s;

-- name: erased
SELECT 1 FROM job_erasure WHERE job_id = %(job_id)s AND tenant_id = %(tenant_id)s;

-- name: outstanding  audio of the open jobs whose length is known
SELECT coalesce(sum(audio.duration_ms), 0)::bigint AS duration_ms
FROM job_state AS state
JOIN job_audio AS audio USING (job_id)
WHERE state.tenant_id = %(tenant_id)s AND state.status IN ('queued', 'processing');
