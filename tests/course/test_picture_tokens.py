"""image_tokens: the bill for a picture, against published figures and the arithmetic of the real image processors."""

from random import Random

import pytest

from course.picture_tokens import image_tokens
from slmlab.errors import BadRequest, UnknownName

PHI = ("phi-3-vision", "phi-3.5-vision", "phi-4-multimodal")


def sizes(number: int) -> list[tuple[int, int, int]]:
    """Widths, heights and crops from a seed: photographs, screens, strips."""
    chance = Random(4)
    return [(chance.randint(40, 5000), chance.randint(40, 5000), chance.choice((1, 4, 9, 16))) for _ in range(number)]


@pytest.mark.parametrize(
    ("model", "width", "height", "crops", "grid", "tokens"),
    [
        ("phi-3.5-vision", 1280, 720, 4, (2, 2), 757),
        ("phi-3.5-vision", 1344, 1008, 12, (3, 4), 1921),
        ("phi-3.5-vision", 1344, 1008, 16, (3, 4), 1921),
        ("phi-3-vision", 1000, 1000, 16, (4, 4), 2509),
        ("phi-3.5-vision", 1280, 720, 1, (1, 1), 313),
        ("phi-3.5-vision", 2400, 1080, 4, (1, 2), 457),
        ("phi-4-multimodal", 448, 448, None, (1, 1), 545),
        # the rest: what Transformers' Phi4MultimodalImageProcessor 5.23 counts on its own mask
        ("phi-4-multimodal", 640, 480, None, (2, 2), 1065),
        ("phi-4-multimodal", 1280, 720, None, (2, 3), 1596),
        ("phi-4-multimodal", 3000, 4000, None, (4, 3), 3409),
        ("phi-4-multimodal", 5000, 500, None, (2, 12), 4133),
        ("phi-4-multimodal", 800, 1600, 4, (2, 1), 817),
        ("tiny-vlm", 1280, 720, None, (1, 1), 144),
    ],
)
def test_the_bill_is_the_published_one(model, width, height, crops, grid, tokens):
    bill = image_tokens(model, width, height, crops)
    assert ((bill.rows, bill.columns), bill.tokens) == (grid, tokens)


def test_a_video_costs_as_many_pictures_as_it_has_frames():
    frame = image_tokens("phi-3.5-vision", 1280, 720, crops=4)
    assert frame.frames(21) == 15_897 and frame.frames(1) == frame.tokens and frame.frames(0) == 0


@pytest.mark.parametrize(
    ("model", "crops"), [("phi-3-vision", 16), ("phi-3.5-vision", 4), ("phi-4-multimodal", 36), ("tiny-vlm", 1)]
)
def test_without_crops_a_model_takes_its_own(model, crops):
    assert image_tokens(model, 1600, 1200) == image_tokens(model, 1600, 1200, crops)


@pytest.mark.parametrize("model", PHI)
def test_the_sum_adds_up_to_the_tokens(model):
    for size in sizes(60):
        bill = image_tokens(model, *size)
        assert eval(bill.sum.replace("x", "*")) == bill.tokens, bill


@pytest.mark.parametrize("model", PHI)
def test_no_grid_has_more_crops_than_are_allowed(model):
    for width, height, crops in sizes(60):
        bill = image_tokens(model, width, height, crops)
        assert 1 <= bill.rows * bill.columns <= crops, bill


@pytest.mark.parametrize("model", PHI[:2])
def test_a_picture_on_its_side_swaps_rows_and_columns(model):
    for width, height, crops in sizes(60):
        one, other = image_tokens(model, width, height, crops), image_tokens(model, height, width, crops)
        assert (one.rows, one.columns) == (other.columns, other.rows)
        assert one.tokens - other.tokens == 12 * (one.rows - other.rows), "each row of crops has 12 line ends"


@pytest.mark.parametrize("model", PHI[:2])
def test_only_the_shape_counts_where_a_picture_is_scaled_to_its_crops(model):
    assert image_tokens(model, 300, 200).tokens == image_tokens(model, 3000, 2000).tokens


def test_a_bill_says_the_grid_and_the_sum():
    assert str(image_tokens("phi-3.5-vision", 1280, 720)) == (
        "phi-3.5-vision: 1280 x 720 pixels, 2 x 2 crops: 757 tokens = (2 x 2 + 1) x 144 + 1 + (2 + 1) x 12"
    )
    assert "no crops: 144 tokens = 12 x 12 patches" in str(image_tokens("tiny-vlm", 90, 90))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", 100_001])
@pytest.mark.parametrize("name", ["width", "height", "crops"])
def test_only_a_whole_number_of_one_or_more_is_taken(name, value):
    with pytest.raises(BadRequest, match=f"{name}={value!r}: a whole number, 1 to 100,000"):
        image_tokens("phi-3.5-vision", **({"width": 640, "height": 480, "crops": 4} | {name: value}))


def test_an_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match=r"'phi-3\.5-visoin'.*Available: phi-3\.5-vision"):
        image_tokens("phi-3.5-visoin", 640, 480)


def test_crops_are_refused_where_nothing_is_cropped():
    assert image_tokens("tiny-vlm", 640, 480, 1).tokens == 144
    with pytest.raises(BadRequest, match="never crops: leave crops out"):
        image_tokens("tiny-vlm", 640, 480, 4)


@pytest.mark.parametrize("size", [(9000, 1), (1, 9000)])
@pytest.mark.parametrize("model", PHI)
def test_a_thread_that_the_processor_refuses_has_no_bill(model, size):
    with pytest.raises(BadRequest, match=f"too long and thin for {model}"):
        image_tokens(model, *size)
