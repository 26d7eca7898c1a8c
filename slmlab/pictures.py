"""Pictures from whatever a reader has; of an animation or a video a few frames, as no model here sees motion."""

import os
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, ImageSequence

from slmlab.errors import BadRequest, NotHere

KINDS = {"PNG": "png", "JPEG": "jpeg", "GIF": "gif", "WEBP": "webp", "MPO": "jpeg"}  # MPO: some phones' JPEG
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
        return f"data:image/{self.kind};base64,{self.base64}"

    @property
    def image(self):
        """The picture as a PIL image that any model can take. Of an animated one, the first frame."""
        return upright(Image.open(BytesIO(self.data)))

    def within(self, characters: int) -> "Picture":
        """The picture, made smaller until its base64 has fewer characters than that."""
        smaller, side = self, max(self.width, self.height)
        while len(smaller.base64) >= characters:
            side = int(side * 0.8)
            smaller = _encoded(ImageOps.contain(self.image, (side, side)), "JPEG")
        return smaller

    def _repr_mimebundle_(self, **_) -> dict[str, str]:
        return {f"image/{self.kind}": self.base64}


def as_picture(source) -> Picture:
    """A picture from a path, the bytes of a file, a PIL image, an array of bytes or a figure of matplotlib."""
    if isinstance(source, Picture):
        return source
    name = "The picture"
    if isinstance(source, str | Path):
        name, source = _path(source).name, _path(source).read_bytes()
    source = source.ax.figure if hasattr(source, "caption") else source  # a plot of this package
    if hasattr(source, "savefig"):
        source.savefig(buffer := BytesIO(), format="png")
        source = buffer.getvalue()
    try:
        if isinstance(source, bytes):
            image = Image.open(BytesIO(source), formats=list(KINDS))
            upright(image)  # reads it to its last line
            return Picture(source, KINDS[image.format], image.width, image.height)
        if hasattr(source, "__array_interface__"):
            return _encoded(source if isinstance(source, Image.Image) else Image.fromarray(source), "PNG")
    except Exception as fault:  # Pillow's are of a dozen types
        reason = f"{type(fault).__name__}. Known: PNG, JPEG, GIF, WEBP"
        raise BadRequest(f"{name} is damaged, or no picture that can be read: {reason}.") from fault
    raise BadRequest(f"A picture is a path, bytes, a PIL image, an array or a figure, not {type(source).__name__}.")


def as_pictures(sources) -> tuple[Picture, ...]:
    """Pictures from one source or several. A moving file becomes a few of its frames, and one line says which."""
    one = isinstance(sources, str | bytes) or hasattr(sources, "__array_interface__")
    several = [sources] if one or not isinstance(sources, Iterable) else sources
    return tuple(picture for source in several for picture in _frames(source))


def upright(image):
    """An image turned as its EXIF note says, in red, green and blue, on white where it is transparent."""
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _encoded(image, kind: str) -> Picture:
    image, buffer = upright(image), BytesIO()
    image.save(buffer, kind)
    return Picture(buffer.getvalue(), KINDS[kind], image.width, image.height)


def _path(source) -> Path:
    path = Path(source).expanduser()
    if not path.is_file():
        raise BadRequest(f"The picture {path} can't be read: no such file. From the web, save it to a file.")
    return path


def _frames(source) -> list[Picture]:
    """A few frames of a file that moves, from the first to the last, and a line that says which; else the picture."""
    path = _path(source) if isinstance(source, str | Path) else None
    if path and path.suffix.lower() in VIDEOS:
        total, images = _of_video(path)
    else:
        picture = as_picture(source)
        moving = Image.open(BytesIO(picture.data))
        total = getattr(moving, "n_frames", 1)
        if not path or total == 1 or picture.kind == "jpeg":  # some phones' JPEG has a second picture, and no frames
            return [picture]
        try:
            frames = enumerate(ImageSequence.Iterator(moving))
            images = [frame.copy() for place, frame in frames if place in _spread(total)]
        except OSError as fault:
            raise BadRequest(f"{path.name} is damaged: {fault}.") from fault
    shown = ", ".join(str(place + 1) for place in _spread(total))
    print(f"{path.name}: {len(images)} of {total} frames ({shown}) are shown to the model.")
    return [_encoded(image, "PNG") for image in images]


def _spread(total: int) -> list[int]:
    return sorted({round(part * (total - 1) / (FRAMES - 1)) for part in range(FRAMES)})


def _of_video(path: Path) -> tuple[int, list]:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a fault is said once, and not by FFmpeg
    try:
        import cv2
    except ImportError as fault:
        raise NotHere("A video is read with OpenCV, which is missing: pip install 'slmlab[ocr]'") from fault
    video = cv2.VideoCapture(str(path))
    total = sum(1 for _ in iter(video.grab, False))  # counted, because its own header may be wrong
    found, video = [], cv2.VideoCapture(str(path))
    for place in range(total):
        video.grab()
        if place in _spread(total):
            found.append(Image.fromarray(video.retrieve()[1][..., ::-1]))
    if not found:
        raise BadRequest(f"{path.name} is damaged, or of a kind that OpenCV can't read.")
    return total, found
