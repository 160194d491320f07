"""`helm test`: the operator is ready, and the API server knows its resources. Nothing is made.

Only Python's own library, as it is run by itself in the operator's image.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def main(environment: Mapping[str, str]) -> int:
    """The exit status: 0 where every check holds."""
    operator = environment["OPERATOR"]
    checks = (
        ("the operator is ready", lambda: _get(f"{operator}/readyz")),
        ("its metrics answer", lambda: "t2v_" in _get(f"{operator}/metrics")),
        ("a video would be admitted", lambda: _is_admitted(environment, _spec(environment))),
        ("one without a prompt would not", lambda: not _is_admitted(environment, {})),
    )
    # A Service that was just made has its addresses in some seconds.
    deadline = time.monotonic() + float(environment.get("SECONDS", "30"))
    results = [_holds(name, check, deadline) for name, check in checks]
    return 0 if all(results) else 1


def _holds(name: str, check: Any, deadline: float) -> bool:
    while True:
        try:
            holds, why = bool(check()), "no"
        except OSError as error:
            holds, why = False, str(error)
        if holds or time.monotonic() > deadline:
            sys.stdout.write(
                f"{'ok' if holds else 'FAILED'}: {name}{'' if holds else f': {why}'}\n"
            )
            return holds
        time.sleep(1)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


def _spec(environment: Mapping[str, str]) -> dict[str, str]:
    return {"modelId": environment["MODEL"], "prompt": "a test"}


def _is_admitted(environment: Mapping[str, str], spec: dict[str, str]) -> bool:
    """Whether the API server would take a TextToVideoJob; it is asked for a dry run."""
    account = Path(environment.get("ACCOUNT", ACCOUNT))
    address = environment.get("API", "https://kubernetes.default.svc")
    path = f"/apis/textto.video/v1alpha1/namespaces/{environment['NAMESPACE']}/texttovideojobs"
    body = {
        "apiVersion": "textto.video/v1alpha1",
        "kind": "TextToVideoJob",
        "metadata": {"generateName": "helm-test-"},
        "spec": spec,
    }
    request = urllib.request.Request(
        f"{address}{path}?dryRun=All",
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {(account / 'token').read_text().strip()}",
        },
    )
    trusted = None
    if address.startswith("https:"):
        trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
    try:
        with urllib.request.urlopen(request, timeout=30, context=trusted):
            return True
    except urllib.error.HTTPError as refused:
        if refused.code == 422:
            return False
        raise OSError(f"{refused.code} {refused.read()[:500].decode()}") from refused


if __name__ == "__main__":
    sys.exit(main(os.environ))
