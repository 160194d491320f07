"""What a line of the log says of its resource beside its words; `--log-format=json` shows it."""

from t2v_api.resource import TextToVideoJobStatus

from t2v_operator.cluster.store import Key


def about(key: Key, status: TextToVideoJobStatus | None = None) -> dict[str, str]:
    """Which resource, and which trace where there is one."""
    namespace, name = key
    fields = {"namespace": namespace, "resource": name}
    return fields | {"trace_id": status.trace_id} if status and status.trace_id else fields
