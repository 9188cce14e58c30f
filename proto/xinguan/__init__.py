"""Xinguan's contract (`xinguan.v1`) and the client that speaks it (`xinguan.client`)."""
