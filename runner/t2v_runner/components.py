"""The parts of a loaded pipeline, by what they do."""

from typing import Any

from t2v_api.sizes import Role, role_of


def of_role(pipeline: Any, role: Role) -> dict[str, Any]:
    """The models among its components that have this role, by name."""
    return {
        name: part
        for name, part in pipeline.components.items()
        if role_of(name) is role and hasattr(part, "parameters")
    }


def tiled(vae: Any) -> None:
    """Have it work on parts of pictures, and an image VAE on one picture at a time."""
    vae.enable_tiling()
    if hasattr(vae, "enable_slicing"):
        vae.enable_slicing()
