"""Credentials from a program that a kubeconfig names, as cloud providers' clusters want it.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from t2v_client.errors import LoginError

EARLIER = timedelta(minutes=1)
"""Clocks differ, and a request takes a while: so long before their end, credentials are renewed."""


async def run_exec_plugin(command: Mapping[str, Any]) -> dict[str, Any]:
    """What the program answers, in the words of a kubeconfig's user, and when to ask again.

    The program may ask and complain on the terminal. Raises LoginError.
    """
    name = command.get("command", "")
    version = command.get("apiVersion")
    request = {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": sys.stdin.isatty()},
    }
    environment = {
        **os.environ,
        **{each["name"]: each["value"] for each in command.get("env") or ()},
        "KUBERNETES_EXEC_INFO": json.dumps(request),
    }
    try:
        arguments = command.get("args") or ()
        process = await asyncio.create_subprocess_exec(
            name, *arguments, env=environment, stdout=PIPE
        )
    except OSError as error:
        raise LoginError(f"kubeconfig: {name} cannot be run: {error.strerror}") from None
    output, _ = await process.communicate()
    if process.returncode:
        raise LoginError(f"kubeconfig: {name} ended with {process.returncode}")
    try:
        answer = json.loads(output)
        answered, user = answer["apiVersion"], _as_user(answer["status"])
    except (ValueError, LookupError, TypeError):
        # Its output is not told: there may be a token in it.
        raise LoginError(f"kubeconfig: {name} gave no ExecCredential") from None
    if answered != version:
        raise LoginError(f"kubeconfig: {name} answers in {answered}, not in {version}")
    return user


def _as_user(status: Mapping[str, str]) -> dict[str, Any]:
    names = {
        "token": "token",
        "clientCertificateData": "client-certificate-data",
        "clientKeyData": "client-key-data",
    }
    user: dict[str, Any] = {ours: status[name] for name, ours in names.items() if name in status}
    if not user:
        raise LookupError("neither token nor certificate")
    if end := status.get("expirationTimestamp"):
        user["expiration"] = datetime.fromisoformat(end) - EARLIER
    return user
