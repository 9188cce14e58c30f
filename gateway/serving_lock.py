"""One gateway per state.

The gate of a repair is in the memory of the gateway that publishes it: a second process on the
same state would go on releasing what the first one has withdrawn (DESIGN, invariant 5). Until
replicas know of each other, the second one is refused. The command line is not concerned: it
changes the registry, which every gateway reads anew, and releases nothing.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from gateway.domain.errors import UnavailableError

LOCK_NAME = "serving.lock"


def hold_serving_lock(directory: Path) -> Callable[[], None]:
    """Take the lock of a state directory, and return what lets go of it.

    The operating system lets go of it too when the process ends, however that happens.

    Args:
        directory: Where the state database lies.

    Raises:
        UnavailableError: `ALREADY_SERVED` when another gateway holds it.
    """
    handle = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise UnavailableError(
            "ALREADY_SERVED",
            "another gateway serves this deployment",
            hints=("stop it first; several replicas of one state are not supported yet",),
        ) from None
    return lambda: os.close(handle)
