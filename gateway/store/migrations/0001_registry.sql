-- What the operator and the authority have signed, as it stands now. History is in the log.
-- Every row carries `changed`, the registry version that last touched it, so that a reader
-- refreshes only what changed since the version it holds. Rows are never deleted.

CREATE TABLE registry_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO registry_version (one, version) VALUES (1, 0);

CREATE TABLE parties (
    party_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    jurisdiction TEXT NOT NULL,
    status TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX parties_changed ON parties (changed);

CREATE TABLE certificates (
    fingerprint TEXT PRIMARY KEY,  -- SHA-256 of the subject public key info, hex
    party_id TEXT NOT NULL REFERENCES parties (party_id),
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    status TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX certificates_changed ON certificates (changed);
CREATE INDEX certificates_party ON certificates (party_id);

CREATE TABLE document_keys (
    key_id TEXT PRIMARY KEY,  -- RFC 7638 thumbprint
    party_id TEXT NOT NULL REFERENCES parties (party_id),
    public_key BLOB NOT NULL,  -- 32 bytes, Ed25519
    status TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX document_keys_changed ON document_keys (changed);

CREATE TABLE licences (  -- every serial; the highest one speaks
    licence_id TEXT NOT NULL,
    serial INTEGER NOT NULL,
    party_id TEXT NOT NULL REFERENCES parties (party_id),
    document TEXT NOT NULL,  -- the signed document, compact JWS
    claims TEXT NOT NULL,  -- its verified claims, JSON
    signer TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (licence_id, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE licence_status (
    licence_id TEXT PRIMARY KEY,
    serial INTEGER NOT NULL,  -- the highest one
    party_id TEXT NOT NULL,
    status TEXT NOT NULL,
    status_index INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX licence_status_changed ON licence_status (changed);

CREATE TABLE consents (
    consent_id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL REFERENCES parties (party_id),
    recipient TEXT NOT NULL,
    subjects TEXT NOT NULL,  -- JSON list of keyed labels, never identifiers
    terms TEXT NOT NULL,  -- JSON: mode, purposes, data_kinds, cross_border
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    withdrawn_at INTEGER,
    digest TEXT NOT NULL,  -- the salted digest that the log holds
    sealed BLOB NOT NULL,  -- the document, AES-256-GCM under the opening key
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX consents_changed ON consents (changed);

CREATE TABLE stops (
    scope TEXT PRIMARY KEY,
    active INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX stops_changed ON stops (changed);

CREATE TABLE whitelists (
    partner TEXT NOT NULL,
    product TEXT NOT NULL,
    version INTEGER NOT NULL,
    fields TEXT NOT NULL,  -- JSON list
    mechanism TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    proposer TEXT NOT NULL,
    approvals TEXT NOT NULL,  -- JSON: role -> {approver, index}
    approved_index INTEGER,  -- log index of the approval that completed it, or null
    withdrawn_at INTEGER,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (partner, product, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX whitelists_changed ON whitelists (changed);

CREATE TABLE feeds (
    product TEXT PRIMARY KEY,
    as_of INTEGER NOT NULL,  -- the last reconciliation with the publicity authorities
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX feeds_changed ON feeds (changed);

CREATE TABLE idempotency (
    key_hash BLOB PRIMARY KEY,  -- of party and key; the key itself is not kept
    request_digest TEXT NOT NULL,
    request_id TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    outcome TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_claimed ON idempotency (claimed_at);

CREATE TABLE row_counts (
    licence_id TEXT NOT NULL,
    day INTEGER NOT NULL,  -- days since 1970-01-01 in Asia/Shanghai
    writer TEXT NOT NULL,  -- the process that counted, by a name drawn at its start
    rows_released INTEGER NOT NULL,
    PRIMARY KEY (licence_id, day, writer)
) STRICT, WITHOUT ROWID;
