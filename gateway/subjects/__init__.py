"""What a subject can see of accesses to it, what may be forgotten, and what does not agree."""
