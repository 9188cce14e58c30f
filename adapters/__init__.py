"""Adapters: where credit data really is, read as Arrow record batches."""
