-- Writes of the view `jobs`. %(rows)s is a JSON list of rows with the table's columns; no key occurs twice in it.
-- A row that is there gives way only to a greater seq; a row from before an erasure stays away.

-- name: put_request
INSERT INTO job_request AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_request, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, occurred_at, actor, audio_key, size_bytes, sha256, file_name, media_type, options, lane, origin_job_id)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at, excluded.actor, excluded.audio_key, excluded.size_bytes, excluded.sha256, excluded.file_name, excluded.media_type, excluded.options, excluded.lane, excluded.origin_job_id)
WHERE excluded.seq > kept.seq;

-- name: put_audio
INSERT INTO job_audio AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_audio, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, occurred_at, duration_ms, media, lane, planned)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at, excluded.duration_ms, excluded.media, excluded.lane, excluded.planned)
WHERE excluded.seq > kept.seq;

-- name: put_state
INSERT INTO job_state AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_state, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, occurred_at, status, stage, failure)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at, excluded.status, excluded.stage, excluded.failure)
WHERE excluded.seq > kept.seq;

-- name: put_chunk
INSERT INTO job_chunk AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_chunk, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id, chunk) DO UPDATE SET
    (tenant_id, seq, occurred_at, round, start_ms, end_ms, language, text, failed, warnings)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at, excluded.round, excluded.start_ms, excluded.end_ms, excluded.language, excluded.text, excluded.failed, excluded.warnings)
WHERE excluded.seq > kept.seq;

-- name: put_retry
INSERT INTO job_retry AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_retry, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, occurred_at, round, planned)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at, excluded.round, excluded.planned)
WHERE excluded.seq > kept.seq;

-- name: put_completion
INSERT INTO job_completion AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_completion, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, occurred_at, round, duration_ms, language, gaps, warnings)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at, excluded.round, excluded.duration_ms, excluded.language, excluded.gaps, excluded.warnings)
WHERE excluded.seq > kept.seq;

-- name: put_touch
INSERT INTO job_touch AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_touch, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM job_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, occurred_at)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at)
WHERE excluded.seq > kept.seq;

-- name: put_erasure
INSERT INTO job_erasure AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::job_erasure, %(rows)s::json) AS fresh
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, occurred_at)
    = (excluded.tenant_id, excluded.seq, excluded.occurred_at)
WHERE excluded.seq > kept.seq;

-- name: erase
WITH gone AS (
    SELECT job_id, seq FROM json_populate_recordset(NULL::job_erasure, %(rows)s::json)
), job_request_gone AS (
    DELETE FROM job_request AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), job_audio_gone AS (
    DELETE FROM job_audio AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), job_state_gone AS (
    DELETE FROM job_state AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), job_chunk_gone AS (
    DELETE FROM job_chunk AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), job_retry_gone AS (
    DELETE FROM job_retry AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), job_completion_gone AS (
    DELETE FROM job_completion AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
)
DELETE FROM job_touch AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq;
