"""The noise that a model sees in its input, whether it predicts ε or v.

Knows nothing about steps. Source of v: Salimans and Ho, "Progressive distillation", section 2.4.
"""

import torch


def noise_seen(
    model_output: torch.Tensor,
    model_input: torch.Tensor,
    alpha: torch.Tensor,
    sigma: torch.Tensor,
    prediction_type: str,
) -> torch.Tensor:
    """ε of `model_input` = alpha · x₀ + sigma · ε, where alpha² + sigma² = 1."""
    match prediction_type:
        case "epsilon":
            return model_output
        case "v_prediction":
            return alpha * model_output + sigma * model_input
    raise ValueError(f"prediction_type {prediction_type!r} is neither epsilon nor v_prediction")


def velocity_seen(
    model_output: torch.Tensor,
    model_input: torch.Tensor,
    alpha: torch.Tensor,
    sigma: torch.Tensor,
    prediction_type: str,
) -> torch.Tensor:
    """v of the same input. Not to be confused with the velocity of flow matching."""
    if prediction_type == "v_prediction":
        return model_output
    noise = noise_seen(model_output, model_input, alpha, sigma, prediction_type)
    return (noise - sigma * model_input) / alpha
