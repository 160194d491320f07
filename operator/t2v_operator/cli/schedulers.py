"""`t2v schedulers`."""

import argparse

from t2v_api.family import ModelFamily
from t2v_api.reasons import ExitCode
from t2v_api.schedulers import Scheduler, Support, verdict

from t2v_operator.cli.output import Format, say, say_documents, takes_config, takes_format
from t2v_operator.config import load_config


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    takes_format(parser)


def perform(options: argparse.Namespace) -> int:
    """List the 18 schedulers and what each model makes of them."""
    profiles = load_config(options.config).models
    if options.output != Format.TABLE:
        known = [
            {"name": each.value, "models": {p.id: _support(p.family, each) for p in profiles}}
            for each in Scheduler
        ]
        say_documents(known, options.output)
        return ExitCode.DONE
    for scheduler in Scheduler:
        supports = (f"{each.id}: {_support(each.family, scheduler)}" for each in profiles)
        say(f"{scheduler:34} {'  '.join(supports)}")
    return ExitCode.DONE


def _support(family: ModelFamily, scheduler: Scheduler) -> str:
    decision = verdict(family, scheduler)
    if decision.support is not Support.REPLACED:
        return decision.support
    return f"{decision.support} by {decision.scheduler}"
