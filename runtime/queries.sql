-- name: next_offsets
SELECT topic, partition, next_offset FROM consumer_offsets
WHERE consumer = %(consumer)s AND topic = ANY(%(topics)s);

-- name: start_offset
INSERT INTO consumer_offsets (consumer, topic, partition, next_offset)
VALUES (%(consumer)s, %(topic)s, %(partition)s, 0)
ON CONFLICT DO NOTHING;

-- name: move_offset  compare-and-set: no row means another member has moved it
UPDATE consumer_offsets SET next_offset = %(next)s
WHERE consumer = %(consumer)s AND topic = %(topic)s AND partition = %(partition)s AND next_offset = %(expected)s;
