"""A picture on its way to a model: its bytes, type and size, from whatever a reader has.

Knows nothing about models or services: those say how they want it.
"""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from slmlab.errors import BadRequest

KINDS = {"PNG": "png", "JPEG": "jpeg", "GIF": "gif", "WEBP": "webp"}
MOST_BYTES = 20_000_000
MOST_PIXELS = 50_000_000


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

    def within(self, characters: int) -> "Picture":
        """The picture, made smaller until its base64 has fewer characters than that."""
        from PIL import Image

        smaller, side = self, max(self.width, self.height)
        while len(smaller.base64) >= characters:
            side = int(side * 0.8)
            if side < 16:
                raise BadRequest(f"No picture worth looking at fits into {characters:,} characters.")
            image = Image.open(BytesIO(self.data)).convert("RGB")
            image.thumbnail((side, side))
            smaller = _encoded(image, "JPEG")
        return smaller

    def _repr_png_(self) -> bytes | None:
        return self.data if self.kind == "png" else None

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.kind == "jpeg" else None


def as_pictures(sources) -> tuple[Picture, ...]:
    """Pictures from one source or several."""
    one = isinstance(sources, str | Path | bytes | Picture) or not isinstance(sources, Iterable)
    several = [sources] if one or hasattr(sources, "__array_interface__") else sources
    return tuple(as_picture(source) for source in several)


def as_picture(source) -> Picture:
    """A picture from a path, the bytes of a file, a PIL image, an array of pixels or a figure of matplotlib."""
    if isinstance(source, Picture):
        return source
    if isinstance(source, str | Path):
        return _from_file(source)
    if isinstance(source, bytes | bytearray):
        return _from_bytes(bytes(source), "The picture")
    if hasattr(source, "savefig"):
        buffer = BytesIO()
        source.savefig(buffer, format="png")
        return _from_bytes(buffer.getvalue(), "The figure")
    from PIL import Image

    if isinstance(source, Image.Image):
        return _encoded(source, "PNG")
    if hasattr(source, "__array_interface__"):
        try:
            return _encoded(Image.fromarray(source), "PNG")
        except TypeError as fault:
            raise BadRequest(
                f"This array is no picture: {fault}. Give bytes of 0 to 255, height x width x 3."
            ) from fault
    raise BadRequest(f"A picture is a path, bytes, a PIL image, an array or a figure, not {type(source).__name__}.")


def _from_file(source: str | Path) -> Picture:
    if str(source).startswith(("http://", "https://", "data:")):
        raise BadRequest("A picture comes from this machine: save it to a file and give its path.")
    path = Path(source).expanduser()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadRequest(f"{path.name} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are taken.")
        return _from_bytes(path.read_bytes(), path.name)
    except OSError as fault:
        raise BadRequest(f"The picture {path} can't be read: {fault.strerror or fault}.") from fault


def _from_bytes(data: bytes, name: str) -> Picture:
    """The picture as it is, once it has been seen that it can be opened to its last line."""
    from PIL import Image, UnidentifiedImageError

    if len(data) > MOST_BYTES:
        raise BadRequest(f"{name} has {len(data):,} bytes; at most {MOST_BYTES:,} are taken.")
    try:
        with Image.open(BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadRequest(
                    f"{name} has {image.width:,} x {image.height:,} pixels; at most {MOST_PIXELS:,} are taken."
                )
            if image.format not in KINDS:
                raise BadRequest(f"{name} is {image.format}. Known: {', '.join(KINDS)}.")
            image.load()
            return Picture(data, KINDS[image.format], image.width, image.height)
    except UnidentifiedImageError as fault:
        raise BadRequest(f"{name} is no picture that can be read. Known: {', '.join(KINDS)}.") from fault
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise BadRequest(f"{name} is damaged: {fault}.") from fault


def _encoded(image, kind: str) -> Picture:
    buffer = BytesIO()
    image.save(buffer, kind)
    return Picture(buffer.getvalue(), KINDS[kind], image.width, image.height)
