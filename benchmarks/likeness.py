"""How alike two videos are: PSNR and SSIM, as they are usually computed."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]
    Floats = NDArray[np.float64]

LUMA = (0.299, 0.587, 0.114)
SIGMA, TRUNCATE = 1.5, 3.5
"""A window of 11 pixels, as in Wang et al. 2004."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(one: "Frames", other: "Frames") -> float:
    """Decibels over all frames and channels; infinite for the same video."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(one: "Frames", other: "Frames") -> float:
    """The mean over the frames' luma: 1 for the same video."""
    return float(
        np.mean([_of_a_frame(a @ LUMA, b @ LUMA) for a, b in zip(one, other, strict=True)])
    )


def _of_a_frame(one: "Floats", other: "Floats") -> float:
    mean, other_mean = _blurred(one), _blurred(other)
    variance = _blurred(one**2) - mean**2
    other_variance = _blurred(other**2) - other_mean**2
    covariance = _blurred(one * other) - mean * other_mean
    similarity = ((2 * mean * other_mean + C1) * (2 * covariance + C2)) / (
        (mean**2 + other_mean**2 + C1) * (variance + other_variance + C2)
    )
    return float(similarity.mean())


def _blurred(picture: "Floats") -> "Floats":
    blurred: Floats = gaussian_filter(picture, SIGMA, truncate=TRUNCATE)
    return blurred
