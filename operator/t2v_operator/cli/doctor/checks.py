"""All checks, in the order in which things depend on each other."""

from collections.abc import Awaitable, Callable, Sequence

from t2v_client import AsyncClient, Forbidden, ServerError, Unreachable

from t2v_operator.cli.doctor.definitions import crd
from t2v_operator.cli.doctor.finding import Finding, fault, warning
from t2v_operator.cli.doctor.installation import Installation, NotInstalled, find_installation
from t2v_operator.cli.doctor.outside import kueue, webhooks
from t2v_operator.cli.doctor.pools import gpus, runtime_class
from t2v_operator.cli.doctor.rights import operators_rights, own_rights
from t2v_operator.cli.doctor.running import certificate, configuration, lease, operator
from t2v_operator.cli.doctor.storing import model_cache, store

Check = Callable[[Installation], Awaitable[Sequence[Finding]]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("crd", crd),
    ("operator", operator),
    ("configuration", configuration),
    ("rbac", operators_rights),
    ("your-rights", own_rights),
    ("gpus", gpus),
    ("runtime-class", runtime_class),
    ("store", store),
    ("model-cache", model_cache),
    ("certificate", certificate),
    ("lease", lease),
    ("webhooks", webhooks),
    ("kueue", kueue),
)

BY_CONFIGURATION = {"gpus", "runtime-class", "store", "model-cache", "certificate", "kueue"}
"""Those that say nothing where the configuration cannot be read."""


async def examine(client: AsyncClient, namespace: str | None) -> list[Finding]:
    """The findings of all checks. Raises Unreachable where the API server is away."""
    try:
        installation = await find_installation(client, namespace)
    except NotInstalled as error:
        return [fault("operator", str(error), "install it, or name it")]
    findings: list[Finding] = []
    for name, check in CHECKS:
        if installation.problem and name in BY_CONFIGURATION:
            findings.append(warning(name, "not looked at: the configuration cannot be read"))
        else:
            findings += await _findings(name, check, installation)
    return findings


async def _findings(name: str, check: Check, installation: Installation) -> Sequence[Finding]:
    try:
        return await check(installation)
    except Forbidden as error:
        told = f"not looked at: {error.message}"
        return [warning(name, told, "ask as somebody who may read that")]
    except (ServerError, Unreachable) as error:
        return [warning(name, f"not looked at: {error}")]
