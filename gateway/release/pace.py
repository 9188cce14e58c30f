"""How many portions of a portfolio one entry commits to: as many as are written quickly.

Their rows are one transaction, and while that is written nobody else's entry is, nor the lease that
a process renews. Each transaction waits for the disk, so the fewer the cheaper; how long so many
portions take depends on the machine.
"""

LEAST, MOST = 1, 4
_QUICK_S, _SLOW_S = 0.15, 0.35


class Pace:
    """Owner: the event loop."""

    def __init__(self) -> None:
        """Begin with the least."""
        self.portions = LEAST

    def note(self, seconds: float, *, full: bool) -> None:
        """Take in how long a transaction took.

        Args:
            seconds: From handing it to the journal to its being durable.
            full: Whether it held as many portions as it might.
        """
        if seconds > _SLOW_S:
            self.portions = max(LEAST, self.portions // 2)
        elif full and seconds < _QUICK_S:
            self.portions = min(MOST, self.portions * 2)
