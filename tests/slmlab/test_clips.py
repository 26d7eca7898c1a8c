"""clips: pictures from whatever a reader has, and the frames of what moves, each known by its colour."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slmlab import pictures as clips
from slmlab.errors import BadRequest, NotHere
from slmlab.pictures import Picture, as_pictures, clip, spread

COLOURS = (
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (250, 250, 250), (0, 0, 0),
)  # fmt: skip
MOVING = {"GIF": {"duration": 50}, "WEBP": {"duration": 50, "lossless": True}, "PNG": {"duration": 50}}
VIDEO = {"clip.mp4": "mp4v", "clip.avi": "MJPG"}


def image(colour=COLOURS[0]) -> Image.Image:
    return Image.new("RGB", (8, 6), colour)


def still(kind="PNG") -> bytes:
    buffer = BytesIO()
    image().save(buffer, kind)
    return buffer.getvalue()


def animation(kind="GIF", frames=8) -> bytes:
    first, *others = [image(colour) for colour in COLOURS[:frames]]
    buffer = BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others, **MOVING[kind])
    return buffer.getvalue()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder with the colours as videos of 64 x 48 pixels."""
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path_factory.mktemp("videos")
    for name, code in VIDEO.items():
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter_fourcc(*code), 10, (64, 48))
        for colour in COLOURS:
            writer.write(np.full((48, 64, 3), colour[::-1], np.uint8))
        writer.release()
    return folder


def colours(pictures) -> list[tuple[int, ...]]:
    return [one.image.getpixel((one.width // 2, one.height // 2)) for one in pictures]


@pytest.mark.parametrize(
    ("total", "count", "places"),
    [(8, 4, (0, 2, 5, 7)), (8, 8, tuple(range(8))), (8, 1, (0,)), (1, 4, (0,)), (3, 64, (0, 1, 2)), (100, 2, (0, 99))],
)
def test_frames_are_spread_from_the_first_to_the_last(total, count, places):
    assert spread(total, count) == places


def test_no_frame_is_taken_twice():
    for total in range(1, 70):
        for count in range(2, 65):
            places = spread(total, count)
            assert len(set(places)) == min(total, count) and list(places) == sorted(places)
            assert places[0] == 0 and places[-1] == total - 1


@pytest.mark.parametrize("kind", MOVING)
def test_the_frames_of_an_animation_are_the_right_ones(kind, tmp_path):
    path = tmp_path / "moving.dat"
    path.write_bytes(animation(kind))
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
        found = clip(source)
        assert (found.places, found.total) == ((1, 3, 6, 8), 8)
        assert colours(found) == [COLOURS[place - 1] for place in found.places]
        assert {(one.kind, one.width, one.height) for one in found} == {("png", 8, 6)}


@pytest.mark.parametrize("name", VIDEO)
def test_the_frames_of_a_video_are_the_right_ones(name, videos):
    for source in (videos / name, (videos / name).read_bytes()):
        found = clip(source, frames=5)
        assert (found.places, found.total) == ((1, 3, 5, 6, 8), 8)
        wanted = [COLOURS[place - 1] for place in found.places]
        assert np.allclose(colours(found), wanted, atol=8), "a video keeps its colours nearly"
        assert {(one.width, one.height) for one in found} == {(64, 48)}


def test_a_clip_says_which_frames_it_took(tmp_path):
    path = tmp_path / "wave.gif"
    path.write_bytes(animation())
    assert str(clip(path, frames=3)) == "wave.gif: 3 of 8 frames (1, 5, 8) are shown to the model."
    assert str(clip(animation(), frames=1)) == "The clip: 1 of 8 frames (1) are shown to the model."


def test_a_clip_is_a_row_of_pictures():
    found = clip(animation("GIF", 3), frames=64)
    assert len(found) == 3 and list(found) == list(found.pictures)
    assert all(isinstance(one, Picture) for one in found)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "JPEG"])
def test_a_still_picture_is_a_clip_of_one_frame(kind):
    found = clip(still(kind))
    assert (len(found), found.places, found.total) == (1, (1,), 1)
    assert "1 of 1 frames" in str(found)


def test_frames_that_only_change_a_part_are_whole():
    """A GIF holds what differs from the frame before."""
    first, second = image(), image()
    second.putpixel((0, 0), COLOURS[2])
    buffer = BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=[second])
    later = clip(buffer.getvalue()).pictures[1].image
    assert later.getpixel((0, 0)) == COLOURS[2] and later.getpixel((7, 5)) == COLOURS[0]


