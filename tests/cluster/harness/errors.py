"""What can go wrong in the harness."""


class HarnessError(Exception):
    """The cluster could be had here, and something failed on the way."""


class ClusterUnavailableError(Exception):
    """No Kubernetes can be had on this machine: tests skip, with this reason."""


class CommandError(HarnessError):
    """A program ended with a failure; `output` is the last of what it printed."""

    def __init__(self, command: str, status: int, output: str) -> None:
        super().__init__(f"{command} ended with status {status}:\n{output[-4000:].strip()}")
        self.status = status
        self.output = output
