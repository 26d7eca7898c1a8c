"""Pictures from whatever a reader has, one or several; of an animation or a video, a few frames.

Knows nothing about models: no model of this course sees motion, only frames.
"""

import os
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from struct import error as StructError
from warnings import catch_warnings, simplefilter

from slmlab.errors import BadRequest, NotHere

KINDS = {"PNG": "png", "JPEG": "jpeg", "GIF": "gif", "WEBP": "webp"}
MOST_BYTES = 20_000_000
MOST_PIXELS = 50_000_000
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, StructError)  # what Pillow raises over broken bytes


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
        """The picture as a PIL image that any model can take: upright, red, green and blue, on white where it is
        transparent. Of an animated one, the first frame."""
        from PIL import Image

        return upright(_turned(Image.open(BytesIO(self.data))))

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
    if isinstance(source, Picture):
        return source
    if isinstance(source, str | Path):
        name, data = read_file(source, "picture", MOST_BYTES)
        return _from_bytes(data, name)
    if isinstance(source, bytes | bytearray):
        return _from_bytes(bytes(source), "The picture")
    if hasattr(source, "savefig"):
        buffer = BytesIO()
        source.savefig(buffer, format="png")
        return _from_bytes(buffer.getvalue(), "The figure")
    from PIL import Image

    if isinstance(source, Image.Image):
        return _of_image(source)
    if hasattr(source, "__array_interface__"):
        try:
            shape = source.__array_interface__["shape"]
            if len(shape) not in (2, 3):
                raise ValueError(f"its shape is {shape}")
            return _of_image(Image.fromarray(source))
        except (TypeError, ValueError, OSError) as fault:
            raise BadRequest(
                f"This array is no picture: {fault}. Give bytes of 0 to 255, height x width x 3."
            ) from fault
    raise BadRequest(f"A picture is a path, bytes, a PIL image, an array or a figure, not {type(source).__name__}.")


def upright(image):
    """The same image in red, green and blue, on white where it is transparent."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I;16"):  # the grey levels of a deep PNG: 65,536 of them
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


def _turned(image):
    """The image turned as its EXIF note says; as it lies where that note is damaged."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except DAMAGE:
        return image


def _of_image(image) -> Picture:
    """A picture from an image of PIL, its limits kept as a file's are; deep greys are refused."""
    if not image.width or not image.height:
        raise BadRequest(f"This picture has {image.width} x {image.height} pixels: there is nothing to see.")
    _refuse_huge(image, "The picture")
    if image.mode in ("F", "I", "I;16", "I;16B", "I;16L"):
        raise BadRequest(
            f"The picture's pixels are of mode {image.mode}, whose white is anyone's guess. Scale them to 0 to 255."
        )
    try:
        image = _turned(image)
        plain = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else upright(image)
        return _encoded(plain, "PNG")
    except DAMAGE as fault:  # a file is opened in a moment and read here
        raise BadRequest(f"The picture is damaged: {fault}.") from fault


def _refuse_huge(image, name: str) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise BadRequest(f"{name} has {image.width:,} x {image.height:,} pixels; at most {MOST_PIXELS:,} are taken.")


def read_file(source: str | Path, what: str, most_bytes: int) -> tuple[str, bytes]:
    """The name and the bytes of a file of this machine that a reader called a picture or a clip."""
    if str(source).startswith(("http://", "https://", "data:")):
        raise BadRequest(f"A {what} comes from this machine: save it to a file and give its path.")
    path = Path(source).expanduser()
    try:
        if path.stat().st_size > most_bytes:
            raise BadRequest(f"{path.name} has {path.stat().st_size:,} bytes; at most {most_bytes:,} are taken.")
        return path.name, path.read_bytes()
    except (OSError, ValueError) as fault:  # a path may hold what no path can
        raise BadRequest(f"The {what} {path} can't be read: {getattr(fault, 'strerror', '') or fault}.") from fault


def opened(file):
    """A file or a buffer as an image of PIL, not yet read; the limits that are looked at next make its warning idle."""
    from PIL import Image

    with catch_warnings():
        simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file)


def _from_bytes(data: bytes, name: str) -> Picture:
    """The picture as it is, once it has been seen that it can be opened to its last line."""
    from PIL import Image, UnidentifiedImageError

    if len(data) > MOST_BYTES:
        raise BadRequest(f"{name} has {len(data):,} bytes; at most {MOST_BYTES:,} are taken.")
    try:
        with opened(BytesIO(data)) as image:
            _refuse_huge(image, name)
            if image.format not in KINDS:
                raise BadRequest(f"{name} is {image.format}. Known: {', '.join(KINDS)}.")
            image.load()
            return Picture(data, KINDS[image.format], image.width, image.height)
    except Image.DecompressionBombError as fault:
        raise BadRequest(
            f"{name} is small as a file and enormous as a picture, as an attack would be; at most {MOST_PIXELS:,} "
            "pixels are taken."
        ) from fault
    except UnidentifiedImageError as fault:
        raise BadRequest(f"{name} is no picture that can be read. Known: {', '.join(KINDS)}.") from fault
    except DAMAGE as fault:
        raise BadRequest(f"{name} is damaged: {fault}.") from fault


def _encoded(image, kind: str) -> Picture:
    buffer = BytesIO()
    image.save(buffer, kind)
    return Picture(buffer.getvalue(), KINDS[kind], image.width, image.height)


FRAMES = 4  # as many as the bundled model was trained on
MOST_FRAMES = 20_000
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")
STILLS = (b"heic", b"heix", b"mif1", b"avif")  # pictures in the same box as MP4


