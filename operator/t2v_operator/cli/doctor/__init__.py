"""`t2v doctor`: look at an installation, say what is wrong with it and what to do.

One check a function; each asks the API server alone, as whoever runs the command, changes nothing,
and says so where it may not look.
"""

import argparse
from typing import TYPE_CHECKING

from t2v_api.reasons import ExitCode

from t2v_operator.cli.cluster import on_the_cluster, takes_cluster
from t2v_operator.cli.output import Format, say, say_documents, takes_format

if TYPE_CHECKING:
    from t2v_client import AsyncClient


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    takes_format(parser)
    parser.add_argument(
        "--operator-namespace", help="where it is installed; looked for, unless it is said"
    )


def perform(options: argparse.Namespace) -> int:
    """Check an installation, a line for each thing; 1 where something is at fault."""

    async def act(client: "AsyncClient") -> int:
        from t2v_operator.cli.doctor.checks import examine
        from t2v_operator.cli.doctor.finding import Verdict

        findings = await examine(client, options.operator_namespace)
        if options.output == Format.TABLE:
            say("\n".join(line for each in findings for line in each.lines()))
        else:
            say_documents([each.document() for each in findings], options.output)
        has_fault = any(each.verdict is Verdict.FAULT for each in findings)
        return ExitCode.FAULT if has_fault else ExitCode.DONE

    return on_the_cluster(act, options)
