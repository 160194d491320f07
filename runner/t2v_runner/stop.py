"""Ask the runner to stop: SIGTERM sets a flag, the work looks at it between its steps."""

import signal

from t2v_runner.errors import Stopped


class StopSignal:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self._asked = False

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on."""
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    @property
    def is_asked(self) -> bool:
        return self._asked

    def check(self) -> None:
        """Raise Stopped if somebody asked."""
        if self._asked:
            raise Stopped("stopped by a signal before it was done")

    def _ask(self, number: int, frame: object) -> None:
        self._asked = True
