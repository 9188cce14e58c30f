"""Recall of what was already delivered (M34, R28): notices, acknowledgements, consequences."""
