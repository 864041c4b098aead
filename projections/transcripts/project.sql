-- Writes of the view `transcripts`. %(rows)s is a JSON list of rows with the table's columns; no key occurs twice in it.
-- A row that is there gives way only to a greater seq; a row from before an erasure stays away.

-- name: put_job
INSERT INTO transcript_job AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::transcript_job, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM transcript_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, created_at, file_name)
    = (excluded.tenant_id, excluded.seq, excluded.created_at, excluded.file_name)
WHERE excluded.seq > kept.seq;

-- name: put_completion
INSERT INTO transcript_completion AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::transcript_completion, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM transcript_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq, duration_ms, language, gaps)
    = (excluded.tenant_id, excluded.seq, excluded.duration_ms, excluded.language, excluded.gaps)
WHERE excluded.seq > kept.seq;

-- name: put_segment
INSERT INTO transcript_segment AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::transcript_segment, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM transcript_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id, segment_id) DO UPDATE SET
    (tenant_id, seq, removed, start_ms, end_ms, ordinal, speaker_id, language, text, confidence, flags, words, word_count)
    = (excluded.tenant_id, excluded.seq, excluded.removed, excluded.start_ms, excluded.end_ms, excluded.ordinal, excluded.speaker_id, excluded.language, excluded.text, excluded.confidence, excluded.flags, excluded.words, excluded.word_count)
WHERE excluded.seq > kept.seq;

-- name: put_speaker
INSERT INTO transcript_speaker AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::transcript_speaker, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM transcript_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id, speaker_id) DO UPDATE SET
    (tenant_id, seq, label, speech_ms)
    = (excluded.tenant_id, excluded.seq, excluded.label, excluded.speech_ms)
WHERE excluded.seq > kept.seq;

-- name: put_speaker_name
INSERT INTO transcript_speaker_name AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::transcript_speaker_name, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM transcript_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id, speaker_id) DO UPDATE SET
    (tenant_id, seq, name)
    = (excluded.tenant_id, excluded.seq, excluded.name)
WHERE excluded.seq > kept.seq;

-- name: put_speaker_merge
INSERT INTO transcript_speaker_merge AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::transcript_speaker_merge, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM transcript_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id, speaker_id) DO UPDATE SET
    (tenant_id, seq, into_speaker_id)
    = (excluded.tenant_id, excluded.seq, excluded.into_speaker_id)
WHERE excluded.seq > kept.seq;

-- name: put_erasure
INSERT INTO transcript_erasure AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::transcript_erasure, %(rows)s::json) AS fresh
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq)
    = (excluded.tenant_id, excluded.seq)
WHERE excluded.seq > kept.seq;

-- name: erase
WITH gone AS (
    SELECT job_id, seq FROM json_populate_recordset(NULL::transcript_erasure, %(rows)s::json)
), transcript_job_gone AS (
    DELETE FROM transcript_job AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), transcript_completion_gone AS (
    DELETE FROM transcript_completion AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), transcript_segment_gone AS (
    DELETE FROM transcript_segment AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), transcript_speaker_gone AS (
    DELETE FROM transcript_speaker AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
), transcript_speaker_name_gone AS (
    DELETE FROM transcript_speaker_name AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq
)
DELETE FROM transcript_speaker_merge AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq;
