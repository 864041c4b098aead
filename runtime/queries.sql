-- name: next_offsets
SELECT topic, partition, next_offset, last_record FROM consumer_offsets
WHERE consumer = %(consumer)s AND topic = ANY(%(topics)s);

-- name: start_offset
INSERT INTO consumer_offsets (consumer, topic, partition, next_offset)
VALUES (%(consumer)s, %(topic)s, %(partition)s, 0)
ON CONFLICT DO NOTHING;

-- name: move_offset  compare-and-set: no row means another member has moved it
UPDATE consumer_offsets SET next_offset = %(next)s, last_record = %(last)s
WHERE consumer = %(consumer)s AND topic = %(topic)s AND partition = %(partition)s AND next_offset = %(expected)s;

-- name: allow_rewrite  for this session
SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', %(lock_timeout)s, false);

-- name: horizon  since when no transaction is open that might still see an older row
SELECT least(clock_timestamp(), min(xact_start)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL);

-- name: tables_between  all tables of this database of at least and of less than so many bytes, TOAST included
SELECT space.nspname, named.relname FROM pg_class AS named
JOIN pg_namespace AS space ON space.oid = named.relnamespace
WHERE named.relkind = 'r' AND named.relpersistence = 'p'
    AND space.nspname <> 'information_schema' AND space.nspname NOT LIKE 'pg\_%%'
    AND pg_table_size(named.oid) >= %(smallest_bytes)s AND pg_table_size(named.oid) < %(largest_bytes)s
ORDER BY pg_table_size(named.oid), named.relname;

-- name: switch_log
SELECT pg_switch_wal();
