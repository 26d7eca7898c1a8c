"""Pictures from whatever a reader has, one or several; of an animation or a video, a few frames.

Knows nothing about models: no model of this course sees motion, only frames.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from slmlab.errors import BadRequest, MissingPackage
from slmlab.pictures import DAMAGE, MOST_BYTES, MOST_PIXELS, Picture, as_picture, opened, read_file, upright

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
        raise MissingPackage(
            "A video is read with OpenCV, which is missing: pip install opencv-python-headless"
        ) from fault
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
