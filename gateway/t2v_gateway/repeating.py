"""The same request once more, as far as it is the caller's."""

from typing import Any

from t2v_api.resource import REQUEST_FIELDS, TextToVideoJobSpec

OTHERS = ("load_balancer",)
FIELDS = frozenset(
    str(TextToVideoJobSpec.model_fields[name].alias) for name in (*REQUEST_FIELDS, *OTHERS)
)
"""What a caller says of a video. All else of a resource is not a caller's."""
TOLD = frozenset({"trackId"})
"""What a request of the endpoint may have besides, and is repeated. A webhook is not: it is not
signed, and whoever put another one there would be told of the new video."""


def repeated(spec: TextToVideoJobSpec, **changes: Any) -> TextToVideoJobSpec:
    """With `changes`, by the names that the fields have in a manifest.

    Whoever may write resources in the namespace may have put other things into it.
    """
    kept = {name: value for name, value in spec.document().items() if name in FIELDS | TOLD}
    return TextToVideoJobSpec.parse(kept | changes)
