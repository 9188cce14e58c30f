-- Mutual recognition across the border and between regions: what was signed about it, and the
-- reports whose digests are confirmed.

CREATE TABLE recognition_documents (
    register TEXT NOT NULL,  -- terms, mapping, fields, identifiers
    name TEXT NOT NULL,  -- what versions of it share: a partner, a table's id, a jurisdiction
    version INTEGER NOT NULL,
    content TEXT NOT NULL,  -- the claims, canonical JSON
    salt BLOB NOT NULL,  -- with it, the log's digest of the content can't be guessed
    proposer TEXT NOT NULL,
    approvals TEXT NOT NULL,  -- JSON: role -> [approver, index]; AUTHORITY alone by its signature
    effect_index INTEGER,  -- log index of what put it in effect, or null
    not_before INTEGER NOT NULL,
    withdrawn_at INTEGER,
    log_index INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (register, name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX recognition_documents_changed ON recognition_documents (changed);

CREATE TABLE identifier_equivalents (  -- of the version in effect of each register
    scheme TEXT NOT NULL,  -- lei, or an ISO 3166 code
    value TEXT NOT NULL,
    uscc TEXT NOT NULL,
    name TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    PRIMARY KEY (scheme, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifier_equivalents_uscc ON identifier_equivalents (uscc);

CREATE TABLE issued_reports (
    report_no TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    sha256_tag TEXT NOT NULL,  -- keyed by the node's key; the digest itself is not kept
    sm3_tag TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    refreshed_at INTEGER,  -- since when what it shows has changed, or null
    log_index INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE report_sections (
    report_no TEXT NOT NULL REFERENCES issued_reports (report_no),
    subject TEXT NOT NULL,
    product TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    PRIMARY KEY (report_no, product)
) STRICT, WITHOUT ROWID;
CREATE INDEX report_sections_subject ON report_sections (subject, product);
