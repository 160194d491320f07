"""`t2v`: make videos, here or on a cluster; look after them; find out what is wrong."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec

from t2v_api.reasons import ExitCode

SUMMARIES: Mapping[str, str] = {
    "run": "make videos on this machine",
    "validate": "check manifests as the cluster would; make nothing",
    "plan": "say what a video takes: download, memory, time",
    "submit": "have videos made on the cluster",
    "list": "list the cluster's videos",
    "watch": "watch videos until they are finished",
    "describe": "tell all about videos",
    "logs": "print the log of a video's latest runner",
    "download": "fetch finished videos",
    "link": "make a new link to a finished video",
    "cancel": "end videos; their resources stay",
    "retry": "run failed or cancelled videos again",
    "delete": "delete videos",
    "cost": "sum what videos took of GPUs, and what that cost",
    "key": "make, list and revoke API keys",
    "doctor": "check the cluster, and say what to do",
    "models": "list the model catalogue",
    "loras": "list the LoRAs that requests may name",
    "schedulers": "list the schedulers, and what each model makes of them",
    "completion": "print what makes a shell complete commands and names",
    "crd": "print the CustomResourceDefinitions",
    "operator": "run the operator",
    "store": "run the embedded store",
}
"""The commands. Each is a module of its name here, with `arguments` and `perform`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code, which is the runner's where one ran."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _complete()
    options = _parser(words).parse_args(words)
    from t2v_operator.cli.manifest import ManifestError
    from t2v_operator.cli.output import complain
    from t2v_operator.config import ConfigurationError

    try:
        code: int = options.perform(options)
    except (ManifestError, ConfigurationError) as error:
        complain(str(error))
        return ExitCode.REQUEST_REFUSED
    except BrokenPipeError:
        # Whoever read our output has gone; leave without a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAULT
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """All commands by name; the arguments of that in `words` alone: others are not imported."""
    parser = argparse.ArgumentParser(prog="t2v", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, summary in SUMMARIES.items():
        told = f"{summary[0].upper()}{summary[1:]}."
        each = commands.add_parser(name, help=summary, description=told)
        if name == wanted:
            module = import_module(f"t2v_operator.cli.{name}")
            each.set_defaults(perform=module.perform)
            module.arguments(each)
    return parser


def _complete() -> None:
    """Answer a shell that asks how a line may go on, and end; go on where none asks."""
    if "_ARGCOMPLETE" in os.environ and find_spec("argcomplete"):
        import argcomplete

        argcomplete.autocomplete(_parser(os.environ.get("COMP_LINE", "").split()[1:]))
