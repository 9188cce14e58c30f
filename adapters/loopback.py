"""Whether a host is this machine: only then may a source be read without TLS."""

import ipaddress


def is_local(host: str) -> bool:
    """Tell whether a host is a socket's directory, nothing (the default socket), or loopback."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
