from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from slmlab.errors import BadRequest
from slmlab.pictures import MOST_BYTES, Picture, as_picture, as_pictures


def image(width=6, height=4, colour=(200, 30, 30)) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def file_of(kind: str, **options) -> bytes:
    buffer = BytesIO()
    image(**options).save(buffer, kind)
    return buffer.getvalue()


def noise(side: int) -> Image.Image:
    """An image that no file format makes small."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_file_keeps_its_own_bytes(kind, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(file_of(kind))
    picture = as_picture(path)
    assert (picture.data, picture.kind) == (path.read_bytes(), kind.lower())
    assert (picture.width, picture.height) == (6, 4)
    assert as_picture(str(path)) == picture == as_picture(path.read_bytes())


def test_an_image_and_an_array_become_a_file_of_the_same_pixels():
    for source in (image(), np.asarray(image())):
        picture = as_picture(source)
        assert np.array_equal(np.asarray(Image.open(BytesIO(picture.data))), np.asarray(image()))


def test_a_picture_stays_itself():
    picture = as_picture(image())
    assert as_picture(picture) is picture


def test_a_figure_is_drawn():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=50)
    assert (as_picture(figure).width, as_picture(figure).height) == (100, 50)


@pytest.mark.parametrize("many", [[image(), image()], (image(),), np.asarray(image()), file_of("PNG"), image()])
def test_one_or_several_are_taken(many):
    pictures = as_pictures(many)
    assert len(pictures) == (len(many) if isinstance(many, list | tuple) else 1)
    assert all(isinstance(one, Picture) for one in pictures)


def test_the_url_holds_the_bytes():
    picture = as_picture(image())
    head, _, data = picture.data_url.partition(",")
    assert head == "data:image/png;base64" and b64decode(data) == picture.data


def test_a_picture_is_made_smaller_until_it_fits():
    large = as_picture(noise(400))
    small = large.within(20_000)
    assert len(large.base64) > 20_000 > len(small.base64)
    assert small.width == small.height < 400
    assert large.within(10_000_000) is large


def test_a_limit_that_no_picture_meets_is_refused():
    with pytest.raises(BadRequest, match="50 characters"):
        as_picture(noise(400)).within(50)


def test_bytes_do_not_flood_a_repr():
    assert len(repr(as_picture(noise(400)))) < 100


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("https://example.org/cat.png", "save it to a file"),
        ("data:image/png;base64,AAAA", "save it to a file"),
        ("no/such/file.png", "can't be read"),
        (b"no picture", "no picture that can be read"),
        (as_picture(noise(40)).data[:2000], "damaged"),
        (file_of("BMP"), "is BMP. Known"),
        (b"x" * (MOST_BYTES + 1), "at most"),
        (np.zeros((2, 2, 7), np.uint8), "no picture"),
        (7, "not int"),
        (None, "not NoneType"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_picture_is_refused_with_a_reason(source, words):
    with pytest.raises(BadRequest, match=words):
        as_picture(source)
