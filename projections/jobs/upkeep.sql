-- Reads of the view `jobs` across tenants, for sweeps; nothing of these reaches a client.

-- name: known
SELECT job_id FROM job_request WHERE job_id = ANY(%(job_ids)s);

-- name: erased_among
SELECT job_id FROM job_erasure WHERE job_id = ANY(%(job_ids)s);

-- name: ended  jobs that ended after a place, in the order of their ends
SELECT
    state.job_id, state.tenant_id, state.status, state.seq, state.occurred_at AS ended_at_ms,
    CASE state.status
        WHEN 'failed' THEN coalesce((state.failure ->> 'retryable')::boolean, false)
        WHEN 'completed' THEN coalesce(whole.gaps <> '[]' OR whole.warnings @? %(open_path)s::jsonpath, false)
        ELSE false
    END AS open_ends
FROM job_state AS state
LEFT JOIN job_completion AS whole USING (job_id)
WHERE state.status IN ('completed', 'failed', 'cancelled')
    AND (state.occurred_at, state.job_id) > (%(at_ms)s, %(job_id)s)
ORDER BY state.occurred_at, state.job_id
LIMIT %(limit)s;

-- name: erased  jobs that were erased after a place, in the order of their erasures
SELECT job_id, tenant_id, seq, occurred_at AS erased_at_ms FROM job_erasure
WHERE (occurred_at, job_id) > (%(at_ms)s, %(job_id)s)
ORDER BY occurred_at, job_id
LIMIT %(limit)s;

-- name: erasures_of
SELECT job_id, tenant_id, seq, occurred_at AS erased_at_ms FROM job_erasure WHERE job_id = ANY(%(job_ids)s);

-- name: untouched  open jobs without a fact since a time, in the order of their ids
SELECT
    state.job_id, state.tenant_id, touch.seq, touch.occurred_at AS touched_at_ms,
    audio.job_id IS NOT NULL AS prepared,
    coalesce((asked.options ->> 'diarize')::boolean, true) AS diarize,
    ARRAY(
        SELECT planned FROM generate_series(0, coalesce(audio.planned, 0) - 1) AS planned
        WHERE NOT EXISTS (
            SELECT FROM job_chunk AS done
            WHERE done.job_id = state.job_id AND done.chunk = planned AND done.round = coalesce(again.round, 0)
        )
    ) AS open_chunks
FROM job_state AS state
JOIN job_touch AS touch USING (job_id)
JOIN job_request AS asked USING (job_id)
LEFT JOIN job_audio AS audio USING (job_id)
LEFT JOIN job_retry AS again USING (job_id)
WHERE state.status IN ('queued', 'processing') AND touch.occurred_at <= %(before_ms)s AND state.job_id > %(after)s
ORDER BY state.job_id
LIMIT %(limit)s;

-- name: standings  where these jobs stand; an erased one has the status `erased`
SELECT state.job_id, state.status, coalesce(again.round, 0) AS round, audio.job_id IS NOT NULL AS prepared
FROM job_state AS state
LEFT JOIN job_audio AS audio USING (job_id)
LEFT JOIN job_retry AS again USING (job_id)
WHERE state.job_id = ANY(%(job_ids)s)
    AND NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = state.job_id AND gone.seq > state.seq)
UNION ALL
SELECT job_id, 'erased', 0, false FROM job_erasure WHERE job_id = ANY(%(job_ids)s);
