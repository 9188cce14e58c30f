"""Bringing data in: periods and shareability, the import of published files, synthetic data."""
