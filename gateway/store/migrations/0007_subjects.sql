-- Who asked about a subject: the sealed index, what opens single subjects, and what may be
-- forgotten.

CREATE INDEX audit_label_entry ON audit_label (entry);  -- grows at its end: entries only rise

CREATE TABLE subject_openings (  -- one for each subject of an entry that names several
    label BLOB NOT NULL,
    entry INTEGER NOT NULL,
    sealed BLOB NOT NULL,  -- see audit.openings
    PRIMARY KEY (label, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX subject_openings_entry ON subject_openings (entry);

CREATE TABLE intent_entries (  -- batches and outcome of an intent
    intent INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    kind TEXT NOT NULL,  -- batch, outcome
    PRIMARY KEY (intent, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE index_lease (  -- one process seals segments at a time
    one INTEGER PRIMARY KEY CHECK (one = 1),
    token INTEGER NOT NULL,
    holder TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
INSERT INTO index_lease (one, token, holder, expires) VALUES (1, 0, '', 0);

CREATE TABLE index_segments (  -- every root that was ever committed to in the log
    log_index INTEGER PRIMARY KEY,
    segment TEXT NOT NULL,
    first INTEGER NOT NULL,
    past INTEGER NOT NULL,
    level INTEGER NOT NULL,
    leaves INTEGER NOT NULL,
    root BLOB NOT NULL,
    salt BLOB,  -- null once a destruction made it unknowable
    destruction INTEGER,  -- log index of that destruction
    live INTEGER NOT NULL  -- 1: not replaced by a larger or a newer one
) STRICT;
CREATE INDEX index_segments_live ON index_segments (live, first);

CREATE TABLE index_tiles (  -- 64 leaves, or 64 nodes above them
    segment TEXT NOT NULL,
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    first_path BLOB NOT NULL,
    paths BLOB NOT NULL,
    hashes BLOB NOT NULL,  -- values of leaves; on upper levels the hashes of nodes
    PRIMARY KEY (segment, level, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX index_tiles_path ON index_tiles (segment, level, first_path);

CREATE TABLE destructions (  -- what was forgotten, by label
    label BLOB NOT NULL,
    log_index INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    until INTEGER NOT NULL,  -- unix seconds
    PRIMARY KEY (label, log_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (  -- nothing may be forgotten while one stands
    hold_id TEXT PRIMARY KEY,
    label BLOB,  -- null: everything
    placed_at INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    lifted_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE open_intent_reports (  -- below which entry a node's open intents were reported
    node TEXT PRIMARY KEY,
    below INTEGER NOT NULL,
    log_index INTEGER NOT NULL  -- of the newest report, or -1
) STRICT, WITHOUT ROWID;

-- Intents from before this migration have no rows in intent_entries: they are not open for that.
INSERT INTO open_intent_reports (node, below, log_index)
SELECT '', coalesce(max(intent) + 1, 0), -1 FROM requests;
