"""The menu's addresses about models: which there are and what they do, to add and remove one."""

import json
import re
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse
from t2v_api.api_key import Right
from t2v_api.base import ContractError
from t2v_api.profile import ModelDescription
from t2v_api.schedulers import Scheduler, verdict
from t2v_api.video_model import VideoModelSpec
from t2v_operator.core.models.observed import ObservedModel

from t2v_gateway.bodies import Body
from t2v_gateway.endpoint import answers, documents, values
from t2v_gateway.endpoint.addresses import PREFIX
from t2v_gateway.endpoint.asking import asked
from t2v_gateway.endpoint.text2video import model_name
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway

RESOURCE_NAME = values.pattern(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
    63,
    "a new model's name has up to 63 small letters, digits, '.' or '-'",
)
HUB = re.compile(
    r"(?:https://huggingface\.co/)?(?P<hub>[\w.-]+/[\w.-]+?)(?:/tree/(?P<revision>[\w./-]+))?/?",
    re.ASCII,
)
NUMBER_FORMATS = ("fp16", "fp32", "bf16")
"""The vendor's `revision` names one of them; ours names a commit, a tag or a branch."""
OF_OTHER_KINDS = ("lora", "embeddings", "controlnet", "custom_ckpt", "vae", "ckpt", "safetensors")


def add(routes: APIRouter, gateway: Gateway) -> None:
    """All of them."""

    @routes.post(f"{PREFIX}/schedulers_list", **documents.menu(documents.PerhapsModel))
    async def schedulers_list(request: Request) -> JSONResponse:
        """The schedulers; with a model_id, what that model makes of each of them."""
        ask = await asked(request, gateway)
        names = [scheduler.value for scheduler in Scheduler]
        if values.is_absent(ask.body.get("model_id")):
            return JSONResponse(answers.done("the schedulers", schedulers=names))
        model = _description(gateway, model_name("model_id", ask.body["model_id"]))
        return JSONResponse(
            answers.done("the schedulers", schedulers=names, verdicts=_verdicts(model))
        )

    @routes.post(f"{PREFIX}/get_all_models", **documents.menu(documents.Key))
    async def get_all_models(request: Request) -> JSONResponse:
        """The models that a request may name."""
        await asked(request, gateway)
        models = [_about(gateway, name) for name in gateway.models.catalogue.names]
        return JSONResponse(answers.done("the models", models=models))

    @routes.post(f"{PREFIX}/verify_model", **documents.menu(documents.Model))
    async def verify_model(request: Request) -> JSONResponse:
        """Whether a model is there, and ready."""
        ask = await asked(request, gateway)
        name = _name(ask.body)
        _description(gateway, name)
        about = _about(gateway, name)
        return JSONResponse(answers.done(about.pop("message"), **about))

    for path in ("load_model", "load_model_v2"):

        @routes.post(f"{PREFIX}/{path}", **documents.menu(documents.LoadModel))
        async def load_model(request: Request) -> JSONResponse:
            """Add a model, or change where one comes from. Needs a key with the right `models`."""
            ask = await asked(request, gateway, Right.MODELS)
            _refuse_without_resources(gateway)
            name = RESOURCE_NAME("model_id", _required(ask.body, "model_id"))
            if name in gateway.config.catalogue:
                raise Refused(409, f"model_id {name!r} is one of the configuration's own models")
            spec, notes = _spec(ask.body, gateway.models.by_name.get(name))
            await gateway.models.put(name, spec)
            more: dict[str, Any] = {"tip": "; ".join(notes)} if notes else {}
            return JSONResponse(answers.done("model load started", model_id=name, **more))

    @routes.post(f"{PREFIX}/delete_model", **documents.menu(documents.Model))
    async def delete_model(request: Request) -> JSONResponse:
        """Remove a model. Needs a key with the right `models`."""
        ask = await asked(request, gateway, Right.MODELS)
        _refuse_without_resources(gateway)
        name = _name(ask.body)
        if name in gateway.config.catalogue:
            raise Refused(409, f"model_id {name!r} is one of the configuration's own models")
        if name not in gateway.models.by_name:
            raise _unknown(gateway, name)
        await gateway.models.delete(name)
        message = "the model goes as soon as no video is made with it"
        return JSONResponse(answers.done(message, model_id=name))


def _description(gateway: Gateway, name: str) -> ModelDescription:
    """Also of a model that is not ready. Raises Refused."""
    found = gateway.models.catalogue.find(name)
    resource = gateway.models.by_name.get(name)
    description = found.profile if found else resource.spec if resource else None
    if description is None:
        raise _unknown(gateway, name)
    return description


def _unknown(gateway: Gateway, name: str) -> Refused:
    names = gateway.models.catalogue.names
    return Refused(404, f"model_id {name!r} is not known; known are {', '.join(names)}")


