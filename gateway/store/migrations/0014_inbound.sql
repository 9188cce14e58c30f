-- Issuers abroad, the documents of theirs that were admitted, and the status lists these rest on.

CREATE TABLE foreign_issuers (
    issuer TEXT NOT NULL,
    version INTEGER NOT NULL,
    content TEXT NOT NULL,  -- the registration, canonical JSON
    proposer TEXT NOT NULL,
    approvals TEXT NOT NULL,  -- JSON: role -> [approver, index]
    approved_index INTEGER,  -- log index of the approval that completed it, or null
    withdrawn_at INTEGER,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (issuer, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX foreign_issuers_changed ON foreign_issuers (changed);

CREATE TABLE foreign_records (  -- every document that was ever admitted
    record_key TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    vct TEXT NOT NULL,
    subject TEXT NOT NULL,  -- keyed label, never an identifier
    issued_at INTEGER NOT NULL,  -- orders documents of one issuer, kind and subject
    digest TEXT NOT NULL,  -- of the document as its issuer signed it, hex
    sealed BLOB NOT NULL,  -- the document, its firm and its row, AES-256-GCM
    status_uri TEXT NOT NULL,
    status_entry INTEGER NOT NULL,
    status_as_of INTEGER NOT NULL,
    fresh_until INTEGER NOT NULL,  -- from then on it leaves no more
    state TEXT NOT NULL,  -- ACTIVE, HELD, WITHDRAWN
    admitted_at INTEGER NOT NULL,
    log_index INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX foreign_records_subject ON foreign_records (issuer, vct, subject, issued_at);
CREATE INDEX foreign_records_state ON foreign_records (state);

CREATE TABLE foreign_status_lists (  -- the newest list that was seen of each address
    uri TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    issued_at INTEGER NOT NULL,  -- an older one is refused: it could hide a withdrawal
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;
