"""pictures: whatever a reader has becomes a picture; of what moves, each frame is known by its colour."""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slmlab.errors import BadRequest, NotHere
from slmlab.pictures import Picture, as_picture, as_pictures
from tests.tiny_sight import noise

WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)
COLOURS = (RED, (0, 255, 0), BLUE, (255, 255, 0), (255, 0, 255), (0, 255, 255), (250, 250, 250), (0, 0, 0))
MOVING = {"GIF": {"duration": 50}, "WEBP": {"duration": 50, "lossless": True}, "PNG": {"duration": 50}}


def image(colour=RED, width=8, height=6) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def photograph(orientation: int) -> bytes:
    """32 x 16 pixels, red at the left and blue at the right, and a note which way a camera was held."""
    picture, note = image(RED, 32, 16), Image.Exif()
    picture.paste(BLUE, (16, 0, 32, 16))
    note[0x0112] = orientation
    return saved(picture, "JPEG", exif=note, quality=95)


def animation(kind="GIF", frames=8) -> bytes:
    first, *others = [image(colour) for colour in COLOURS[:frames]]
    return saved(first, kind, save_all=True, append_images=others, **MOVING[kind])


def colours(pictures) -> list[tuple[int, ...]]:
    return [one.image.getpixel((one.width // 2, one.height // 2)) for one in pictures]


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """The colours as a video of 64 x 48 pixels."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for colour in COLOURS:
        writer.write(np.full((48, 64, 3), colour[::-1], np.uint8))
    writer.release()
    return path


def test_a_file_keeps_its_own_bytes(tmp_path):
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        path = tmp_path / "picture"
        path.write_bytes(saved(image(), kind))
        picture = as_picture(path)
        assert (picture.data, picture.kind) == (path.read_bytes(), kind.lower())
        assert (picture.width, picture.height) == (8, 6)
        assert as_picture(str(path)) == picture == as_picture(path.read_bytes()) == as_picture(picture)


def test_an_image_an_array_and_a_figure_become_a_file_of_the_same_pixels():
    from matplotlib.figure import Figure

    for source in (image(), np.asarray(image())):
        (picture,) = as_pictures(source)  # one needs no list
        assert np.array_equal(np.asarray(picture.image), np.asarray(image()))
    figure = as_picture(Figure(figsize=(2, 1), dpi=50))
    assert (figure.kind, figure.width, figure.height) == ("png", 100, 50)


def test_a_photograph_stands_upright_for_a_model():
    data = photograph(6)
    for source in (data, Image.open(BytesIO(data))):
        seen = as_picture(source).image
        assert np.allclose(seen.getpixel((8, 2)), RED, atol=6) and np.allclose(seen.getpixel((8, 29)), BLUE, atol=6)
    smaller = as_picture(data).within(900)
    assert smaller.height == 2 * smaller.width, "made smaller, it is turned first"


def test_what_is_transparent_stands_on_white():
    for mode, ink, colour in (("LA", (90, 0), WHITE), ("RGBA", (*RED, 51), (255, 204, 204))):
        assert set(colours([as_picture(Image.new(mode, (5, 3), ink))])) == {colour}, mode
    clear = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
    for kind in ("PNG", "GIF", "WEBP"):
        assert as_picture(saved(clear, kind)).image.getpixel((0, 0)) == WHITE, kind


def test_a_picture_is_made_smaller_until_it_fits():
    large = as_picture(noise(0, 400, 400))
    small = large.within(20_000)
    assert len(large.base64) > 20_000 > len(small.base64)
    assert small.width == small.height < 400 and large.within(10_000_000) is large
    assert len(repr(large)) < 100, "its bytes don't flood a page"


def test_a_video_becomes_four_of_its_frames_among_other_pictures(video, capsys):
    pictures = as_pictures([video, image()])
    assert all(isinstance(one, Picture) for one in pictures) and len(pictures) == 4 + 1
    assert np.allclose(colours(pictures[:4]), [COLOURS[place] for place in (0, 2, 5, 7)], atol=8), "nearly"
    assert capsys.readouterr().out == "clip.mp4: 4 of 8 frames (1, 3, 6, 8) are shown to the model.\n"


def test_without_opencv_a_video_names_the_line_that_installs_it(video, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(NotHere, match="pip install 'slmlab.ocr.'"):
        as_pictures(video)


def test_what_is_no_picture_is_refused_in_one_line():
    for source, words in (
        ("https://example.org/cat.png", "save it to a file"), ("no/such/file.mp4", "can't be read"),
        (__file__, r"test_pictures\.py is damaged, or no picture.*Known: PNG, JPEG, GIF, WEBP"),
        (as_picture(noise(0, 40, 40)).data[:2000], "The picture is damaged"), (saved(image(), "BMP"), "no picture"),
        (np.zeros((2, 2, 3)), "no picture"), ([image(), 7], "not int"),
    ):  # fmt: skip
        with pytest.raises(BadRequest, match=words) as refused:
            as_pictures(source)
        assert "\n" not in str(refused.value) and " at 0x" not in str(refused.value)


def test_an_animation_becomes_four_of_its_frames_and_a_line_says_which(tmp_path, capsys):
    path = tmp_path / "wave.dat"
    for kind in MOVING:
        path.write_bytes(animation(kind))
        assert colours(as_pictures(path)) == [COLOURS[place] for place in (0, 2, 5, 7)]
        path.write_bytes(animation(kind, 3))
        assert colours(as_pictures(path)) == list(COLOURS[:3]), "one of fewer frames gives them all"
    assert capsys.readouterr().out.startswith("wave.dat: 4 of 8 frames (1, 3, 6, 8) are shown to the model.\n")
    assert as_picture(path).image.getpixel((3, 2)) == RED, "as one picture it is its first frame"
    path.write_bytes(animation("GIF")[:-60])
    with pytest.raises(BadRequest, match="wave.dat is damaged"):
        as_pictures(path)
