-- Credentials that were issued, and what became of each. Of what they say, only a digest is kept:
-- it finds out when a newer snapshot says otherwise. Nothing of this is published but the status,
-- at a place that was drawn at random.

CREATE TABLE status_lists (
    list INTEGER PRIMARY KEY,  -- from 1; the newest is drawn from
    entries INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    changed INTEGER NOT NULL  -- raised with every change of a status in it
) STRICT;

CREATE TABLE credentials (
    credential_id TEXT PRIMARY KEY,  -- random, hex
    list INTEGER NOT NULL,
    place INTEGER NOT NULL,
    party_id TEXT NOT NULL,  -- whom it was issued to
    product TEXT NOT NULL,
    subject TEXT NOT NULL,
    snapshot TEXT NOT NULL,  -- the newest one that says the same
    source_columns TEXT NOT NULL,  -- JSON array: what of the record it rests on
    content TEXT NOT NULL,  -- digest of those values, with the id
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    status INTEGER NOT NULL,  -- 0 VALID, 1 INVALID, 3 REFRESH
    status_at INTEGER NOT NULL,
    changed INTEGER NOT NULL  -- of its list, when its status last changed
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX credentials_place ON credentials (list, place);
CREATE INDEX credentials_subject ON credentials (subject, product);
CREATE INDEX credentials_changed ON credentials (list, changed);
CREATE INDEX credentials_snapshot ON credentials (product, status, snapshot);
CREATE INDEX credentials_end ON credentials (expires_at);
