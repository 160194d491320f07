"""Merge what a platform team adds into a pod template: a strategic merge patch. Pure.

Lists whose items have names are merged item by item, as Kubernetes merges them:
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from typing import Any

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "resourceClaims": "name",
    "topologySpreadConstraints": "topologyKey",
}
"""The list fields of a pod template that Kubernetes merges, and what tells their items apart.
Other lists, such as tolerations, are replaced."""


def check_patch(patch: Any, at: str = "podTemplatePatch") -> None:
    """Whether `patched` can do what the patch says. Raises ValueError with the path of what not."""
    if isinstance(patch, list):
        for number, item in enumerate(patch):
            check_patch(item, f"{at}[{number}]")
    if not isinstance(patch, dict):
        return
    for name, value in patch.items():
        path = f"{at}.{name}"
        if str(name).startswith("$"):
            raise ValueError(f"{path}: directives are not known; null removes a field")
        if name in MERGE_KEYS and value is not None:
            key = MERGE_KEYS[name]
            if not isinstance(value, list) or not all(
                isinstance(item, dict) and key in item for item in value
            ):
                raise ValueError(f"{path}: expected a list whose items have a {key!r}")
        check_patch(value, path)


def patched(target: Any, patch: Any) -> Any:
    """`target` with `patch` merged in; null removes a field. Neither is changed."""
    if not isinstance(target, dict) or not isinstance(patch, dict):
        return patch
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif name in MERGE_KEYS and isinstance(value, list):
            merged[name] = _merged_items(merged.get(name, []), value, MERGE_KEYS[name])
        else:
            merged[name] = patched(merged.get(name, {}), value)
    return merged


def _merged_items(targets: list[Any], patches: list[Any], key: str) -> list[Any]:
    """The items of both lists; those with the same key are one, where the target's stood."""
    items = {target.get(key): target for target in targets}
    for patch in patches:
        items[patch.get(key)] = patched(items.get(patch.get(key), {}), patch)
    return list(items.values())
