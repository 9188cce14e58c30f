-- Keys to which answers are encrypted end to end; only their owners can open them.

CREATE TABLE encryption_keys (
    key_id TEXT PRIMARY KEY,  -- RFC 7638 thumbprint
    party_id TEXT NOT NULL REFERENCES parties (party_id),
    jwk TEXT NOT NULL,  -- the public key, JSON
    status TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX encryption_keys_changed ON encryption_keys (changed);
