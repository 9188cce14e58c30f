"""The command-line program `xinguan`."""
