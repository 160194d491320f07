"""Whatever a body holds, it is a request or a message. `make gateway-fuzz` asks far more of it."""

import asyncio
import json
import os
import re
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from t2v_api.resource import TextToVideoJobSpec
from t2v_gateway.bodies import attributes_of
from t2v_gateway.endpoint.text2video import ATTRIBUTES, spec_of, tips
from t2v_gateway.errors import Refused

EXAMPLES = int(os.environ.get("GATEWAY_FUZZ_BODIES", "300"))
NAMED = re.compile(rf"(?<!\w)({'|'.join((*ATTRIBUTES, 'body'))})(?!\w)")

ODD_NUMBERS = st.sampled_from(
    [0, -1, 1, 1.5, 7.5, 8, 50, 51, 512, 512.0, 1024, 1025, 2**63 - 1, 2**63, 10**39, 10**400,
     float("nan"), float("inf"), float("-inf"), 1e-320, 1e308, -0.0, True, False]
)  # fmt: skip
ODD_TEXTS = st.sampled_from(
    ["", " ", "null", "yes", "NO", "true", "512", " 512 ", "7.5", "1e3", "1e999", "-0", "0x10",
     "1_000", "५१२", "NaN", "Infinity", "a\0b", "\ud800", "\udfff\ud800", "store://", "store://a",
     "https://", "https://[", "https://[::1]/a", "http://a b", "javascript:alert(1)",
     "file:///etc/passwd", "DDIMScheduler", "tiny-shapes", "a red circle", "x" * 4097, "\u202e",
     "https://example.com/" + "a" * 3000]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ODD_NUMBERS
    | ODD_TEXTS
    | st.text()
    | st.text(st.characters(), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PARTS = st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)) | st.text(), VALUES, max_size=8)
BODIES = st.tuples(st.sampled_from([{}, {"model_id": "tiny-shapes", "prompt": "a cat"}]), PARTS)
RAW = (
    st.binary(max_size=200)
    | st.text(st.characters(exclude_categories=("Cs",))).map(str.encode)
    | st.binary(max_size=60).map(lambda inner: b"--x\r\n" + inner + b"\r\n--x--")
    | BODIES.map(lambda body: json.dumps(body[0] | body[1]).encode())
    | BODIES.map(lambda body: json.dumps(body[0] | body[1])[:-3].encode())
    | PARTS.map(lambda part: urlencode(part, errors="replace").encode())
)

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def holds(body: dict[str, Any], from_image: bool) -> None:
    """A valid request, or a message that names the attribute and can be said in UTF-8."""
    try:
        spec = spec_of(body, from_image)
    except Refused as refused:
        assert refused.status == 400
        assert NAMED.search(refused.message), refused.message
        assert json.dumps(refused.message, ensure_ascii=False).encode()
        assert len(refused.message) < 2000
    else:
        assert TextToVideoJobSpec.parse(spec.document()) == spec
        assert spec.json_line().encode()
        tips(body)


@fuzzed
@given(BODIES, st.booleans())
def test_every_body_is_a_request_or_a_message(
    body: tuple[dict[str, Any], dict[str, Any]], from_image: bool
) -> None:
    holds(body[0] | body[1], from_image)


@fuzzed
@given(RAW, st.booleans())
def test_all_bytes_are_a_request_or_a_message(raw: bytes, from_image: bool) -> None:
    try:
        body = asyncio.run(attributes_of(raw))
    except Refused as refused:
        assert "the body" in refused.message
        assert json.dumps(refused.message, ensure_ascii=False).encode()
    else:
        holds(body, from_image)
