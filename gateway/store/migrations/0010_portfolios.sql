-- Portfolios that banks uploaded, until they expire. What they hold is sealed under a key that
-- the node derives from its own and from a secret in the handle; neither opens one alone.

CREATE TABLE portfolios (
    portfolio_id TEXT PRIMARY KEY,  -- random, hex
    party_id TEXT NOT NULL,
    subjects INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,  -- unix seconds, exclusive
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX portfolios_party ON portfolios (party_id);
CREATE INDEX portfolios_expiry ON portfolios (expires_at);
