"""Text to sound by eSpeak NG, a voice that works offline from a package; sound to a wav file.

Knows nothing about who hears it. The library in the package `espeakng-loader` has the licence GPL-3.0-or-later.
"""

import ctypes
import wave
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from html import escape
from pathlib import Path

import numpy as np

from slmlab.errors import BadRequest, NotHere, UnknownName

MOST = 1_000  # characters, about a minute: each second is 60 kB of a notebook


@dataclass(frozen=True, repr=False)
class Sound:
    """Samples of 16 bits, so many a second, and what they say. It plays in a notebook."""

    samples: np.ndarray
    rate: int
    text: str

    def save(self, path) -> None:
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, self.rate, 0, "NONE", ""))
            file.writeframes(self.samples.tobytes())

    def _repr_html_(self):
        from IPython.display import Audio

        return f"<p>{escape(repr(self))}</p>{Audio(self.samples, rate=self.rate)._repr_html_()}"

    def __repr__(self):
        return f"{len(self.samples) / self.rate:.1f} s of speech: {self.text}"


def say(text: str, voice: str = "en-us+f2", speed: int = 150) -> Sound:
    """The text as sound, so many words a minute. A voice is a language, 'es' or 'sw', and after a + a speaker."""
    library, given, rate, known, _ = _voice()
    language, _, speaker = voice.partition("+")
    for name in (language.lower(), f"+{speaker}")[: 1 + bool(speaker)]:
        if name not in known:
            raise UnknownName(f"No voice {name!r}. Nearest: {', '.join(get_close_matches(name, known, 5, 0))}.")
    if not 0 < len(text.strip()) <= MOST:
        raise BadRequest(f"say takes 1 to {MOST:,} characters, not {len(text.strip()):,}: say a long text in parts.")
    given.clear()
    library.espeak_SetVoiceByName(voice.encode())
    library.espeak_SetParameter(1, speed, 0)
    line = text.encode() + b"\0"
    library.espeak_Synth(line, ctypes.c_size_t(len(line)), 0, 1, 0, 1, None, None)
    samples = np.frombuffer(b"".join(given), np.int16)
    if not samples.any():
        raise BadRequest(f"The voice {voice!r} has no sound for {text!r}: give it words, at some 80 to 450 a minute.")
    return Sound(samples, rate, text)


@cache
def _voice() -> tuple:
    """The library, begun once; the list that its callback fills; its rate; its voices; the callback, kept alive."""
    try:
        import espeakng_loader
    except ImportError as fault:
        raise NotHere("speech needs eSpeak NG, which isn't installed: pip install 'slmlab[acting]'") from fault
    data, given = Path(espeakng_loader.get_data_path()), []
    of_this_kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    @of_this_kind
    def keep(samples, count, _):
        if samples:  # the last call has none
            given.append(ctypes.string_at(samples, 2 * count))
        return 0

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(2, 0, str(data).encode(), 1 << 15)  # 2: give the samples back, play nothing
    if rate <= 0:  # without the last flag it would end Python here
        raise NotHere(f"eSpeak NG can't read its files in {data}: install the course in a folder with a plain name.")
    library.espeak_SetSynthCallback(keep)
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else its hiss begins by the clock, and no score can be run again
    known = [file.name.lower() for file in (data / "lang").rglob("*") if file.is_file()]
    known += [f"+{file.name}" for file in (data / "voices" / "!v").iterdir()]
    return library, given, rate, known, keep
