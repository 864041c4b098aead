-- name: swept  what needs no sweep; `once_more` is for the pass that also looks behind itself
SELECT job_id, seq FROM swept_jobs WHERE job_id = ANY(%(job_ids)s) AND (final OR NOT %(once_more)s);

-- name: note_swept
INSERT INTO swept_jobs (job_id, seq, reason, final) VALUES (%(job_id)s, %(seq)s, %(reason)s, %(final)s)
ON CONFLICT (job_id) DO UPDATE
SET seq = excluded.seq, reason = excluded.reason, final = excluded.final, swept_at = now()
WHERE swept_jobs.seq <= excluded.seq;

-- name: nudged_partitions  those that need no nudge yet
SELECT partition FROM nudges WHERE nudged_at > now() - make_interval(secs => %(period_s)s);

-- name: note_nudge
INSERT INTO nudges (partition, nudged_at) VALUES (%(partition)s, now())
ON CONFLICT (partition) DO UPDATE SET nudged_at = excluded.nudged_at;


-- name: erasures_begun
SELECT job_id FROM erasures WHERE job_id = ANY(%(job_ids)s);

-- name: begin_erasure
INSERT INTO erasures (job_id, seq) VALUES (%(job_id)s, %(seq)s)
ON CONFLICT DO NOTHING;

-- name: note_look
UPDATE erasures SET
    passed_at = now() - make_interval(secs => %(ago_s)s),
    forgot_at = CASE WHEN %(found)s THEN now() ELSE forgot_at END,
    unmarked_at = CASE WHEN %(marked)s THEN NULL ELSE unmarked_at END,
    settled_at = CASE WHEN %(final)s THEN now() ELSE settled_at END
WHERE job_id = %(job_id)s;

-- name: note_unmarked  whatever the index showed of these jobs is written over
UPDATE erasures SET unmarked_at = now()
WHERE unmarked_at IS NULL AND NOT EXISTS (SELECT FROM search_pending AS mark WHERE mark.job_id = erasures.job_id);

-- name: open_erasures  those whose last pass is a while ago; the last column says whether this is the final one
SELECT job_id, noticed_at < now() - make_interval(secs => %(settle_s)s) AS final FROM erasures
WHERE settled_at IS NULL AND passed_at < now() - make_interval(secs => %(repeat_s)s)
ORDER BY passed_at
LIMIT %(limit)s;

-- name: note_step
INSERT INTO erasure_steps (job_id, step, runs, amount, detail)
VALUES (%(job_id)s, %(step)s, 1, %(amount)s, %(detail)s)
ON CONFLICT (job_id, step) DO UPDATE
SET runs = erasure_steps.runs + 1, amount = erasure_steps.amount + excluded.amount, last_at = now(),
    detail = CASE excluded.detail WHEN '' THEN erasure_steps.detail ELSE excluded.detail END;

-- name: erasure
SELECT seq, noticed_at, passed_at, forgot_at, unmarked_at, settled_at FROM erasures WHERE job_id = %(job_id)s;

-- name: steps
SELECT step, runs, amount, detail, first_at, last_at FROM erasure_steps WHERE job_id = %(job_id)s ORDER BY first_at, step;

-- name: last_forgotten  when something was last forgotten, so that a rewrite is due: in the database, and in the index
SELECT max(forgot_at) AS rows, max(unmarked_at) AS documents FROM erasures;

-- name: rewrites
SELECT store, through, done_at FROM rewrites;

-- name: note_rewrite
INSERT INTO rewrites (store, through, done_at) VALUES (%(store)s, %(through)s, now())
ON CONFLICT (store) DO UPDATE SET through = excluded.through, done_at = excluded.done_at;

-- name: tables_of_jobs  every table whose rows belong to jobs; in `view_versions` a job is only how far an index is made
SELECT named.relname FROM pg_class AS named
JOIN pg_namespace AS space ON space.oid = named.relnamespace
JOIN pg_attribute AS told ON told.attrelid = named.oid AND told.attname = 'job_id' AND NOT told.attisdropped
WHERE named.relkind = 'r' AND space.nspname = current_schema() AND named.relname <> 'view_versions'
ORDER BY named.relname;

-- name: left_beside_markers  rows of an erased job in tables that keep one to say so
SELECT
    (SELECT count(*) FROM history AS line JOIN history_erasure AS gone USING (job_id)
     WHERE job_id = %(job_id)s AND line.seq < gone.seq),
    (SELECT count(*) FROM job_touch AS touch JOIN job_erasure AS gone USING (job_id)
     WHERE job_id = %(job_id)s AND touch.seq < gone.seq),
    (SELECT count(*) FROM assembler_jobs WHERE job_id = %(job_id)s AND status <> 'erased'),
    (SELECT count(*) FROM idempotency_keys WHERE job_id = %(job_id)s AND answer_status IS DISTINCT FROM 410);

-- name: set_retention
INSERT INTO tenant_retention (tenant_id, audio_days, transcript_days)
VALUES (%(tenant_id)s, %(audio_days)s, %(transcript_days)s)
ON CONFLICT (tenant_id) DO UPDATE
SET audio_days = excluded.audio_days, transcript_days = excluded.transcript_days, set_at = now();

-- name: retentions
SELECT tenant_id, audio_days, transcript_days FROM tenant_retention ORDER BY tenant_id;

-- name: old_audio  jobs that ended and whose recording is kept longer than its tenant wants
SELECT asked.job_id, asked.tenant_id FROM job_request AS asked
JOIN tenant_retention AS kept USING (tenant_id)
JOIN job_state AS state USING (job_id)
WHERE asked.occurred_at < %(now_ms)s - kept.audio_days * 86400000::bigint
    AND state.status IN ('completed', 'failed', 'cancelled')
    AND NOT EXISTS (SELECT FROM audio_expiries AS gone WHERE gone.job_id = asked.job_id)
    AND asked.job_id > %(after)s
ORDER BY asked.job_id
LIMIT %(limit)s;

-- name: old_transcripts  jobs that are kept longer than their tenant wants
SELECT asked.job_id, asked.tenant_id FROM job_request AS asked
JOIN tenant_retention AS kept USING (tenant_id)
WHERE asked.occurred_at < %(now_ms)s - kept.transcript_days * 86400000::bigint AND asked.job_id > %(after)s
ORDER BY asked.job_id
LIMIT %(limit)s;

-- name: note_expiry
INSERT INTO audio_expiries (job_id, tenant_id) VALUES (%(job_id)s, %(tenant_id)s) ON CONFLICT DO NOTHING;

-- name: audio_expired  of these jobs, those whose recording was deleted by age
SELECT job_id, (extract(epoch FROM expired_at) * 1000)::bigint FROM audio_expiries WHERE job_id = ANY(%(job_ids)s);

-- name: read_to  how far a consumer of the log is
SELECT topic, partition, next_offset FROM consumer_offsets WHERE consumer = %(consumer)s;
