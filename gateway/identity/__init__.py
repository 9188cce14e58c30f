"""Who is on the line: keys, certificates, and the peer behind a connection."""
