-- name: add_tenant
INSERT INTO tenants (tenant_id) VALUES (%(tenant_id)s) ON CONFLICT DO NOTHING;

-- name: add_key
INSERT INTO api_keys (key_id, tenant_id, name, secret_sha256)
VALUES (%(key_id)s, %(tenant_id)s, %(name)s, %(secret_sha256)s);

-- name: usable_key
SELECT k.tenant_id, t.tier, k.secret_sha256
FROM api_keys k JOIN tenants t USING (tenant_id)
WHERE k.key_id = %(key_id)s AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());

-- name: revoke_key
UPDATE api_keys SET revoked_at = now() WHERE key_id = %(key_id)s AND revoked_at IS NULL;

-- name: keys_of_tenant
SELECT key_id, name, created_at, expires_at, revoked_at
FROM api_keys WHERE tenant_id = %(tenant_id)s ORDER BY created_at, key_id;
