-- Policies for replay: every bundle that was ever in force, and who approved it.

CREATE TABLE policy_artefacts (  -- content-addressed, kept for ever
    digest TEXT PRIMARY KEY,  -- SHA-256, hex
    kind TEXT NOT NULL,  -- BUNDLE: sources and data, as OPA reads them; WASM: compiled
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_approvals (
    bundle TEXT NOT NULL,  -- digest of the bundle, hex
    role TEXT NOT NULL,
    approver TEXT NOT NULL REFERENCES parties (party_id),
    document TEXT NOT NULL,  -- the signed approval, compact JWS
    log_index INTEGER NOT NULL,
    PRIMARY KEY (bundle, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_compiled (  -- which compiled form each activation told of
    log_index INTEGER PRIMARY KEY,
    bundle TEXT NOT NULL,
    compiled TEXT NOT NULL
) STRICT;
