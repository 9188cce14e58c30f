-- Recall: who received a record, in what form, and what became of each notice.
-- Status words of recall_notices, beside those that 0003 lists: SUPERSEDED (a later notice about
-- the same record took its place), WAIVED (a person of the operator let it go). Of
-- suspension_proposals: MOOT (everything was acknowledged before anybody decided).

-- In which form an intent's rows left, so that a notice can name a row in the words that its
-- receiver has; see gateway.release.reference_form. Empty: by its place alone.
ALTER TABLE requests ADD COLUMN form TEXT NOT NULL DEFAULT '';

-- Deliveries that can't be assigned to records or receivers any more; zero in a sound store.
ALTER TABLE recalls ADD COLUMN unresolved INTEGER NOT NULL DEFAULT 0;

ALTER TABLE recall_notices ADD COLUMN notice_id TEXT NOT NULL DEFAULT '';  -- random, in the document
ALTER TABLE recall_notices ADD COLUMN record_key TEXT NOT NULL DEFAULT '';  -- for the operator alone
ALTER TABLE recall_notices ADD COLUMN form TEXT NOT NULL DEFAULT '';  -- CLEAR or PSEUDONYM
ALTER TABLE recall_notices ADD COLUMN rows_list BLOB;  -- Arrow IPC: every row to purge
ALTER TABLE recall_notices ADD COLUMN answer_index INTEGER;  -- log index of the acknowledgement
ALTER TABLE recall_notices ADD COLUMN answer_leaf BLOB;
ALTER TABLE recall_notices ADD COLUMN reply TEXT NOT NULL DEFAULT '';  -- PURGED, NOT_HELD, OBJECTED ...
ALTER TABLE recall_notices ADD COLUMN proposal INTEGER;  -- the suspension proposed over it
CREATE UNIQUE INDEX recall_notices_once ON recall_notices (repair, party_id, form);
CREATE INDEX recall_notices_id ON recall_notices (notice_id);
CREATE INDEX recall_notices_record ON recall_notices (party_id, product, record_key);

ALTER TABLE suspension_proposals ADD COLUMN document TEXT;  -- what the person signed, compact JWS
CREATE INDEX suspension_proposals_open ON suspension_proposals (status, party_id);

CREATE TABLE notice_keys (  -- every key that ever signed notices, the newest index last
    key_id TEXT PRIMARY KEY,  -- RFC 7638 thumbprint
    public_key BLOB NOT NULL,  -- 32 bytes, Ed25519
    log_index INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX recalls_pending ON recalls (computed_at, repair);