@dataclass(frozen=True)
class Clip:
    """Frames out of a moving picture: `places` says which, counted from 1, of `total`."""

    name: str
    pictures: tuple[Picture, ...]
    places: tuple[int, ...]
    total: int

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def __str__(self):
        shown = ", ".join(map(str, self.places))
        return f"{self.name}: {len(self)} of {self.total} frames ({shown}) are shown to the model."


def as_pictures(sources) -> tuple[Picture, ...]:
    """Pictures from one source or several. A moving one becomes a few of its frames, and one line says which."""
    rows = sources if getattr(sources, "ndim", 3) == 4 else None  # an array of frames
    one = isinstance(sources, str | Path | bytes | bytearray | Picture) or not isinstance(sources, Iterable)
    several = rows if rows is not None else [sources] if one or hasattr(sources, "__array_interface__") else sources
    found: list[Picture] = []
    for source in several:
        moving = clip(source) if _moves(source) else None
        if moving:
            print(moving)
        found += moving or [as_picture(source)]
    return tuple(found)


def clip(source, frames: int = FRAMES) -> Clip:
    """Some frames of a GIF, WebP or PNG that moves, or of a video, evenly spread from the first to the last."""
    if isinstance(frames, bool) or not isinstance(frames, int) or not 1 <= frames <= 64:
        raise BadRequest(f"frames={frames!r}: how many frames to take, 1 to 64.")
    if isinstance(source, bytes | bytearray):
        name, data = "The clip", bytes(source)
    else:
        name, data = _read(source)
    if _is_video(name, data):
        return _from_video(name, data, frames)
    as_picture(data)  # refuses what is no picture, damaged or too large
    return _from_animation(name, data, frames)


def spread(total: int, count: int) -> tuple[int, ...]:
    """The places of so many frames out of all, evenly from the first to the last, counted from 0."""
    count = min(count, total)
    return tuple(round(place * (total - 1) / max(count - 1, 1)) for place in range(count))


def _moves(source) -> bool:
    """Whether a source is a file, or the bytes of one, that holds more than one frame."""
    if isinstance(source, str | Path) and str(source).lower().endswith(VIDEOS):
        return True
    whole = isinstance(source, bytes | bytearray)
    if not whole and not isinstance(source, str | Path):
        return False
    try:
        with opened(BytesIO(source) if whole else Path(source).expanduser()) as image:
            return bool(getattr(image, "is_animated", False)) and image.format in ("GIF", "WEBP", "PNG")
    except Exception:  # whatever is wrong with it, as_picture says it with the reader's next step
        return whole and _is_video("", bytes(source))


def _read(source) -> tuple[str, bytes]:
    if not isinstance(source, str | Path):
        raise BadRequest(f"A clip is a path or the bytes of a file, not {type(source).__name__}.")
    return read_file(source, "clip", 5 * MOST_BYTES)


def _is_video(name: str, data: bytes) -> bool:
    return (
        name.lower().endswith(VIDEOS)
        or (data[4:8] == b"ftyp" and data[8:12] not in STILLS)
        or data[:4] == b"\x1a\x45\xdf\xa3"
        or data[8:12] == b"AVI "
    )


def _from_animation(name: str, data: bytes, frames: int) -> Clip:
    from PIL import Image

    found = []
    try:
        with Image.open(BytesIO(data)) as image:
            total = getattr(image, "n_frames", 1)
            if total > MOST_FRAMES:
                raise BadRequest(f"{name} has {total:,} frames; at most {MOST_FRAMES:,} are taken. Cut it shorter.")
            places = spread(total, frames)
            for place in places:
                image.seek(place)
                found.append(as_picture(upright(image.copy())))
    except (*DAMAGE, Image.DecompressionBombError) as fault:  # a frame may claim to be larger than the first
        raise BadRequest(f"{name} is damaged: {fault}.") from fault
    return Clip(name, tuple(found), tuple(place + 1 for place in places), total)


def _from_video(name: str, data: bytes, frames: int) -> Clip:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a fault is said once, and not by FFmpeg
    try:
        import cv2
    except ImportError as fault:
        raise NotHere("A video is read with OpenCV, which is missing: pip install opencv-python-headless") from fault
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{Path(name).suffix}"
        path.write_bytes(data)
        total = _count(cv2, path, name)
        places, found = spread(total, frames), []
        video = cv2.VideoCapture(str(path))
        for place in range(places[-1] + 1):
            video.grab()
            if place in places:
                pixels = video.retrieve()[1]
                found.append(as_picture(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))))
        video.release()
    return Clip(name, tuple(found), tuple(place + 1 for place in places), total)


def _count(cv2, path: Path, name: str) -> int:
    """How many frames a video really has: its own header may be wrong."""
    video, total = cv2.VideoCapture(str(path)), 0
    try:
        if video.get(cv2.CAP_PROP_FRAME_WIDTH) * video.get(cv2.CAP_PROP_FRAME_HEIGHT) > MOST_PIXELS:
            raise BadRequest(f"{name} has frames of more than {MOST_PIXELS:,} pixels. Make it smaller.")
        while total <= MOST_FRAMES and video.grab():
            total += 1
    finally:
        video.release()
    if not total:
        raise BadRequest(f"{name} is damaged, or of a kind that OpenCV can't read: it has no frame.")
    if total > MOST_FRAMES:
        raise BadRequest(f"{name} has more than {MOST_FRAMES:,} frames. Cut it shorter.")
    return total
