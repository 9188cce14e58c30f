"""The append-only audit log: C2SP tiles, checkpoints, proofs, entries."""
