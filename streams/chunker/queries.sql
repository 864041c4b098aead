-- name: begin  one more try; returns how many there are now, and whether the upload is answered already
INSERT INTO chunker_tries (event_id, tries) VALUES (%(event_id)s, 1)
ON CONFLICT (event_id) DO UPDATE SET tries = chunker_tries.tries + (NOT chunker_tries.answered)::int
RETURNING tries, answered;

-- name: take_back  the try was ended from outside
UPDATE chunker_tries SET tries = tries - 1 WHERE event_id = %(event_id)s AND tries > 0;

-- name: answered  plan or refusal is on the topic: the same upload, delivered again, needs nothing
UPDATE chunker_tries SET answered = true WHERE event_id = %(event_id)s;

-- name: forget  the upload is answered; if it is ever delivered again, it is tried again
DELETE FROM chunker_tries WHERE event_id = %(event_id)s;

-- name: forget_old
DELETE FROM chunker_tries WHERE begun_at < now() - make_interval(days => %(days)s);