@pytest.mark.parametrize("many", [[image(), image()], (image(),), np.asarray(image()), still(), image()])
def test_one_or_several_are_taken(many):
    pictures = as_pictures(many)
    assert len(pictures) == (len(many) if isinstance(many, list | tuple) else 1)
    assert all(isinstance(one, Picture) for one in pictures)


def test_still_pictures_of_every_kind_are_taken_in_order_and_in_silence(tmp_path, capsys):
    path = tmp_path / "still.jpeg"
    path.write_bytes(still("JPEG"))
    row = [path, str(path), still("GIF"), still("WEBP"), image(), np.asarray(image()), as_pictures(image())[0]]
    assert [one.kind for one in as_pictures(row)] == ["jpeg", "jpeg", "gif", "webp", "png", "png", "png"]
    assert as_pictures(one for one in row) == as_pictures(row), "a generator will do"
    assert as_pictures([]) == ()
    assert capsys.readouterr().out == ""


def test_an_array_of_frames_is_taken_frame_by_frame():
    frames = np.stack([np.asarray(image(colour)) for colour in COLOURS])
    assert frames.ndim == 4 and colours(as_pictures(frames)) == list(COLOURS)


@pytest.mark.parametrize("kind", MOVING)
def test_what_moves_becomes_its_frames_and_a_line_says_so(kind, capsys):
    pictures = as_pictures(animation(kind))
    assert colours(pictures) == [COLOURS[place] for place in (0, 2, 5, 7)]
    assert capsys.readouterr().out == "The clip: 4 of 8 frames (1, 3, 6, 8) are shown to the model.\n"


def test_each_clip_among_several_has_its_line(videos, capsys):
    pictures = as_pictures([videos / "clip.mp4", image(), str(videos / "clip.avi"), animation("GIF", 2)])
    assert len(pictures) == 4 + 1 + 4 + 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" are shown")[0] for line in lines] == [
        "clip.mp4: 4 of 8 frames (1, 3, 6, 8)", "clip.avi: 4 of 8 frames (1, 3, 6, 8)", "The clip: 2 of 2 frames (1, 2)"
    ]  # fmt: skip


def test_a_clip_whose_frames_were_chosen_is_taken_as_it_is(capsys):
    chosen = clip(animation(), frames=6)
    assert as_pictures(chosen) == chosen.pictures
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("frames", [0, -1, 65, True, "x", 2.0, None])
def test_a_number_of_frames_that_makes_no_sense_is_refused(frames):
    with pytest.raises(BadRequest, match=f"frames={frames!r}: how many frames to take, 1 to 64"):
        clip(animation(), frames=frames)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("no/such/file.gif", r"The clip no.such.file\.gif can't be read"),
        ("no/such/file.mp4", r"The clip no.such.file\.mp4 can't be read"),
        ("https://example.org/cat.mp4", "save it to a file"),
        ("data:image/gif;base64,AAAA", "save it to a file"),
        ("\0.gif", "can't be read"),
        (b"", "no picture that can be read"),
        (b"no picture", "no picture that can be read"),
        (animation()[:-60], "The clip is damaged"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "no picture that can be read"),  # a telephone's photograph, no video
        (7, "a path or the bytes of a file, not int"),
        (None, "not NoneType"),
        (image(), "not Image"),
    ],
    ids=lambda value: repr(value)[:20] if isinstance(value, str | bytes) else type(value).__name__,
)
def test_what_is_no_clip_is_refused_with_a_reason(source, words):
    with pytest.raises(BadRequest, match=words):
        clip(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("no/such/file.mp4", "can't be read"), ("https://example.org/cat.mp4", "save it to a file"),
        ("https://example.org/cat.png", "save it to a file"), (b"", "no picture that can be read"),
        ([image(), 7], "not int"), (None, "not NoneType"), (np.zeros((2, 4, 4, 7), np.uint8), "no picture"),
    ],
)  # fmt: skip
def test_one_bad_source_refuses_them_all(source, words):
    with pytest.raises(BadRequest, match=words):
        as_pictures(source)


