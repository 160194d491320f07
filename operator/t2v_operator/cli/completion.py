"""`t2v completion`."""

import argparse
from importlib.util import find_spec

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import complain, say


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])


def perform(options: argparse.Namespace) -> int:
    """Print what makes a shell complete commands, options and names of videos.

    For bash: `source <(t2v completion bash)`.
    """
    if not find_spec("argcomplete"):
        complain("completion needs argcomplete: pip install 'text-to-video-operator[client]'")
        return ExitCode.FAULT
    from argcomplete.shell_integration import shellcode

    say(shellcode(["t2v"], shell=options.shell))
    return ExitCode.DONE
