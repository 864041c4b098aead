-- Who may call the API.

CREATE TABLE IF NOT EXISTS tenants (
    tenant_id text PRIMARY KEY,
    tier text NOT NULL DEFAULT 'standard' CHECK (tier IN ('standard', 'premium')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The secret itself is shown once and never stored; it has 190 bits, so a fast hash is right.
CREATE TABLE IF NOT EXISTS api_keys (
    key_id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    secret_sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