@pytest.mark.parametrize("kind", MOVING)
def test_a_file_that_ends_early_is_read_as_far_as_it_goes_or_refused(kind):
    whole, refused = animation(kind), 0
    for end in range(0, len(whole), 7):
        try:
            found = clip(whole[:end], frames=8)
            assert colours(found) == list(COLOURS[: found.total])
        except BadRequest:
            refused += 1
    assert refused > len(whole) / 14, "most of such files are damaged"


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_video_that_lost_its_end_is_refused(part, videos):
    data = (videos / "clip.mp4").read_bytes()
    with pytest.raises(BadRequest, match="damaged, or of a kind that OpenCV can't read: it has no frame"):
        clip(data[: int(len(data) * part)])


@pytest.mark.parametrize("content", ["", "This is no video. " * 100])
def test_a_text_with_the_name_of_a_video_is_refused_by_that_name(content, tmp_path):
    pytest.importorskip("cv2")
    path = tmp_path / "notes.mp4"
    path.write_text(content)
    with pytest.raises(BadRequest, match=r"notes\.mp4 is damaged"):
        clip(path)


def test_a_bad_video_is_spoken_of_once(tmp_path):
    """FFmpeg would write its own lines beside the error; what it says is set before its first use, so: a new Python."""
    pytest.importorskip("cv2")
    path = tmp_path / "notes.mp4"
    path.write_text("This is no video. " * 100)
    code = (
        "import sys; from slmlab.pictures import clip; from slmlab.errors import BadRequest\n"
        "try: clip(sys.argv[1])\nexcept BadRequest as fault: print(fault)"
    )
    here = Path(__file__).resolve().parents[2]
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=here, check=True)
    assert told.stdout.startswith("notes.mp4 is damaged") and told.stderr == ""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("film.MOV", b"whatever"),
        ("film", b"\0\0\0\x18ftypisom"),
        ("film", b"RIFF\0\0\0\0AVI LIST"),
        ("film", b"\x1a\x45\xdf\xa3 webm"),
    ],
)
def test_without_opencv_a_video_names_the_line_that_installs_it(name, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(NotHere, match="pip install opencv-python-headless"):
        clip(path)


def test_without_opencv_animations_still_move(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert len(as_pictures(animation("WEBP"))) == 4


def test_a_clip_of_too_many_frames_is_refused(videos, monkeypatch):
    monkeypatch.setattr(clips, "MOST_FRAMES", 7)
    with pytest.raises(BadRequest, match="has 8 frames; at most 7"):
        clip(animation())
    with pytest.raises(BadRequest, match=r"clip\.mp4 has more than 7 frames"):
        clip(videos / "clip.mp4")


def test_a_file_or_a_frame_that_is_too_large_is_refused(videos, monkeypatch):
    monkeypatch.setattr(clips, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(BadRequest, match="frames of more than 3,071 pixels"):
        clip(videos / "clip.avi")
    monkeypatch.setattr(clips, "MOST_BYTES", 10)
    with pytest.raises(BadRequest, match=r"clip\.avi has [\d,]+ bytes; at most 50 are taken"):
        clip(videos / "clip.avi")
