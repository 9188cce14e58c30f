"""Credit repair: signed decisions that stop records from being shared."""
