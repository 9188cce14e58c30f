-- How changes of shareability come in: who reads a feed, what was refused of it, and what
-- comparing with the publicity authorities found.

CREATE TABLE feed_leases (  -- one process at a time reads a feed
    feed TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,  -- rises each time the lease changes hands
    expires INTEGER NOT NULL  -- unix seconds
) STRICT, WITHOUT ROWID;

CREATE TABLE feed_sequences (  -- the newest sequence that a feed brought of each origin
    feed TEXT NOT NULL,
    origin TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (feed, origin)
) STRICT, WITHOUT ROWID;

CREATE TABLE feed_refusals (  -- quarantine: what a feed brought and the gateway did not apply
    feed TEXT NOT NULL,
    place TEXT NOT NULL,  -- file and line, or row
    rule TEXT NOT NULL,
    code TEXT NOT NULL,
    digest TEXT NOT NULL,  -- SHA-256 of the content, hex
    content TEXT NOT NULL,  -- as it came; at most 64 KiB
    refused_at INTEGER NOT NULL,
    PRIMARY KEY (feed, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE reconciliations (  -- one row for each publicity statement that was compared (R11)
    statement TEXT PRIMARY KEY,  -- SHA-256 of the signed statement, hex
    product TEXT NOT NULL,
    authority TEXT NOT NULL,
    as_of INTEGER NOT NULL,
    records INTEGER NOT NULL,
    differences TEXT NOT NULL,  -- JSON: kind of difference to its number
    applied INTEGER NOT NULL,
    released INTEGER NOT NULL,
    outcome TEXT NOT NULL,  -- DONE, SUSPENDED or the code of a refusal
    log_index INTEGER,
    finished_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reconciliations_product ON reconciliations (product, finished_at);

CREATE INDEX repair_delays_origin ON repair_delays (origin, log_index);
