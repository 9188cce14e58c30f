"""The verifier for readers who trust nobody here: one file, no import of anything of ours."""
