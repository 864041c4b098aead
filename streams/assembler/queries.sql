-- name: claim
INSERT INTO assembler_claims (partition, claim) VALUES (%(partition)s, 1)
ON CONFLICT (partition) DO UPDATE SET claim = assembler_claims.claim + 1
RETURNING claim;

-- name: check_claim  holds the claim until the transaction ends: a new member waits for it
SELECT 1 FROM assembler_claims WHERE partition = %(partition)s AND claim = %(claim)s FOR UPDATE;

-- name: lock_jobs  of a version that the caller knows nothing else is read
SELECT job_id, version,
    CASE WHEN version = ANY(%(known)s::bigint[]) THEN NULL ELSE state END,
    CASE WHEN version = ANY(%(known)s::bigint[]) THEN NULL ELSE plan END,
    CASE WHEN version = ANY(%(known)s::bigint[]) THEN NULL ELSE segments END
FROM assembler_jobs WHERE job_id = ANY(%(job_ids)s) ORDER BY job_id FOR UPDATE;

-- name: chunks_of_jobs
SELECT job_id, index, chunk, early FROM assembler_chunks WHERE job_id = ANY(%(job_ids)s) ORDER BY job_id, index;

-- name: save_chunks
INSERT INTO assembler_chunks (job_id, index, chunk, early)
SELECT * FROM unnest(%(job_ids)s::text[], %(indexes)s::int[], %(chunks)s::bytea[], %(early)s::bytea[])
ON CONFLICT (job_id, index) DO UPDATE SET chunk = EXCLUDED.chunk, early = EXCLUDED.early;

-- name: forget_chunks
DELETE FROM assembler_chunks AS c
USING unnest(%(job_ids)s::text[], %(indexes)s::int[]) AS gone (job_id, index)
WHERE c.job_id = gone.job_id AND c.index = gone.index;

-- name: save_job  parts that did not change come as null
INSERT INTO assembler_jobs (job_id, partition, status, version, state, plan, segments)
VALUES (%(job_id)s, %(partition)s, %(status)s, %(version)s, %(state)s, COALESCE(%(plan)s::bytea, '[]'::bytea), COALESCE(%(segments)s::bytea, '{}'::bytea))
ON CONFLICT (job_id) DO UPDATE SET
    status = EXCLUDED.status,
    version = EXCLUDED.version,
    state = EXCLUDED.state,
    plan = COALESCE(%(plan)s::bytea, assembler_jobs.plan),
    segments = COALESCE(%(segments)s::bytea, assembler_jobs.segments),
    updated_at = now();

-- name: applied
SELECT event_id, redrive FROM assembler_applied WHERE event_id = ANY(%(event_ids)s);

-- name: mark_applied
INSERT INTO assembler_applied (event_id, redrive)
SELECT * FROM unnest(%(event_ids)s::text[], %(redrives)s::int[])
ON CONFLICT DO NOTHING;

-- name: begin_attempt  counts an input before it is applied; the one before it is done with
WITH done AS (DELETE FROM assembler_attempts WHERE name = %(ended)s AND name <> %(name)s)
INSERT INTO assembler_attempts (name, begun) VALUES (%(name)s, 1)
ON CONFLICT (name) DO UPDATE SET begun = assembler_attempts.begun + 1
RETURNING begun;

-- name: end_attempt
DELETE FROM assembler_attempts WHERE name = %(name)s;

-- name: prune_attempts  of inputs that another member applied meanwhile
DELETE FROM assembler_attempts WHERE begun_at < now() - make_interval(days => %(days)s);

-- name: keep_result
INSERT INTO assembler_results (job_id, index, task, round, chunk_sha256, record)
VALUES (%(job_id)s, %(index)s, %(task)s, %(round)s, %(chunk_sha256)s, %(record)s)
ON CONFLICT DO NOTHING;

-- name: results
SELECT index, task, round, chunk_sha256, record FROM assembler_results WHERE job_id = %(job_id)s;

-- name: forget_results
DELETE FROM assembler_results WHERE job_id = ANY(%(job_ids)s);

