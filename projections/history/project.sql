-- Writes of the view `history`. %(rows)s is a JSON list of rows with the table's columns; no key occurs twice in it.
-- A row that is there gives way only to a greater seq; a row from before an erasure stays away.

-- name: put_line
INSERT INTO history AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::history, %(rows)s::json) AS fresh
WHERE NOT EXISTS (SELECT FROM history_erasure AS gone WHERE gone.job_id = fresh.job_id AND gone.seq > fresh.seq)
ON CONFLICT (job_id, seq) DO NOTHING;

-- name: put_erasure
INSERT INTO history_erasure AS kept
SELECT fresh.* FROM json_populate_recordset(NULL::history_erasure, %(rows)s::json) AS fresh
ON CONFLICT (job_id) DO UPDATE SET
    (tenant_id, seq)
    = (excluded.tenant_id, excluded.seq)
WHERE excluded.seq > kept.seq;

-- name: erase
WITH gone AS (
    SELECT job_id, seq FROM json_populate_recordset(NULL::history_erasure, %(rows)s::json)
)
DELETE FROM history AS kept USING gone WHERE kept.job_id = gone.job_id AND kept.seq < gone.seq;
