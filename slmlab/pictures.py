"""Pictures from whatever a reader has, one or several; of an animation or a video, a few frames.

Knows nothing about models: no model of this course sees motion, only frames.
"""

import os
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from slmlab.errors import BadRequest, NotHere, SlmLabError

KINDS = {"PNG": "png", "JPEG": "jpeg", "GIF": "gif", "WEBP": "webp"}
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")
FRAMES = 4  # as many as the bundled model was trained on


@dataclass(frozen=True)
class Picture:
    """One picture: the bytes of its file, 'png', 'jpeg', 'gif' or 'webp', and its size in pixels."""

    data: bytes = field(repr=False)
    kind: str
    width: int
    height: int

    @property
    def base64(self) -> str:
        return b64encode(self.data).decode("ascii")

    @property
    def data_url(self) -> str:
        """The picture inside a URL, as the messages of OpenAI's protocol carry it."""
        return f"data:image/{self.kind};base64,{self.base64}"

    @property
    def image(self):
        """The picture as a PIL image that any model can take. Of an animated one, the first frame."""
        from PIL import Image

        return upright(Image.open(BytesIO(self.data)))

    def within(self, characters: int) -> "Picture":
        """The picture, made smaller until its base64 has fewer characters than that."""
        smaller, side = self, max(self.width, self.height)
        while len(smaller.base64) >= characters:
            side = int(side * 0.8)
            if side < 16:
                raise BadRequest(f"No picture worth looking at fits into {characters:,} characters.")
            image = self.image
            image.thumbnail((side, side))
            smaller = _encoded(image, "JPEG")
        return smaller

    def _repr_png_(self) -> bytes | None:
        return self.data if self.kind == "png" else None

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.kind == "jpeg" else None


def as_picture(source) -> Picture:
    """A picture from a path, the bytes of a file, a PIL image, an array of pixels or a figure of matplotlib."""
    from PIL import Image

    if isinstance(source, Picture):
        return source
    if isinstance(source, str | Path | bytes | bytearray):
        return _of_file(*_read(source))
    if isinstance(source, Image.Image):
        with _one_line("The picture"):
            return _encoded(upright(source), "PNG")
    if hasattr(source, "savefig"):
        buffer = BytesIO()
        source.savefig(buffer, format="png")
        return _of_file("The figure", buffer.getvalue())
    if hasattr(source, "__array_interface__"):
        return _of_array(source)
    raise BadRequest(f"A picture is a path, bytes, a PIL image, an array or a figure, not {type(source).__name__}.")


def as_pictures(sources) -> tuple[Picture, ...]:
    """Pictures from one source or several. A moving one becomes a few of its frames, and one line says which."""
    one = isinstance(sources, str | Path | bytes | bytearray | Picture) or not isinstance(sources, Iterable)
    if one or getattr(sources, "ndim", 4) < 4:  # an array of four dimensions is a row of frames
        sources = [sources]
    return tuple(picture for source in sources for picture in _frames(source) or [as_picture(source)])


def upright(image):
    """An image turned as its EXIF note says, in red, green and blue, on white where it is transparent."""
    import numpy as np
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # the grey levels of a deep PNG: Pillow would make white of nearly all 65,536
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


def _encoded(image, kind: str) -> Picture:
    buffer = BytesIO()
    image.save(buffer, kind)
    return Picture(buffer.getvalue(), KINDS[kind], image.width, image.height)


def _read(source) -> tuple[str, bytes]:
    """A file's name and bytes."""
    if isinstance(source, bytes | bytearray):
        return "The picture", bytes(source)
    path = _path(source)
    return path.name, path.read_bytes()


def _path(source) -> Path:
    if str(source).startswith(("http://", "https://", "data:")):
        raise BadRequest("A picture comes from this machine: save it to a file and give its path.")
    path = Path(source).expanduser()
    if not path.is_file():
        raise BadRequest(f"The picture {path} can't be read: No such file or directory.")
    return path


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Whatever Pillow raises over a file (it is of a dozen types), in one line; enormous pictures it refuses itself."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except SlmLabError:
        raise
    except UnidentifiedImageError as fault:
        raise BadRequest(f"{name} is no picture that can be read. Known: {', '.join(KINDS)}.") from fault
    except Exception as fault:
        raise BadRequest(f"{name} is damaged, or no picture: {fault}.") from fault


def _of_file(name: str, data: bytes) -> Picture:
    """The picture as it is, once it has been read to its last line."""
    from PIL import Image

    with _one_line(name), Image.open(BytesIO(data)) as image:
        if image.format not in KINDS:
            raise BadRequest(f"{name} is {image.format}. Known: {', '.join(KINDS)}.")
        upright(image)
        return Picture(data, KINDS[image.format], image.width, image.height)


def _of_array(array) -> Picture:
    from PIL import Image

    try:
        if array.dtype.itemsize > 1:  # Pillow takes some, and makes black or white of them
            raise TypeError(f"its numbers are {array.dtype}")
        return _encoded(upright(Image.fromarray(array)), "PNG")
    except (TypeError, ValueError, OSError) as fault:
        advice = "Give bytes of 0 to 255, height x width x 3."
        raise BadRequest(f"This array is no picture: {fault}. {advice}") from fault


def _frames(source) -> list[Picture]:
    """Some frames of what moves, evenly from the first to the last, and a line that says which; of a still, none."""
    if not isinstance(source, str | Path | bytes | bytearray):
        return []
    if str(source).lower().endswith(VIDEOS):
        name, (total, images) = _path(source).name, _of_video(_path(source))
    else:
        name, data = _read(source)
        with _one_line(name):
            total, images = _of_animation(data)
    if images:
        shown = ", ".join(str(place + 1) for place in _spread(total))
        print(f"{name}: {len(images)} of {total} frames ({shown}) are shown to the model.")
    return [_encoded(upright(image), "PNG") for image in images]


def _spread(total: int) -> list[int]:
    count = min(FRAMES, total)
    return [round(place * (total - 1) / max(count - 1, 1)) for place in range(count)]


def _of_animation(data: bytes) -> tuple[int, list]:
    """How many frames a file has, and those that are shown, if it moves."""
    from PIL import Image, ImageSequence

    with Image.open(BytesIO(data)) as image:
        total = getattr(image, "n_frames", 1)
        places = _spread(total) if total > 1 and image.format in KINDS else []
        return total, [frame.copy() for place, frame in enumerate(ImageSequence.Iterator(image)) if place in places]


def _of_video(path: Path) -> tuple[int, list]:
    """How many frames a video has, and those that are shown."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a fault is said once, and not by FFmpeg
    try:
        import cv2
    except ImportError as fault:
        raise NotHere("A video is read with OpenCV, which is missing: pip install opencv-python-headless") from fault
    from PIL import Image

    video, total, found = cv2.VideoCapture(str(path)), 0, []
    while video.grab():  # counted, because its own header may be wrong
        total += 1
    video = cv2.VideoCapture(str(path))
    places = _spread(total)
    for place in range(total):
        video.grab()
        pixels = video.retrieve()[1] if place in places else None
        if pixels is not None:  # None: a frame that was counted and can't be decoded
            found.append(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))
    if not found or len(found) < len(places):
        raise BadRequest(f"{path.name} is damaged, or of a kind that OpenCV can't read: frames are missing.")
    return total, found
