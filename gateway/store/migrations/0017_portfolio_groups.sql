-- Which subjects a bank could tell apart by the portfolios that it asked about under pseudonyms.
-- Kept for as long as the pseudonyms stay the same; labels and groups are sealed together.

CREATE TABLE portfolio_groups (
    party_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,  -- rises with every change; two answers at once can't both be blind
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Features of a portfolio with observation dates: a snapshot that is never the product's own.
CREATE TABLE portfolio_features (
    snapshot_id TEXT PRIMARY KEY,
    product TEXT NOT NULL,
    expires_at INTEGER NOT NULL  -- unix seconds, exclusive; then it is deleted
) STRICT, WITHOUT ROWID;
CREATE INDEX portfolio_features_expiry ON portfolio_features (expires_at);
