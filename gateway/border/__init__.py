"""Across the border: what of it is state. The law itself is in `policies/xinguan/border`."""
