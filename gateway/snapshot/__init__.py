"""Immutable admitted records, their indexes and their shareable bitmaps."""