def _about(gateway: Gateway, name: str) -> dict[str, Any]:
    """What stands in lists of models."""
    waiting = gateway.models.catalogue.not_ready(name)
    resource = gateway.models.by_name.get(name)
    ready = gateway.models.catalogue.find(name)
    model = ready.profile if ready else resource.spec if resource else None
    about: dict[str, Any] = {
        "model_id": name,
        "model_status": "not_ready" if waiting else "ready",
        "message": waiting.why_not if waiting else "the model is ready",
    }
    if model is None:
        return about
    defaults = model.defaults
    return about | {
        "description": model.description,
        "family": model.family.value,
        "max_width": model.limits.max_width,
        "max_height": model.limits.max_height,
        "max_frames": model.limits.max_frames,
        "max_inference_steps": model.limits.max_inference_steps,
        "width": defaults.width,
        "height": defaults.height,
        "num_frames": defaults.num_frames,
        "fps": defaults.fps,
        "num_inference_steps": defaults.num_inference_steps,
        "guidance_scale": defaults.guidance_scale,
        "scheduler": defaults.scheduler.value,
    }


def _verdicts(model: ModelDescription) -> list[dict[str, str]]:
    start = model.all_starts[0]
    found = [(each, verdict(model.family, each, start)) for each in Scheduler]
    return [
        {"scheduler": each.value, "support": said.support.value, "runs": said.scheduler.value}
        for each, said in found
    ]


def _spec(body: Body, before: ObservedModel | None) -> tuple[VideoModelSpec, list[str]]:
    """What the VideoModel is to be, and what its sender should know of it. Raises Refused."""
    _refuse_other_kinds(body)
    old = before.spec.document() if before and before.spec else None
    document = _given_spec(body) or old
    if document is None:
        raise Refused(
            400,
            "spec is required for a model that is not there yet: its family, defaults and limits, "
            "as in a VideoModel's spec (models/catalogue has one for each of many models)",
        )
    notes: list[str] = []
    if not values.is_absent(body.get("url")):
        document["source"], notes = _source(body, document.get("source"))
    if not values.is_absent(body.get("prefetch")):
        fetched = values.switch("prefetch", body["prefetch"])
        document |= {"prefetch": document.get("prefetch") or {} if fetched else None}
    try:
        spec = VideoModelSpec.parse(document, at="spec")
    except ContractError as error:
        raise Refused(400, str(error)) from None
    _refuse_secrets(spec, before.spec if before else None)
    return spec, notes


def _source(body: Body, before: Any) -> tuple[dict[str, str], list[str]]:
    url = body["url"]
    found = HUB.fullmatch(url.strip()) if isinstance(url, str) else None
    if found is None:
        allowed = "it must be a hub's repository: OWNER/NAME, or its https://huggingface.co address"
        raise values.refused("url", url, allowed)
    revision, notes = found["revision"], []
    given = body.get("revision")
    if not values.is_absent(given) and given not in NUMBER_FORMATS:
        revision = values.pattern(r"[\w./-]+", 200, "it must be a commit, tag or branch")(
            "revision", given
        )
    elif not revision and isinstance(before, dict) and before.get("hub") == found["hub"]:
        revision = before.get("revision")
    if not revision:
        revision = "main"
        notes = ["revision is main, a branch that may move; name a commit to make videos again"]
    return {"hub": found["hub"], "revision": revision}, notes


def _given_spec(body: Body) -> dict[str, Any] | None:
    """From an object, or in a form from its JSON. Raises Refused."""
    given = body.get("spec")
    if values.is_absent(given):
        return None
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise values.refused("spec", given, "it must be a JSON object") from None
    if not isinstance(given, dict):
        raise values.refused("spec", given, "it must be an object")
    return dict(given)


def _refuse_secrets(spec: VideoModelSpec, old: VideoModelSpec | None) -> None:
    """What opens more than the key does is for whoever has rights in the cluster."""
    for name, source in (("source", spec.source), ("motionAdapter", spec.motion_adapter)):
        if source and source.path is not None:
            text = f"spec.{name}.path is not taken from here; give a hub's repository"
            raise Refused(400, text)
    if spec.token_secret_ref and not (old and _fetched(spec) == _fetched(old)):
        raise Refused(
            400,
            "spec.tokenSecretRef is not taken from here, and goes with no other source and "
            "motionAdapter than before: apply the VideoModel with kubectl",
        )


def _fetched(spec: VideoModelSpec) -> tuple[object, ...]:
    """With which token, and all that it fetches."""
    return spec.token_secret_ref, spec.source, spec.motion_adapter


def _refuse_other_kinds(body: Body) -> None:
    for name in ("model_type", "model_category", "model_format"):
        if str(body.get(name)).lower() in OF_OTHER_KINDS:
            raise values.refused(name, body[name], "only whole models in diffusers' layout load")


def _refuse_without_resources(gateway: Gateway) -> None:
    if not gateway.config.video_models:
        raise Refused(404, "models are not added or removed here: this installation has no others")


def _name(body: Body) -> str:
    name: str = model_name("model_id", _required(body, "model_id"))
    return name


def _required(body: Body, name: str) -> Any:
    if values.is_absent(body.get(name)):
        raise Refused(400, f"{name} is required; it was not given, or is empty")
    return body[name]
