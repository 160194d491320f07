"""Every attribute of the document: as numbers or text, yes or no, and what is refused."""

import asyncio
import json
from typing import Any

import pytest
from t2v_api.resource import TextToVideoJobSpec
from t2v_api.schedulers import Scheduler
from t2v_gateway.bodies import File, attributes_of
from t2v_gateway.endpoint.text2video import ATTRIBUTES, IDLE_STRENGTH, in_words, spec_of, tips
from t2v_gateway.errors import Refused

LEAST: dict[str, Any] = {"model_id": "tiny-shapes", "prompt": "a red circle"}
IMAGE = "https://example.com/cat.png"


def parsed(**body: Any) -> TextToVideoJobSpec:
    return spec_of(LEAST | body)


def complaint(from_image: bool = False, **body: Any) -> str:
    with pytest.raises(Refused) as refused:
        spec_of(LEAST | body, from_image)
    assert refused.value.status == 400
    return refused.value.message


def test_the_documents_own_example_is_a_request() -> None:
    spec = spec_of(
        {
            "key": "enterprise_api_key",
            "model_id": "model_id",
            "prompt": "Girl smiling and sitting on bench, ultra HD video",
            "negative_prompt": "Low Quality",
            "width": "512",
            "height": "512",
            "scheduler": "UniPCMultistepScheduler",
            "num_inference_steps": "30",
            "enhance_prompt": "yes",
            "guidance_scale": 7.5,
            "strength": 0.7,
            "seed": None,
            "webhook": None,
            "track_id": None,
        }
    )
    assert spec == TextToVideoJobSpec(
        model_id="model_id",
        prompt="Girl smiling and sitting on bench, ultra HD video",
        negative_prompt="Low Quality",
        width=512,
        height=512,
        scheduler=Scheduler.UNIPC_MULTISTEP,
        num_inference_steps=30,
        guidance_scale=7.5,
    )


WHERE = {
    "model_id": ("wan", "modelId", "wan"),
    "prompt": ("a cat", "prompt", "a cat"),
    "negative_prompt": ("blur", "negativePrompt", "blur"),
    "width": ("64", "width", 64),
    "height": (1024, "height", 1024),
    "num_frames": ("16", "numFrames", 16),
    "fps": (8.0, "fps", 8),
    "scheduler": (" DDIMScheduler ", "scheduler", "DDIMScheduler"),
    "num_inference_steps": (" 50 ", "numInferenceSteps", 50),
    "enhance_prompt": ("No", "enhancePrompt", False),
    "guidance_scale": ("7.5", "guidanceScale", 7.5),
    "init_image": (IMAGE, "initImage", IMAGE),
    "init_video": ("store://a/b.mp4", "initVideo", "store://a/b.mp4"),
    "strength": ("0.5", "strength", 0.5),
    "seed": ("9223372036854775807", "seed", 2**63 - 1),
    "webhook": ("https://example.com/done", "webhook", "https://example.com/done"),
    "track_id": (7, "trackId", "7"),
    "loadbalancer": (1, "loadBalancer", True),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_attribute_goes_into_its_field(name: str) -> None:
    given, field, value = WHERE[name]
    beside = {"init_image": IMAGE} if name == "strength" else {}
    assert parsed(**beside, **{name: given}).document()[field] == value


@pytest.mark.parametrize("absent", [None, "", "  ", "null", " NULL "])
def test_null_and_nothing_are_as_if_left_out(absent: Any) -> None:
    names = set(ATTRIBUTES) - set(LEAST)
    assert parsed(**dict.fromkeys(names, absent)) == parsed()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *[(given, True) for given in ("yes", "YES", " Yes ", "true", "True", True, 1, "1")],
        *[(given, False) for given in ("no", "No", "false", "FALSE", False, 0, "0")],
    ],
)
def test_yes_and_no_in_every_way(given: Any, meant: bool) -> None:
    spec = parsed(enhance_prompt=given, loadbalancer=given)
    assert (spec.enhance_prompt, spec.load_balancer) == (meant, meant)


