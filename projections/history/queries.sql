-- Reads of the view `history`. The tenant is always part of the question.

-- name: since
SELECT job_id, seq, kind, occurred_at AS occurred_at_ms, actor, cause_id, event_id, code, message
FROM history
WHERE job_id = %(job_id)s AND tenant_id = %(tenant_id)s AND seq > %(after_seq)s
ORDER BY seq
LIMIT %(limit)s;

-- name: outcome  the first fact that a request led to
SELECT job_id, seq, kind, occurred_at AS occurred_at_ms, actor, cause_id, event_id, code, message
FROM history
WHERE cause_id = %(cause_id)s AND tenant_id = %(tenant_id)s
ORDER BY seq
LIMIT 1;
