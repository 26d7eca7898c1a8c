"""Speech: a real voice speaks, a real recogniser hears it back, and what can't be said or read is refused in a line."""

import subprocess
import sys
import wave

import numpy as np
import pytest

from course import speech
from slmlab.errors import BadRequest, NotHere, UnknownName


def test_a_spoken_fact_is_heard_back_through_a_grammar():
    pocketsphinx = pytest.importorskip("pocketsphinx", reason="it has no wheel for every Python")
    facts = ["monday is sixty two", "tuesday is five", "friday is thirty"]
    sounds = [speech.say(fact) for fact in facts]
    ear = pocketsphinx.Decoder(samprate=sounds[0].rate, lm=None, loglevel="FATAL")
    numbers = "five | nine | thirty | fifty | sixty | sixty two"
    ear.add_jsgf_string("facts", f"#JSGF V1.0; grammar g; public <f> = (monday | tuesday | friday) is ({numbers});")
    ear.activate_search("facts")
    for fact, sound in zip(facts, sounds, strict=True):
        ear.start_utt()
        ear.process_raw(sound.samples.tobytes(), full_utt=True)
        ear.end_utt()
        assert ear.hyp().hypstr == fact, "else the lesson would score noise"


def test_a_voice_is_a_language_and_languages_differ():
    said = {voice: speech.say("62", voice).samples.tobytes() for voice in ("en-us", "en-us+f2", "es", "de", "sw")}
    assert len(set(said.values())) == len(said), "each voice has sounds of its own"
    assert len(speech.say("One, two, three.", speed=100).samples) > len(speech.say("One, two, three.").samples)


def test_a_second_run_says_the_same_sound():
    program = "from course import speech; print(speech.say('Monday is 62.').samples.tobytes().hex())"
    first, second = (subprocess.run([sys.executable, "-c", program], capture_output=True).stdout for _ in range(2))
    assert first == second != b"", "a score of the lesson can be run again"


def test_a_wav_file_keeps_every_sample(tmp_path):
    sound = speech.say("Monday is 62.")
    sound.save(tmp_path / "monday.wav")
    back = speech.read(tmp_path / "monday.wav")
    assert np.array_equal(back.samples, sound.samples) and back.rate == sound.rate


def test_a_sound_plays_in_a_notebook_and_reads_as_text():
    shown = speech.say("2 < 3")._repr_html_()
    assert "<audio" in shown and "s of speech: 2 &lt; 3" in shown, "a screen reader says what a player holds"


def test_what_cannot_be_said_is_refused_with_the_next_step():
    for text, voice, fault, words in (
        ("hello", "en-gb", UnknownName, "Nearest: en-gb-x-rp"),
        (" \n", "en-us", BadRequest, "1 to 1,000 characters, not 0"),
        ("long " * 900, "es", BadRequest, "in parts"),
    ):
        with pytest.raises(fault, match=words) as refused:
            speech.say(text, voice)
        assert "\n" not in str(refused.value)


def test_any_rate_and_two_channels_are_read_and_broken_files_are_named(tmp_path):
    for name, channels, wide, data in (("cd", 2, 2, b"\1\0\3\0" * 44_100), ("empty", 1, 2, b""), ("old", 1, 1, b"12")):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setparams((channels, wide, 44_100, 0, "NONE", ""))
            file.writeframes(data)
    (tmp_path / "note.wav").write_text("not a sound at all")
    (tmp_path / "nothing.wav").touch()
    sound = speech.read(tmp_path / "cd.wav")
    assert sound.rate == len(sound.samples) == 44_100 and set(sound.samples) == {2}, "two channels become their mean"
    for name in ("empty", "old", "note", "nothing"):
        with pytest.raises(BadRequest, match=rf"{name}\.wav isn't a wav file of 16 bits with sound in it \(.+\)"):
            speech.read(tmp_path / f"{name}.wav")


def test_without_the_package_the_line_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    speech._voice.cache_clear()
    with pytest.raises(NotHere, match=r"pip install 'slmlab\[acting\]'"):
        speech.say("hello")
