-- Persons of whom information crossed the border, counted per exporter and year (R63, R64), and
-- what crossed, for the yearly filing.

CREATE TABLE export_tagging (  -- the key that tells persons apart; another would count anew
    one INTEGER PRIMARY KEY CHECK (one = 1),
    algorithm TEXT NOT NULL,
    check_value BLOB NOT NULL  -- shows whether a key is the same, and nothing of it
) STRICT;

CREATE TABLE export_counts (  -- kept up to date, so that reading costs the same at any size
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,  -- in Asia/Shanghai
    class TEXT NOT NULL,  -- ordinary, sensitive
    own INTEGER NOT NULL CHECK (own >= 0),  -- distinct persons of this gate
    declared INTEGER NOT NULL CHECK (declared >= 0),  -- what the exporter sent elsewhere
    log_index INTEGER NOT NULL,  -- newest entry that changed it
    PRIMARY KEY (exporter, year, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE export_persons (  -- who is counted: keyed tags, never identifiers
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    class TEXT NOT NULL,
    tag BLOB NOT NULL,
    day INTEGER NOT NULL,  -- since 1970-01-01 in Asia/Shanghai, when first counted
    sent INTEGER NOT NULL,  -- 1 once a delivery about the person closed as sent
    PRIMARY KEY (exporter, year, class, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE export_holds (  -- intents under way, and those of a crash until reconciled
    intent INTEGER NOT NULL,
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    class TEXT NOT NULL,
    tag BLOB NOT NULL,
    PRIMARY KEY (intent, class, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE export_recipients (  -- about whom something was sent to whom, for the annex
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    party TEXT NOT NULL,
    class TEXT NOT NULL,
    tag BLOB NOT NULL,
    PRIMARY KEY (exporter, year, party, class, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE export_days (  -- new persons of a day, for the forecast
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    class TEXT NOT NULL,
    day INTEGER NOT NULL,
    persons INTEGER NOT NULL,
    PRIMARY KEY (exporter, year, class, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE export_declarations (  -- volumes outside of this gate, signed by the exporter
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    class TEXT NOT NULL,
    version INTEGER NOT NULL,
    persons INTEGER NOT NULL,
    as_of INTEGER NOT NULL,  -- unix seconds
    signer TEXT NOT NULL,
    document TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (exporter, year, class, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE export_alarms (  -- each level of a threshold is raised once a year
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    class TEXT NOT NULL,
    threshold INTEGER NOT NULL,
    per_cent INTEGER NOT NULL,
    raised_at INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    PRIMARY KEY (exporter, year, class, threshold, per_cent)
) STRICT, WITHOUT ROWID;

CREATE TABLE exports (  -- every intent to release abroad, of organisations too
    intent INTEGER PRIMARY KEY,
    begun_at INTEGER NOT NULL,
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    party TEXT NOT NULL,
    country TEXT NOT NULL,
    product TEXT NOT NULL,
    purpose TEXT NOT NULL,
    fields TEXT NOT NULL,  -- names as a JSON list, sorted
    mechanism TEXT NOT NULL,  -- id, empty where none is needed
    mechanism_kind TEXT NOT NULL,
    basis TEXT NOT NULL,  -- of the exemption, or empty
    whitelist INTEGER NOT NULL,  -- version, 0 for none
    ordinary INTEGER NOT NULL,  -- persons of this request who count
    sensitive INTEGER NOT NULL
) STRICT;
CREATE INDEX exports_year ON exports (year, exporter);

CREATE TABLE export_outcomes (  -- how each of them ended
    intent INTEGER PRIMARY KEY,
    outcome INTEGER NOT NULL,  -- log index of the outcome, or of the reconciliation
    status TEXT NOT NULL,
    released INTEGER NOT NULL,  -- 0: nothing left
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
