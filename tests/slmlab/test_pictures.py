import struct
import warnings
import zlib
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from slmlab.errors import BadRequest
from slmlab.pictures import MOST_BYTES, as_picture

WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)


def image(width=6, height=4, colour=(200, 30, 30)) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def file_of(kind: str, **options) -> bytes:
    buffer = BytesIO()
    image(**options).save(buffer, kind)
    return buffer.getvalue()


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def photograph(orientation: int, kind: str = "JPEG") -> bytes:
    """32 x 16 pixels, red at the left and blue at the right, and a note which way a camera was held."""
    picture, note = image(32, 16, RED), Image.Exif()
    picture.paste(BLUE, (16, 0, 32, 16))
    note[0x0112] = orientation
    return saved(picture, kind, exif=note, quality=95)


def empty_png(width: int, height: int) -> bytes:
    """A whole and valid PNG file of black pixels, a thousandth of their size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + (width + 7) // 8)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


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


@pytest.mark.parametrize(
    ("orientation", "size", "red", "blue"),
    [
        (1, (32, 16), (2, 8), (29, 8)), (2, (32, 16), (29, 8), (2, 8)), (3, (32, 16), (29, 8), (2, 8)),
        (6, (16, 32), (8, 2), (8, 29)), (8, (16, 32), (8, 29), (8, 2)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("opened", [False, True])
def test_a_photograph_stands_upright_for_a_model(orientation, size, red, blue, opened):
    data = photograph(orientation)
    seen = as_picture(Image.open(BytesIO(data)) if opened else data).image
    assert (seen.size, seen.mode) == (size, "RGB")
    assert np.allclose(seen.getpixel(red), RED, atol=6) and np.allclose(seen.getpixel(blue), BLUE, atol=6)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_kinds_of_file_carry_the_note_too(kind):
    assert as_picture(photograph(6, kind)).image.size == (16, 32)


def test_a_photograph_made_smaller_stands_upright_too():
    smaller = as_picture(photograph(6)).within(900)
    assert smaller.height == 2 * smaller.width and smaller.image.size == (smaller.width, smaller.height)


def test_a_damaged_note_leaves_a_picture_as_it_lies():
    broken = saved(image(), "WEBP", exif=b"Exif\0\0MMo*\0\0\0\x08")
    assert as_picture(broken).image.size == (6, 4)


@pytest.mark.parametrize(
    ("mode", "ink", "colour"),
    [
        ("1", 1, WHITE), ("L", 90, (90, 90, 90)), ("LA", (90, 255), (90, 90, 90)), ("LA", (90, 0), WHITE),
        ("RGB", RED, RED), ("RGBA", (*RED, 255), RED), ("RGBA", (*RED, 0), WHITE),
        ("RGBA", (*RED, 51), (255, 204, 204)), ("CMYK", (0, 255, 255, 0), RED), ("HSV", (0, 255, 255), RED),
        ("PA", (0, 0), WHITE), ("RGBa", (0, 0, 0, 0), WHITE),
    ],
)  # fmt: skip
def test_every_kind_of_pixel_becomes_a_colour_on_white(mode, ink, colour):
    picture = as_picture(Image.new(mode, (5, 3), ink))
    assert (picture.kind, picture.width, picture.height) == ("png", 5, 3)
    assert picture.image.mode == "RGB" and picture.image.getpixel((4, 2)) == colour


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_a_transparent_file_stands_on_white(kind):
    clear = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
    clear.putpixel((5, 3), (*BLUE, 255))
    seen = as_picture(saved(clear, kind, **({"lossless": True} if kind == "WEBP" else {}))).image
    assert seen.getpixel((0, 0)) == WHITE and seen.getpixel((5, 3)) == BLUE


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_may_name_the_colour_that_is_not_there(kind):
    painted = Image.new("P", (6, 4), 1)
    painted.putpalette([*RED, *BLUE])
    painted.putpixel((0, 0), 0)
    whole, first, second = ({}, RED, BLUE), ({"transparency": 0}, WHITE, BLUE), ({"transparency": 1}, RED, WHITE)
    for options, one, others in (whole, first, second):
        data = saved(painted, kind, **options)
        for source in (data, Image.open(BytesIO(data))):
            assert set(as_picture(source).image.getcolors()) == {(1, one), (23, others)}


def test_of_an_animation_a_model_sees_the_first_frame():
    moving = saved(image(colour=RED), "GIF", save_all=True, append_images=[image(colour=BLUE)])
    assert as_picture(moving).data == moving and as_picture(moving).image.getpixel((3, 2)) == RED


@pytest.mark.parametrize(
    ("array", "colour"),
    [
        (np.full((4, 6), True), WHITE),
        (np.full((4, 6), 90, np.uint8), (90, 90, 90)),
        (np.full((4, 6, 2), (90, 0), np.uint8), WHITE),
        (np.full((4, 6, 3), RED, np.uint8), RED),
        (np.full((4, 6, 4), (*RED, 0), np.uint8), WHITE),
        (np.full((8, 12, 3), RED, np.uint8)[::-2, ::2], RED),
        (np.full((3, 4, 6), 90, np.uint8).transpose(1, 2, 0), (90, 90, 90)),
    ],
    ids=lambda value: f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else None,
)
def test_an_array_of_grey_or_colour_is_a_picture(array, colour):
    seen = as_picture(array).image
    assert seen.size == (6, 4) and seen.getpixel((5, 3)) == colour


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
        (np.zeros((2, 2, 1), np.uint8), "no picture"),
        (np.zeros((2, 2, 3)), "bytes of 0 to 255, height x width x 3"),
        (np.zeros((2, 2, 3), int), "bytes of 0 to 255"),
        (np.zeros((2, 2), complex), "bytes of 0 to 255"),
        (np.array([["red"]]), "bytes of 0 to 255"),
        (np.zeros((2, 2), np.float32), "mode F, whose white is anyone's guess. Scale them"),
        (np.zeros((2, 2), np.uint16), "mode I;16"),
        (np.zeros((0, 0, 3), np.uint8), "0 x 0 pixels: there is nothing to see"),
        (np.zeros((4, 0, 3), np.uint8), "0 x 4 pixels"),
        (np.zeros(7, np.uint8), r"its shape is \(7,\)"),
        (np.zeros((1, 2, 2, 2, 3), np.uint8), r"its shape is \(1, 2, 2, 2, 3\)"),
        (np.uint8(7), r"its shape is \(\)"),
        (Image.new("I;16", (2, 2)), "mode I;16"),
        (Image.new("I", (2, 2)), "mode I,"),
        (Image.new("F", (2, 2)), "mode F"),
        (Image.new("RGB", (0, 2)), "0 x 2 pixels"),
        (Image.open(BytesIO(saved(noise(40), "PNG")[:2000])), "damaged"),
        (photograph(6)[:-40], "damaged"),
        (b"", "no picture that can be read"),
        ("\0.png", "can't be read"),
        (".", "can't be read"),
        (7, "not int"),
        (None, "not NoneType"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_picture_is_refused_with_a_reason(source, words):
    with pytest.raises(BadRequest, match=words):
        as_picture(source)


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (12_000, 10_000), (10_000, 5_001)])
def test_a_small_file_of_an_enormous_picture_is_refused_without_a_warning(width, height, tmp_path):
    """Above twice Pillow's own limit, above that limit, and above the course's."""
    path = tmp_path / "small.png"
    path.write_bytes(empty_png(width, height))
    assert path.stat().st_size < 60_000
    for source in (path, path.read_bytes()):
        with warnings.catch_warnings(), pytest.raises(BadRequest, match="at most 50,000,000 (pixels )?are taken"):
            warnings.simplefilter("error")
            as_picture(source)


def test_a_picture_just_within_the_limit_is_taken():
    assert as_picture(empty_png(10_000, 5_000)).width == 10_000


@pytest.mark.parametrize(
    "make", [lambda: Image.new("1", (10_000, 5_001)), lambda: np.broadcast_to(np.uint8(7), (5_001, 10_000))]
)
def test_pixels_in_memory_have_the_same_limit(make):
    with pytest.raises(BadRequest, match="10,000 x 5,001 pixels; at most 50,000,000"):
        as_picture(make())


def test_a_file_cut_anywhere_is_read_or_refused():
    for whole in (photograph(6), photograph(6, "PNG"), photograph(6, "WEBP"), file_of("GIF")):
        for end in range(0, len(whole), 5):
            try:
                assert as_picture(whole[:end]).image.mode == "RGB"
            except BadRequest:
                continue


def test_a_deep_grey_file_keeps_its_greys():
    levels = np.array([[0, 128 << 8, 255 << 8]], dtype=np.uint16)
    buffer = BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    assert [pixel[0] for pixel in np.asarray(as_picture(buffer.getvalue()).image)[0]] == [0, 128, 255]
