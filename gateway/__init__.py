"""The gateway: who asks, what the law allows, what leaves, and the record of it."""
