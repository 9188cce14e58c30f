-- What left, to whom, and what may never leave again.

CREATE TABLE requests (  -- finds the receipt of a request
    request_id TEXT PRIMARY KEY,
    party_id TEXT NOT NULL,
    intent INTEGER NOT NULL  -- log index
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (  -- exactly which rows of a snapshot an intent released
    intent INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    snapshot_id TEXT NOT NULL,
    rows BLOB NOT NULL,  -- runs of row numbers, see gateway.release.evidence
    PRIMARY KEY (intent, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE repairs (  -- every decision that took effect
    repair_id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,  -- of the signed document
    document TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    leaf_hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE repair_sequences (  -- the newest sequence of each origin
    origin TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sealed_records (  -- applied to every snapshot before it serves (R27)
    product TEXT NOT NULL,
    record_key TEXT NOT NULL,
    state TEXT NOT NULL,
    repair_id TEXT NOT NULL,
    PRIMARY KEY (product, record_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE published_contracts (  -- who manages what, since which entry
    product TEXT NOT NULL,
    digest TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (product, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE decision_inputs (  -- content-addressed, for replay
    digest TEXT PRIMARY KEY,
    body BLOB NOT NULL  -- canonical JSON without `now`
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_activations (
    log_index INTEGER PRIMARY KEY,
    digest TEXT NOT NULL
) STRICT;
