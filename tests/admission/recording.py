"""A pytest plugin that writes down every Job that tests have built, one JSON line each.

`-p tests.admission.recording`, and `T2V_RECORD_JOBS` names the file. It has to be loaded before
whatever imports the functions that build Jobs.
"""

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from t2v_operator.config import OperatorConfig
from t2v_operator.core import job
from t2v_operator.core.models import prefetch_job

from tests.admission.policies import SYSTEM


def _recorded(build: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(build)
    def recording(subject: Any, config: OperatorConfig, *rest: Any, **named: Any) -> dict[str, Any]:
        made = build(subject, config, *rest, **named)
        entry = {"config": _of_the_policy(config), "job": json.loads(json.dumps(made))}
        entry["job"]["metadata"].setdefault("namespace", SYSTEM)
        with Path(os.environ["T2V_RECORD_JOBS"]).open("a") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")
        return made

    return recording


def _of_the_policy(config: OperatorConfig) -> dict[str, Any]:
    """What of the configuration decides which Jobs may be made."""
    document = config.document()
    parts = ("runner", "storage", "modelCache", "podTemplatePatch")
    named = {name: document[name] for name in parts if name in document}
    return {**named, "reportServer": {"audience": config.report_server.audience}}


job.build_job = _recorded(job.build_job)
prefetch_job.prefetch_job = _recorded(prefetch_job.prefetch_job)
