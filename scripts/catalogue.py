"""Write the table of models/catalogue/README.md: python scripts/catalogue.py"""

import re
from pathlib import Path

import yaml
from t2v_api.memory import CUDA_CONTEXT, GIB, NoPlanFits, choose
from t2v_api.profile import ModelProfile
from t2v_api.request import GenerationRequest
from t2v_api.video_model import VideoModelSpec

README = Path(__file__).parents[1] / "models" / "catalogue" / "README.md"
TABLE = re.compile(r"\| model \|.*?(?=\n\n)", re.DOTALL)
HEAD = "| model | family | licence | download | 24 GiB | 80 GiB |\n|---|---|---|---|---|---|"
HOST = 128 * GIB


def with_table(readme: str) -> str:
    """The text with a row for each manifest, by their names."""
    rows = map(_row, sorted(README.parent.glob("*.yaml"), key=lambda file: file.stem))
    return TABLE.sub("\n".join((HEAD, *rows)), readme)


def _row(file: Path) -> str:
    text = file.read_text()
    model = VideoModelSpec.parse(yaml.safe_load(text)["spec"]).profile(file.stem)
    said = dict(re.findall(r"^# (Licence|Download): ([^:;,\n]+)", text, re.MULTILINE))
    name = f"[{file.stem}]({file.name})"
    plans = (_plan(model, 24), _plan(model, 80))
    return f"| {' | '.join((name, model.family, said['Licence'], said['Download'], *plans))} |"


def _plan(model: ModelProfile, gib: int) -> str:
    if model.sizes is None:
        return "not known"
    values = model.defaults.model_dump(exclude={"guidance_scale_2"})
    request = GenerationRequest(model_id=model.id, prompt="a red circle", seed=1, **values)
    memory = (gib * GIB - CUDA_CONTEXT, HOST)
    try:
        return str(choose(model.sizes, request, *memory, model.plans, model.grid).plan)
    except NoPlanFits:
        return "none"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