def test_what_is_no_attribute_is_ignored() -> None:
    assert parsed(samples=4, safety_checker="no", **{"": 1}) == parsed()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("width", "1001", 'width is "1001"; it must be a multiple of 8 from 64 to 1024'),
        ("width", 1032, "width is 1032; it must be a multiple of 8 from 64 to 1024"),
        ("height", 56, "height is 56; it must be a multiple of 8 from 64 to 1024"),
        ("height", 512.5, "height is 512.5; it must be a multiple of 8 from 64 to 1024"),
        ("width", "512px", 'width is "512px"; it must be a multiple of 8 from 64 to 1024'),
        ("width", True, "width is true; it must be a multiple of 8 from 64 to 1024"),
        ("width", "५१२", 'width is "५१२"; it must be a multiple of 8 from 64 to 1024'),
        (
            "num_inference_steps",
            51,
            "num_inference_steps is 51; it must be a whole number from 1 to 50",
        ),
        (
            "num_inference_steps",
            "1e999999999",
            'num_inference_steps is "1e999999999"; it must be a whole number from 1 to 50',
        ),
        ("guidance_scale", "0.9", 'guidance_scale is "0.9"; it must be a number from 1 to 20'),
        (
            "guidance_scale",
            float("nan"),
            "guidance_scale is NaN; it must be a number from 1 to 20",
        ),
        (
            "guidance_scale",
            float("inf"),
            "guidance_scale is Infinity; it must be a number from 1 to 20",
        ),
        ("strength", 0, "strength is 0; it must be a number above 0, at most 1"),
        ("strength", "1.01", 'strength is "1.01"; it must be a number above 0, at most 1'),
        ("seed", -1, f"seed is -1; it must be a whole number from 0 to {2**63 - 1}"),
        ("seed", 2**63, f"seed is {2**63}; it must be a whole number from 0 to {2**63 - 1}"),
        ("enhance_prompt", "maybe", 'enhance_prompt is "maybe"; it must be yes or no'),
        ("enhance_prompt", 2, "enhance_prompt is 2; it must be yes or no"),
        ("loadbalancer", [], "loadbalancer is a list; it must be yes or no"),
        ("prompt", {"a": 1}, "prompt is an object; it must be a text"),
        ("prompt", 5, "prompt is 5; it must be a text"),
        ("negative_prompt", File(b"x"), "negative_prompt is a file of 1 bytes; send files"),
        ("prompt", "a\0b", 'prompt is "a\\u0000b"; it holds characters that no text has'),
        ("prompt", "a\ud800", 'prompt is "a?"; it holds characters that no text has'),
        ("prompt", "x" * 4097, "(4097 characters); it may have 4096 characters at most"),
        ("track_id", "x" * 257, "(257 characters); it may have 256 characters at most"),
        ("webhook", "ftp://example.com", 'webhook is "ftp://example.com"; it must be an address'),
        ("webhook", "https://", 'webhook is "https://"; it must be an address'),
        ("init_image", "file:///etc/passwd", 'init_image is "file:///etc/passwd"; it must be'),
        ("init_image", "store://../x", "init_image: 'store://../x' cannot be in the store"),
        ("model_id", "a b", 'model_id is "a b"; it must be a model\'s name'),
        ("scheduler", "Euler", 'scheduler is "Euler"; did you mean '),
        ("scheduler", 5, "scheduler is 5; it must be a text"),
    ],
)
def test_what_is_refused_names_attribute_value_and_what_is_allowed(
    name: str, value: Any, message: str
) -> None:
    assert message in complaint(**{name: value})
    assert complaint(**{name: value}).encode()


@pytest.mark.parametrize("name", LEAST)
def test_what_is_required_is_asked_for(name: str) -> None:
    assert complaint(**{name: None}) == f"{name} is required; it was not given, or is empty"


def test_a_video_of_an_image_needs_one() -> None:
    assert complaint(True).startswith("init_image is required")
    assert spec_of(LEAST | {"init_image": IMAGE, "strength": "1"}, True).strength == 1


def test_an_image_and_a_video_to_start_from_are_one_too_many() -> None:
    assert "init_image and init_video" in complaint(init_image=IMAGE, init_video=IMAGE)


def test_a_strength_of_nothing_is_left_out_and_its_sender_told() -> None:
    body = LEAST | {"strength": 0.7}
    assert spec_of(body).strength is None
    assert tips(body) == (IDLE_STRENGTH,)
    assert not tips(body | {"init_image": IMAGE})


def test_messages_of_the_contract_are_put_into_the_endpoints_words() -> None:
    message = "numInferenceSteps is 40; width is 8, and modelId 'x'"
    assert in_words(message) == "num_inference_steps is 40; width is 8, and model_id 'x'"


def read(raw: bytes) -> dict[str, Any]:
    return asyncio.run(attributes_of(raw))


MULTIPART = (
    b'--xyz\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na cat\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="image"; filename="../a.png"\r\n\r\n'
    b"\x89\x00\xff\r\n--xyz--\r\n"
)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b'{"prompt": "a cat"}', {"prompt": "a cat"}),
        (b'\xef\xbb\xbf {"prompt": "a cat"}\n', {"prompt": "a cat"}),
        (b"prompt=a+cat&width=512&seed=", {"prompt": "a cat", "width": "512", "seed": ""}),
        (MULTIPART, {"prompt": "a cat", "image": File(b"\x89\x00\xff")}),
        (b"", {}),
        (b'{"seed": ' + b"9" * 5000 + b"}", {"seed": "9" * 5000}),
    ],
)
def test_a_body_is_read_by_what_it_is(raw: bytes, body: dict[str, Any]) -> None:
    assert read(raw) == body


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe",
        b"[1]",
        b'"text"',
        b"5",
        b'{"a":',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"&".join(b"a=1" for _ in range(101)),
        b"--",
        b"--x\r\n",
        b'--"\r\nContent-Disposition: form-data\r\n\r\n',
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
        MULTIPART.replace(b'"prompt"', b'"a"; filename="b"'),
    ],
)
def test_a_body_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read(raw)
    assert "the body is" in refused.value.message
    assert refused.value.message.encode()


def test_deep_values_are_no_fault() -> None:
    deep = json.loads("[" * 500 + "]" * 500)
    assert complaint(prompt=deep) == "prompt is a list; it must be a text"
