"""A picture on its way to a model: its bytes, type and size, from whatever a reader has.

Knows nothing about models or services: those say how they want it.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from struct import error as StructError
from warnings import catch_warnings, simplefilter

from slmlab.errors import BadRequest

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
