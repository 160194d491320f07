"""PSNR and SSIM, against values that are known."""

from typing import Any

import numpy as np
import pytest

from benchmarks.likeness import psnr, ssim


def a_video(seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


def test_a_video_is_wholly_like_itself() -> None:
    assert psnr(a_video(), a_video()) == float("inf")
    assert ssim(a_video(), a_video()) == pytest.approx(1)


def test_psnr_is_in_decibels_of_the_whole_range() -> None:
    black = np.zeros((1, 16, 16, 3), np.uint8)
    assert psnr(black, np.full_like(black, 255)) == pytest.approx(0)
    assert psnr(black, np.full_like(black, 1)) == pytest.approx(48.13, abs=0.01)


def test_ssim_of_flat_pictures_is_their_likeness_in_brightness() -> None:
    dark, bright = (np.full((1, 16, 16, 3), value, np.uint8) for value in (50, 100))
    c1 = (0.01 * 255) ** 2
    assert ssim(dark, bright) == pytest.approx((2 * 50 * 100 + c1) / (50**2 + 100**2 + c1))


def test_other_noise_is_not_alike() -> None:
    assert abs(ssim(a_video(), a_video(1))) < 0.1


def test_inverted_is_the_opposite() -> None:
    assert ssim(a_video(), 255 - a_video()) < -0.8
