-- Openings of single subjects lie in the order of their entries, and of a large portfolio nothing
-- else is written for each subject: its labels are found through them, entry by entry.

CREATE TABLE openings_by_entry (  -- one for each subject of an entry that names several
    entry INTEGER NOT NULL,
    label BLOB NOT NULL,
    sealed BLOB NOT NULL,  -- see audit.openings
    PRIMARY KEY (entry, label)
) STRICT, WITHOUT ROWID;
INSERT INTO openings_by_entry (entry, label, sealed)
SELECT entry, label, sealed FROM subject_openings ORDER BY entry, label;
DROP TABLE subject_openings;
ALTER TABLE openings_by_entry RENAME TO subject_openings;

CREATE TABLE bulk_entries (entry INTEGER PRIMARY KEY) STRICT;  -- whose labels are not in audit_label

CREATE VIEW subject_labels AS  -- every label and entry, once
SELECT label, entry FROM audit_label
UNION ALL
SELECT o.label, o.entry FROM bulk_entries b CROSS JOIN subject_openings o WHERE o.entry = b.entry;
