-- Where records stand, who must be told of it, and what follows from it.

CREATE TABLE record_states (  -- every record that anything was ever decided on
    product TEXT NOT NULL,
    record_key TEXT NOT NULL,
    base TEXT NOT NULL,  -- these five columns: gateway.domain.share_state.Standing
    disputed INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    masked INTEGER NOT NULL,
    ended TEXT,
    dispute_id TEXT NOT NULL,  -- label of the open dispute, or empty
    mask_ends_at INTEGER,  -- unix seconds at which the court's mask should have ended
    origin TEXT NOT NULL,  -- of the decision that last changed it
    sequence INTEGER NOT NULL,
    repair_id TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    PRIMARY KEY (product, record_key)
) STRICT, WITHOUT ROWID;

-- What was sealed before this table existed was repaired or withdrawn for good.
INSERT INTO record_states (product, record_key, base, disputed, pending, masked, ended, dispute_id,
    mask_ends_at, origin, sequence, repair_id, log_index, effective_at)
SELECT product, record_key, 'ACTIVE', 0, 0, 0,
    CASE state WHEN 'APPROVED' THEN 'REPAIRED' ELSE 'WITHDRAWN' END, '',
    CAST(NULL AS INTEGER), '', 0, repair_id, 0, 0
FROM sealed_records;

CREATE TABLE repair_delays (  -- from the authority's decision to the effect
    log_index INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    decided_at INTEGER NOT NULL,  -- unix seconds, as signed
    effective_ms INTEGER NOT NULL  -- unix milliseconds, after the gate let nothing older out
) STRICT;

CREATE TABLE alarms (  -- what a person should look at; each is an entry of the log
    log_index INTEGER PRIMARY KEY,
    rule TEXT NOT NULL,
    code TEXT NOT NULL,
    product TEXT NOT NULL,
    records INTEGER NOT NULL,
    raised_at INTEGER NOT NULL
) STRICT;

CREATE TABLE recomputations (  -- values derived from a record that ended; older ones stay withheld
    product TEXT NOT NULL,  -- of the derived value
    subject TEXT NOT NULL,
    since INTEGER NOT NULL,  -- unix seconds; values computed after it are good again
    repair INTEGER NOT NULL,
    PRIMARY KEY (product, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (  -- for the feature engine (R44): recompute without these records
    product TEXT NOT NULL,
    record_key TEXT NOT NULL,
    repair INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    PRIMARY KEY (product, record_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE consequences (  -- for other rooms: what each has to do, and whether it has
    repair INTEGER NOT NULL,
    kind TEXT NOT NULL,  -- LIFT_RESTRICTIONS, REFRESH_CREDENTIALS
    product TEXT NOT NULL,
    record_key TEXT NOT NULL,
    effective_at INTEGER NOT NULL,
    settled_index INTEGER,  -- log index of the entry that says it was done
    PRIMARY KEY (repair, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE recalls (  -- what recipients have to be told; computed once the gate is clear
    repair INTEGER PRIMARY KEY,  -- log index of the repair
    product TEXT NOT NULL,
    record_key TEXT NOT NULL,
    kind TEXT NOT NULL,  -- STOP_USE, SUSPEND_USE, RESUME_USE
    reason TEXT NOT NULL,
    effective_at INTEGER NOT NULL,
    gate_clear INTEGER NOT NULL,
    computed_at INTEGER,
    recipients INTEGER NOT NULL,
    deliveries INTEGER NOT NULL
) STRICT;

CREATE TABLE recall_notices (  -- one for each organisation that received the record
    notice INTEGER PRIMARY KEY,  -- log index of the recall entry; the cursor of Watch
    repair INTEGER NOT NULL,
    party_id TEXT NOT NULL,
    product TEXT NOT NULL,
    kind TEXT NOT NULL,
    document TEXT NOT NULL,  -- the signed notice, compact JWS
    deliveries INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    status TEXT NOT NULL,  -- OPEN, ESCALATED, PROPOSED, ACKNOWLEDGED, OBJECTED, INFORMED
    served_at INTEGER,  -- when it was first handed to the organisation
    answered_at INTEGER,
    answer TEXT  -- the signed acknowledgement
) STRICT;
CREATE INDEX recall_notices_party ON recall_notices (party_id, notice);
CREATE INDEX recall_notices_due ON recall_notices (status, due_at);
CREATE INDEX recall_notices_repair ON recall_notices (repair);

CREATE TABLE suspension_proposals (  -- for a person of the operator to sign or to dismiss
    proposal INTEGER PRIMARY KEY,  -- log index of the proposal
    party_id TEXT NOT NULL,
    notices INTEGER NOT NULL,
    proposed_at INTEGER NOT NULL,
    status TEXT NOT NULL,  -- OPEN, SIGNED, DISMISSED
    closed_index INTEGER
) STRICT;

CREATE TABLE verification_endpoints (  -- where an organisation can be asked what it still shows
    party_id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    log_index INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE recall_probes (
    probe INTEGER PRIMARY KEY,  -- log index of the probe's entry
    notice INTEGER NOT NULL,
    party_id TEXT NOT NULL,
    result TEXT NOT NULL,
    probed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE repair_feeds (  -- how far each feed was read
    feed TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    applied INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    read_to_end_at INTEGER
) STRICT, WITHOUT ROWID;

-- A recall looks deliveries up by snapshot and organisations by intent. Both indexes grow at
-- their end, since snapshots change seldom and intents only rise.
CREATE INDEX deliveries_snapshot ON deliveries (snapshot_id);
CREATE INDEX requests_intent ON requests (intent);
