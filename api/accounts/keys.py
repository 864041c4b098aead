"""Making and revoking API keys: what operators and the local stack do, without the API running.

In: a DSN, a tenant, a name. Out: the key's text, once; afterwards only its hash exists.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from api.accounts.secrets import new_key
from runtime.postgres import connection, load_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyListing:
    """A key as operators see it."""

    key_id: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def create_key(dsn: str, tenant_id: str, name: str) -> str:
    """A new key for a tenant, which is made where it is missing. Nobody can read the key again."""
    sql, key = load_sql("api.accounts"), new_key(secrets.choice)
    with connection(dsn) as conn:
        conn.execute(sql["add_tenant"].encode(), {"tenant_id": tenant_id})
        conn.execute(
            sql["add_key"].encode(),
            {
                "key_id": key.key_id,
                "tenant_id": tenant_id,
                "name": name,
                "secret_sha256": key.secret_sha256,
            },
        )
    return key.text


def revoke_key(dsn: str, key_id: str) -> bool:
    """Ends a key everywhere within five seconds; False where there is no live key of that id."""
    with connection(dsn) as conn:
        done = conn.execute(load_sql("api.accounts")["revoke_key"].encode(), {"key_id": key_id})
        return done.rowcount == 1


def list_keys(dsn: str, tenant_id: str) -> list[KeyListing]:
    """Keys of a tenant, also revoked ones, oldest first."""
    with connection(dsn) as conn:
        rows = conn.execute(load_sql("api.accounts")["keys_of_tenant"].encode(), {"tenant_id": tenant_id}).fetchall()
    return [KeyListing(key_id=k, name=n, created_at=c, expires_at=e, revoked_at=r) for k, n, c, e, r in rows]
