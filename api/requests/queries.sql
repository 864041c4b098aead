-- name: claim_key  one row where the key is ours now: new, or its holder let the lease run out
INSERT INTO idempotency_keys (tenant_id, key, request_id, holder, leased_until)
VALUES (%(tenant_id)s, %(key)s, %(request_id)s, %(holder)s, now() + make_interval(secs => %(lease_s)s))
ON CONFLICT (tenant_id, key) DO UPDATE
SET holder = excluded.holder, leased_until = excluded.leased_until
WHERE idempotency_keys.answer_status IS NULL AND idempotency_keys.leased_until < now()
RETURNING request_id;

-- name: key_state
SELECT fingerprint, answer_status, answer_headers, answer_body, job_id FROM idempotency_keys
WHERE tenant_id = %(tenant_id)s AND key = %(key)s;

-- name: renew_key
UPDATE idempotency_keys SET leased_until = now() + make_interval(secs => %(lease_s)s)
WHERE tenant_id = %(tenant_id)s AND key = %(key)s AND holder = %(holder)s AND answer_status IS NULL;

-- name: settle_key
UPDATE idempotency_keys
SET fingerprint = %(fingerprint)s, job_id = %(job_id)s, answer_status = %(status)s,
    answer_headers = %(headers)s, answer_body = %(body)s
WHERE tenant_id = %(tenant_id)s AND key = %(key)s AND holder = %(holder)s AND answer_status IS NULL;

-- name: release_key
DELETE FROM idempotency_keys
WHERE tenant_id = %(tenant_id)s AND key = %(key)s AND holder = %(holder)s AND answer_status IS NULL;

-- name: lapse_key  whoever comes next is the holder, under the same request id
UPDATE idempotency_keys SET leased_until = '-infinity'
WHERE tenant_id = %(tenant_id)s AND key = %(key)s AND holder = %(holder)s AND answer_status IS NULL;

-- name: accept
INSERT INTO accepted_requests
    (job_id, tenant_id, event_id, occurred_at, request, topic, partition, key, value, headers)
VALUES (%(job_id)s, %(tenant_id)s, %(event_id)s, %(occurred_at)s, %(request)s,
        %(topic)s, %(partition)s, %(key)s, %(value)s, %(headers)s)
ON CONFLICT DO NOTHING
RETURNING job_id;

-- name: accepted
SELECT request FROM accepted_requests WHERE job_id = %(job_id)s AND tenant_id = %(tenant_id)s;

-- name: accepted_page  newest first; a null position is the beginning
SELECT request FROM accepted_requests
WHERE tenant_id = %(tenant_id)s
  AND (%(before)s::bigint IS NULL OR (occurred_at, job_id) < (%(before)s::bigint, %(before_id)s::text))
ORDER BY occurred_at DESC, job_id DESC
LIMIT %(limit)s;

-- name: old_acceptances  accepted a while ago, from a place on (null: the first); how often each was produced again, and whether it is due
SELECT job_id, topic, partition, key, value, headers, accepted_at, repeats,
       repeats < %(most)s AND (repeated_at IS NULL
           OR repeated_at < now() - make_interval(secs => %(repeat_after_s)s * 2.0 ^ (repeats - 1)))
FROM accepted_requests
WHERE accepted_at < now() - make_interval(secs => %(older_s)s)
  AND (%(after)s::timestamptz IS NULL OR (accepted_at, job_id) > (%(after)s::timestamptz, %(after_id)s::text))
ORDER BY accepted_at, job_id
LIMIT %(limit)s;

-- name: note_repeat
UPDATE accepted_requests SET repeated_at = now(), repeats = repeats + 1 WHERE job_id = ANY(%(job_ids)s);

-- name: given_up  acceptances that are not produced again by themselves
SELECT count(*) FROM accepted_requests WHERE repeats >= %(most)s;

-- name: forget_acceptances
DELETE FROM accepted_requests WHERE job_id = ANY(%(job_ids)s);

-- name: forget_answers  the key stays known, what was answered to it does not
UPDATE idempotency_keys
SET answer_status = 410, answer_headers = '{}', answer_body = '', fingerprint = NULL
WHERE job_id = ANY(%(job_ids)s) AND answer_status IS DISTINCT FROM 410;

-- name: forget_keys
DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => %(older_s)s)
  AND (answer_status IS NOT NULL OR leased_until < now());

-- name: accepted_among
SELECT job_id FROM accepted_requests WHERE job_id = ANY(%(job_ids)s);