-- name: park  at a place where a log that lost its end had another record, this is the one that counts
INSERT INTO assembler_parked (topic, partition, place, job_id, key, value, headers, timestamp_ms)
VALUES (%(topic)s, %(partition)s, %(place)s, %(job_id)s, %(key)s, %(value)s, %(headers)s, %(timestamp_ms)s)
ON CONFLICT (topic, partition, place) DO UPDATE
SET job_id = excluded.job_id, key = excluded.key, value = excluded.value, headers = excluded.headers,
    timestamp_ms = excluded.timestamp_ms, parked_at = now()
WHERE assembler_parked.value IS DISTINCT FROM excluded.value;

-- name: unpark  what waited for a job, to be sorted by arrival
DELETE FROM assembler_parked WHERE job_id = %(job_id)s
RETURNING parked_at, timestamp_ms, topic, partition, place, key, value, headers;

-- name: parked_of  how many inputs wait for each of these jobs
SELECT job_id, count(*) FROM assembler_parked WHERE job_id = ANY(%(job_ids)s) GROUP BY job_id;

-- name: parked  how many inputs wait for their jobs
SELECT count(*) FROM assembler_parked WHERE partition = ANY(%(partitions)s);

-- name: expired  inputs whose job never came
DELETE FROM assembler_parked
WHERE partition = %(partition)s AND parked_at < now() - make_interval(secs => %(seconds)s)
RETURNING parked_at, timestamp_ms, topic, partition, place, key, value, headers;

-- name: put_out
INSERT INTO assembler_outbox (job_id, seq, ordinal, partition, topic, topic_partition, key, value, headers)
VALUES (%(job_id)s, %(seq)s, %(ordinal)s, %(partition)s, %(topic)s, %(topic_partition)s, %(key)s, %(value)s, %(headers)s);

-- name: outbox  what a crash may have left, in the order in which a job's facts are published
SELECT job_id, seq, ordinal, partition, topic, topic_partition, key, value, headers FROM assembler_outbox
WHERE partition = %(partition)s ORDER BY job_id, seq, ordinal;

-- name: outbox_depth
SELECT count(*) FROM assembler_outbox;

-- name: sent
DELETE FROM assembler_outbox AS o
USING unnest(%(job_ids)s::text[], %(seqs)s::bigint[], %(ordinals)s::int[]) AS done (job_id, seq, ordinal)
WHERE o.job_id = done.job_id AND o.seq = done.seq AND o.ordinal = done.ordinal;

-- name: forget_outbox
DELETE FROM assembler_outbox WHERE job_id = ANY(%(job_ids)s);

-- name: assembling
SELECT job_id, partition FROM assembler_jobs WHERE partition = ANY(%(partitions)s) AND status = 'assembling'
ORDER BY updated_at LIMIT %(limit)s;

-- name: prune_applied  older than any record that could still be delivered
DELETE FROM assembler_applied WHERE applied_at < now() - make_interval(days => %(days)s);

-- name: prune_results  of jobs that ended so long ago that nobody may retry them
DELETE FROM assembler_results AS r USING assembler_jobs AS j
WHERE r.job_id = j.job_id AND j.partition = %(partition)s
  AND j.status IN ('completed', 'failed', 'cancelled') AND j.updated_at < now() - make_interval(days => %(days)s);

-- name: log_places
SELECT partition, next_offset FROM assembler_log;

-- name: put_log_place
INSERT INTO assembler_log (partition, next_offset) VALUES (%(partition)s, %(next)s)
ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset;

-- name: advance_log_place
UPDATE assembler_log SET next_offset = greatest(next_offset, %(next)s) WHERE partition = %(partition)s;

-- name: parked_and_known
SELECT DISTINCT p.job_id FROM assembler_parked AS p JOIN assembler_jobs AS j ON j.job_id = p.job_id
WHERE p.partition = %(partition)s;

-- name: note_recovered
INSERT INTO assembler_recovered (job_id, partition, tenant_id, cause_id, occurred_at)
VALUES (%(job_id)s, %(partition)s, %(tenant_id)s, %(cause_id)s, %(occurred_at)s)
ON CONFLICT (job_id) DO UPDATE SET cause_id = excluded.cause_id, occurred_at = excluded.occurred_at;

-- name: take_recovered
DELETE FROM assembler_recovered WHERE job_id IN (
    SELECT job_id FROM assembler_recovered WHERE partition = %(partition)s ORDER BY job_id LIMIT %(limit)s
)
RETURNING job_id, tenant_id, cause_id, occurred_at;
