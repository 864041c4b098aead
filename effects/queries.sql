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
