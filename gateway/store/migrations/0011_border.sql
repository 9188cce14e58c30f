-- The registers of the border: mechanisms, impact assessments, restricted recipients, what
-- partners and exporters are, exemptions, important data. One row for each version of a
-- statement; the newest that has begun speaks. Rows are never deleted (PIPL 56: three years and
-- more).

CREATE TABLE border_statements (
    register TEXT NOT NULL,
    name TEXT NOT NULL,  -- a number, a party id or a product
    version INTEGER NOT NULL,
    terms TEXT NOT NULL,  -- the statement, canonical JSON
    document TEXT,  -- the signed document, compact JWS; null when approvals put it in effect
    proposer TEXT NOT NULL,
    approvals TEXT NOT NULL,  -- JSON: role -> [approver, index]
    registered_index INTEGER,  -- log index of the entry that put it in effect, or null
    status TEXT NOT NULL,
    status_index INTEGER NOT NULL,
    alarm_index INTEGER,  -- log index of the alarm that its renewal is due, or null
    log_index INTEGER NOT NULL,  -- of the entry that brought it in
    changed INTEGER NOT NULL,
    PRIMARY KEY (register, name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX border_statements_changed ON border_statements (changed);
