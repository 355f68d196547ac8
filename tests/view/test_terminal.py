import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import retia as rt
from retia.view.terminal import RAMP, gallery, has_shades, picture


class Screen(io.TextIOWrapper):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def screen(encoding: str) -> Screen:
    return Screen(io.BytesIO(), encoding=encoding)


def test_black_and_white_are_the_ends_of_the_ramp() -> None:
    rows = picture(np.array([[0, 255]] * 2, np.uint8), width=2, shaded=False).splitlines()
    assert rows == [RAMP[0] + RAMP[-1]]


def test_floats_pillow_images_and_arrays_with_a_channel_give_the_same_picture() -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    texts = [
        picture(form, width=8, shaded=True)
        for form in (pixels, pixels / 255.0, pixels[None], Image.fromarray(pixels))
    ]
    assert len(set(texts)) == 1


def test_shades_follow_the_pixels_two_to_a_character() -> None:
    text = picture(np.array([[0, 255], [255, 0]], np.uint8), width=2, shaded=True)
    assert re.findall(r"38;5;(\d+);48;5;(\d+)m▀", text) == [("232", "255"), ("255", "232")]
    assert text.endswith("\x1b[0m")


@given(height=st.integers(1, 40), wide=st.integers(1, 40), width=st.integers(2, 30), shaded=st.booleans())
def test_a_picture_is_as_wide_as_asked_and_keeps_its_proportions(
    height: int, wide: int, width: int, shaded: bool
) -> None:
    lines = picture(np.full((height, wide), 255, np.uint8), width=width, shaded=shaded).splitlines()
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert {len(line) for line in plain} == {width}
    assert abs(2 * len(lines) - width * height / wide) <= 2


def test_pictures_stand_side_by_side_above_their_captions() -> None:
    white = np.full((4, 4), 255, np.uint8)
    lines = gallery([white] * 3, ["a", "b", "c"], columns=18, width=8).splitlines()
    assert lines[4] == "a         b"
    assert lines[0] == "@@@@@@@@  @@@@@@@@"
    assert lines[-1] == "c"


def test_shades_need_a_terminal_with_utf8_and_nobody_who_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert has_shades(screen("utf-8"))
    assert not has_shades(screen("ascii"))
    assert not has_shades(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_shades(screen("utf-8"))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3)), np.zeros((0, 4)), 3.0])
def test_what_is_not_one_gray_picture_is_refused(wrong: object) -> None:
    with pytest.raises(rt.ArgumentError, match=r"a gray picture has shape \(h, w\) or \(1, h, w\)"):
        picture(wrong)
