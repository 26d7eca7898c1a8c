"""image_tokens: the bill for a picture, against published figures and the arithmetic of the real image processors."""

from random import Random

from course.picture_tokens import image_tokens

PHI = ("phi-3-vision", "phi-3.5-vision", "phi-4-multimodal")


def sizes(number: int) -> list[tuple[int, int, int]]:
    """Widths, heights and crops from a seed: photographs, screens, strips."""
    chance = Random(4)
    return [(chance.randint(40, 5000), chance.randint(40, 5000), chance.choice((1, 4, 9, 16))) for _ in range(number)]


def test_the_bill_is_the_published_one():
    bills = [
        ("phi-3.5-vision", 1280, 720, 4, (2, 2), 757),
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
    ]
    for model, width, height, crops, grid, tokens in bills:
        bill = image_tokens(model, width, height, crops)
        assert ((bill.rows, bill.columns), bill.tokens) == (grid, tokens), bill


def test_the_sum_adds_up_and_no_grid_has_more_crops_than_are_allowed():
    for model in PHI:
        for width, height, crops in sizes(60):
            bill = image_tokens(model, width, height, crops)
            assert eval(bill.sum.replace("x", "*")) == bill.tokens, bill
            assert 1 <= bill.rows * bill.columns <= crops, bill
