-- Which processes serve this state, and which changes each of them has brought into effect.

CREATE TABLE gate_number (  -- its row is locked by every change until that is committed
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO gate_number (one, number) VALUES (1, 0);

CREATE TABLE gate_changes (  -- what every process has to bring into effect, in this order
    number INTEGER PRIMARY KEY,
    product TEXT NOT NULL,
    record_key TEXT NOT NULL,
    subject TEXT NOT NULL,
    ended INTEGER NOT NULL  -- whether values derived from the record are withheld too
) STRICT;

CREATE TABLE node_leases (  -- one for each serving process; no row, no batch
    node TEXT PRIMARY KEY,
    holder TEXT NOT NULL,  -- drawn by the process at its start
    place TEXT NOT NULL,  -- drawn once for the directory of a deployment
    token INTEGER NOT NULL,  -- rises each time the lease is taken
    beat INTEGER NOT NULL,  -- rises at each renewal; waiters measure from the last rise they saw
    term_ms INTEGER NOT NULL,  -- a duration; no clock reading of any machine stands here
    applied INTEGER NOT NULL  -- the newest change that has taken effect in this process
) STRICT;

CREATE TABLE node_tokens (  -- the newest token of each node, also when its lease is gone
    node TEXT PRIMARY KEY,
    token INTEGER NOT NULL
) STRICT;
