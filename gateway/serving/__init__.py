"""What a serving process is put together from; see `gateway.server`."""
