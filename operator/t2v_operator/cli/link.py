"""`t2v link`."""

import argparse
import asyncio
import uuid

from t2v_api.reasons import ExitCode
from t2v_api.resource import Phase

from t2v_operator.cli.output import complain, say

WAIT_SECONDS = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the TextToVideoJob")
    parser.add_argument("-n", "--namespace", default="default", help="its namespace (default)")


def link(options: argparse.Namespace) -> int:
    """Make a new link to a finished video, on the cluster that kubectl talks to; print it."""
    return asyncio.run(_link(options.namespace, options.name))


async def _link(namespace: str, name: str) -> int:
    # Only what asks a cluster needs kopf and aiohttp.
    from t2v_operator.cluster.client import Client
    from t2v_operator.cluster.connection import connect
    from t2v_operator.cluster.errors import ClusterError
    from t2v_operator.cluster.kinds import RESOURCES
    from t2v_operator.core.names import RENEW_LINKS_ANNOTATION

    asked = uuid.uuid4().hex
    body = {"metadata": {"annotations": {RENEW_LINKS_ANNOTATION: asked}}}
    async with connect() as connection:
        client = Client(connection, lambda: True)
        try:
            found = await client.get(RESOURCES, namespace, name)
            status = (found or {}).get("status", {})
            phase = status.get("phase")
            if phase != Phase.SUCCEEDED:
                what = f"is {phase or 'Pending'}" if found else "is not there"
                complain(f"{namespace}/{name} {what}: it has no video")
                return ExitCode.REQUEST_REFUSED
            if "outputRemovedTime" in status:
                complain(f"{namespace}/{name}: {status['message']}")
                return ExitCode.REQUEST_REFUSED
            await client.patch(RESOURCES, namespace, name, body)
            async with asyncio.timeout(WAIT_SECONDS):
                while (found or {}).get("status", {}).get("linkRenewal") != asked:
                    await asyncio.sleep(0.2)
                    found = await client.get(RESOURCES, namespace, name)
        except ClusterError as error:
            complain(str(error))
            return ExitCode.REQUEST_REFUSED
        except TimeoutError:
            complain(f"no new link within {WAIT_SECONDS:g} s: does the operator run?")
            return ExitCode.STORAGE_OR_NETWORK
    assert found
    say(found["status"]["outputUrl"])
    return ExitCode.DONE
