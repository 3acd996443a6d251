"""What one question to a registry may cost where the answer is put together from many calls."""

from __future__ import annotations

import threading
import time

from gitlab.container_registry.client.connection import RegistryUnavailable


class Walk:
    """So many manifests at most, and a moment at which it ends. Threads may share it."""

    def __init__(self, manifests: int, seconds: float) -> None:
        self._lock = threading.Lock()
        self._left = manifests
        self._ends = time.monotonic() + seconds

    def take(self) -> bool:
        """Whether one more manifest may be asked for. Raises as `go_on`."""
        self.go_on()
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def go_on(self) -> None:
        """Raise `RegistryUnavailable` where the time is over."""
        if time.monotonic() >= self._ends:
            raise RegistryUnavailable("the registry takes too long")
