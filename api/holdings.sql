-- Everything that is held about jobs or a tenant, whatever table it is in.

-- name: tables_with  tables that have a column, and all their columns
SELECT named.relname FROM pg_class AS named
JOIN pg_namespace AS space ON space.oid = named.relnamespace
JOIN pg_attribute AS told ON told.attrelid = named.oid AND told.attname = %(column)s AND NOT told.attisdropped
WHERE named.relkind = 'r' AND space.nspname = current_schema()
ORDER BY named.relname;

-- name: bytes_columns  columns of a table that hold bytes, which JSON cannot
SELECT attname FROM pg_attribute
WHERE attrelid = %(table)s::regclass AND atttypid = 'bytea'::regtype AND attnum > 0 AND NOT attisdropped;

-- name: jobs_of_tenant
SELECT job_id FROM job_request WHERE tenant_id = %(tenant_id)s
UNION SELECT job_id FROM job_erasure WHERE tenant_id = %(tenant_id)s
UNION SELECT job_id FROM accepted_requests WHERE tenant_id = %(tenant_id)s;

-- name: tenant_of_job
SELECT tenant_id FROM job_request WHERE job_id = %(job_id)s
UNION SELECT tenant_id FROM job_erasure WHERE job_id = %(job_id)s
UNION SELECT tenant_id FROM accepted_requests WHERE job_id = %(job_id)s;
