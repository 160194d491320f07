"""`t2v operator`."""

import argparse

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import takes_config
from t2v_operator.config import ConfigurationError, load_config


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="lines or JSON (text)"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log what is decided again and again, too"
    )


def perform(options: argparse.Namespace) -> int:
    """Run the operator: turn the cluster's TextToVideoJobs into videos."""
    config = load_config(options.config)
    # A command on a user's machine needs none of this.
    import kopf
    from t2v_client.errors import LoginError

    from t2v_operator.cluster.controller import run_operator

    kopf.configure(
        verbose=options.verbose,
        log_format=kopf.LogFormat.JSON if options.log_format == "json" else kopf.LogFormat.FULL,
    )
    try:
        run_operator(config)
    except LoginError as error:
        raise ConfigurationError(str(error)) from None
    return ExitCode.DONE
