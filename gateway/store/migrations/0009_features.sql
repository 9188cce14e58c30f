-- Products that are computed from records, and what the one now served was computed from (R13, R44).

CREATE TABLE derived_sources (  -- the product is as fresh as the oldest feed among these
    product TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (product, source)
) STRICT, WITHOUT ROWID;
