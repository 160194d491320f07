"""`t2v`: make videos on this machine, check manifests, list what is known."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from t2v_api.reasons import ExitCode

from t2v_operator.cli import (
    cost,
    crd,
    key,
    link,
    loras,
    models,
    operator,
    plan,
    run,
    schedulers,
    store,
    validate,
)
from t2v_operator.cli.manifest import ManifestError
from t2v_operator.cli.output import complain
from t2v_operator.config import ConfigurationError


@dataclass(frozen=True)
class Command:
    """A command: its name and summary are those of the function that does it."""

    perform: Callable[[argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None]


COMMANDS = (
    Command(run.run, run.arguments),
    Command(validate.validate, validate.arguments),
    Command(plan.plan, plan.arguments),
    Command(link.link, link.arguments),
    Command(cost.cost, cost.arguments),
    Command(key.key, key.arguments),
    Command(models.models, models.arguments),
    Command(loras.loras, loras.arguments),
    Command(schedulers.schedulers, schedulers.arguments),
    Command(crd.crd, crd.arguments),
    Command(operator.operator, operator.arguments),
    Command(store.store, store.arguments),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code, which is the runner's where one ran."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="t2v", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        summary = command.perform.__doc__
        name = command.perform.__name__
        each = commands.add_parser(name, help=summary, description=summary)
        each.set_defaults(perform=command.perform)
        command.arguments(each)
    return parser
