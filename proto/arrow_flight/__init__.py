"""Generated from flight.proto by `make proto`: Arrow Flight's own service."""
