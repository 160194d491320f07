"""`t2v key`: make, list and revoke API keys, as Secrets in the namespace of keys."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError
from t2v_api.api_key import KEY_LABEL, ApiKey, Quota, Right, digest_of, new_key
from t2v_api.reasons import ExitCode

from t2v_operator.cli.cluster import takes_context
from t2v_operator.cli.output import Format, complain, say, say_documents, takes_format
from t2v_operator.config import ConfigurationError
from t2v_operator.core.job import Manifest
from t2v_operator.core.key_secret import HeldKey, KeySecretInvalid, key_secret, read_key_secret

if TYPE_CHECKING:
    from t2v_operator.cluster.client import Client

Act = Callable[["Client", argparse.Namespace], Awaitable[int]]


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _create_arguments(_added(commands, "create", create))
    takes_format(_added(commands, "list", list_keys))
    revoking = _added(commands, "revoke", revoke)
    revoking.add_argument("id", help="of the key, as `t2v key list` shows it")


def perform(options: argparse.Namespace) -> int:
    """Make, list and revoke API keys, on the cluster that kubectl talks to."""
    code: int = options.act(options)
    return code


def create(options: argparse.Namespace) -> int:
    """Make a key and print it, this once."""
    if bool(options.dry_run) != bool(options.output):
        complain("--dry-run=client goes with -o yaml, and -o yaml with --dry-run=client")
        return ExitCode.REQUEST_REFUSED
    made = new_key()
    try:
        held = HeldKey(_wanted(made.id, options), digest_of(made.text))
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            complain(f"{'.'.join(map(str, each['loc']))}: {each['msg']}")
        return ExitCode.REQUEST_REFUSED
    secret = key_secret(held, options.keys_namespace)
    name = secret["metadata"]["name"]
    once = "it is shown this once, and kept nowhere"
    if options.dry_run:
        say(yaml.safe_dump(secret, sort_keys=False).rstrip())
        complain(f"the key of Secret {name}; {once}:\n{made.text}")
        return ExitCode.DONE

    async def act(client: "Client", options: argparse.Namespace) -> int:
        from t2v_operator.cluster.kinds import SECRETS

        await client.create(SECRETS, options.keys_namespace, secret)
        return ExitCode.DONE

    code = _on_the_cluster(act, options)
    if code == ExitCode.DONE:
        complain(f"made Secret {options.keys_namespace}/{name}; the key follows, {once}")
        say(made.text)
    return code


def list_keys(options: argparse.Namespace) -> int:
    """List the keys: whose they are and what they open, not the keys."""
    return _on_the_cluster(_list, options)


def revoke(options: argparse.Namespace) -> int:
    """Delete a key's Secret: it opens nothing any more. Videos that are being made go on."""
    return _on_the_cluster(_revoke, options)


async def _list(client: "Client", options: argparse.Namespace) -> int:
    from t2v_operator.cluster.kinds import SECRETS

    found = await client.list(SECRETS, options.keys_namespace, labelSelector=KEY_LABEL)
    if options.output != Format.TABLE:
        say_documents([each.document() for each in _keys(found["items"])], options.output)
        return ExitCode.DONE
    row = "{:12}  {:20}  {:20}  {:24}  {:16}  {}"
    say(row.format("ID", "NAME", "NAMESPACE", "POOLS", "RIGHTS", "CREATED"))
    for key in _keys(found["items"]):
        pools, rights = ",".join(key.pools) or "-", ",".join(key.rights) or "-"
        created = f"{key.created:%Y-%m-%d}" if key.created else "-"
        say(row.format(key.id, key.name, key.namespace, pools, rights, created))
    return ExitCode.DONE


def _keys(secrets: Iterable[Manifest]) -> Iterator[ApiKey]:
    for secret in secrets:
        try:
            yield read_key_secret(secret).key
        except KeySecretInvalid as error:
            complain(f"Secret {secret['metadata']['name']} keeps no API key: {error}")


async def _revoke(client: "Client", options: argparse.Namespace) -> int:
    from t2v_operator.cluster.kinds import SECRETS

    namespace = options.keys_namespace
    found = await client.list(SECRETS, namespace, labelSelector=f"{KEY_LABEL}={options.id}")
    if not found["items"]:
        complain(f"there is no API key {options.id} in namespace {namespace}")
        return ExitCode.REQUEST_REFUSED
    for secret in found["items"]:
        name = secret["metadata"]["name"]
        await client.delete(SECRETS, namespace, name, {})
        complain(f"deleted Secret {namespace}/{name}")
    return ExitCode.DONE


def _on_the_cluster(act: Act, options: argparse.Namespace) -> int:
    # Only what asks a cluster needs kopf and aiohttp.
    from t2v_client.connection import connect
    from t2v_client.errors import LoginError
    from t2v_client.login import find_login

    from t2v_operator.cluster.client import Client
    from t2v_operator.cluster.errors import UNANSWERED, ClusterError

    async def run() -> int:
        login = find_login(context=options.context, kubeconfig=options.kubeconfig)
        async with connect(login) as connection:
            try:
                return await act(Client(connection, lambda: True), options)
            except ClusterError as error:
                complain(str(error))
                return ExitCode.REQUEST_REFUSED
            except UNANSWERED as error:
                complain(f"the API server does not answer: {type(error).__name__} {error}")
                return ExitCode.STORAGE_OR_NETWORK

    try:
        return asyncio.run(run())
    except LoginError as error:
        raise ConfigurationError(str(error)) from None


def _wanted(key_id: str, options: argparse.Namespace) -> ApiKey:
    """Raises ValidationError."""
    return ApiKey(
        id=key_id,
        name=options.name,
        namespace=options.namespace,
        pools=tuple(options.pool),
        quota=Quota(
            jobs_in_flight=options.jobs_in_flight,
            requests_per_minute=options.requests_per_minute,
            gpu_seconds_per_day=options.gpu_seconds_per_day,
        ),
        rights=tuple(Right(each) for each in options.right or (Right.USE,)),
        created=datetime.now(UTC).replace(microsecond=0),
    )


def _added(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    act: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=act.__doc__, description=act.__doc__)
    parser.set_defaults(act=act)
    parser.add_argument(
        "-n",
        "--keys-namespace",
        "--operator-namespace",
        default="t2v-system",
        help="where keys are: apiKeys.namespace of the configuration, or else where the operator "
        "is installed (t2v-system)",
    )
    takes_context(parser)
    return parser


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="whose it is, for people")
    parser.add_argument("--namespace", required=True, help="where its videos are made")
    parser.add_argument(
        "--pool",
        action="append",
        default=[],
        help="a GPU pool that it opens, the preferred first; may be given several times; without "
        "any, those that need no key",
    )
    parser.add_argument("--jobs-in-flight", type=int, help="videos that wait or are made at a time")
    parser.add_argument("--requests-per-minute", type=int, help="HTTP requests")
    parser.add_argument("--gpu-seconds-per-day", type=float, help="of the last 24 hours")
    parser.add_argument(
        "--right",
        action="append",
        choices=[each.value for each in Right],
        help="what it may be used for (use); may be given several times",
    )
    parser.add_argument("--dry-run", choices=["client"], help="make nothing; print the Secret")
    parser.add_argument("-o", "--output", choices=["yaml"], help="goes with --dry-run=client")
