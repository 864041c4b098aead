-- Reads of the view `jobs` across tenants, for sweeps; nothing of these reaches a client.

-- name: known
SELECT job_id FROM job_request WHERE job_id = ANY(%(job_ids)s);

-- name: erased_among
SELECT job_id FROM job_erasure WHERE job_id = ANY(%(job_ids)s);

-- name: ended  jobs that ended or were erased since a time, in the order of their ids
SELECT job_id, tenant_id, status, seq, occurred_at AS ended_at_ms, open_ends
FROM (
    SELECT
        state.job_id, state.tenant_id, state.status, state.seq, state.occurred_at,
        CASE state.status
            WHEN 'failed' THEN coalesce((state.failure ->> 'retryable')::boolean, false)
            WHEN 'completed' THEN coalesce(whole.gaps <> '[]' OR whole.warnings @? %(open_path)s::jsonpath, false)
            ELSE false
        END AS open_ends
    FROM job_state AS state
    LEFT JOIN job_completion AS whole USING (job_id)
    WHERE state.status IN ('completed', 'failed', 'cancelled')
    UNION ALL
    SELECT job_id, tenant_id, 'erased', seq, occurred_at, false FROM job_erasure
) AS over
WHERE occurred_at >= %(since_ms)s AND job_id > %(after)s
ORDER BY job_id
LIMIT %(limit)s;
