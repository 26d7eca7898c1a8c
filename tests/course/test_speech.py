"""Speech: a real voice speaks, a real recogniser hears it back, and what can't be said is refused in a line."""

import subprocess
import sys
import wave

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
    with wave.open(str(tmp_path / "monday.wav")) as file:
        assert file.getparams()[:3] == (1, 2, sound.rate)
        assert file.readframes(file.getnframes()) == sound.samples.tobytes()


def test_a_sound_plays_in_a_notebook_and_reads_as_text():
    shown = speech.say("2 < 3")._repr_html_()
    assert "<audio" in shown and "s of speech: 2 &lt; 3" in shown, "a screen reader says what a player holds"


def test_what_cannot_be_said_is_refused_with_the_next_step():
    for text, voice, fault, words in (
        ("hello", "en-gb", UnknownName, "Nearest: en-gb-x-rp"),
        ("hello", "en+f9", UnknownName, r"No voice '\+f9'. Nearest: \+f"),
        (" \n", "en-us", BadRequest, "1 to 1,000 characters, not 0"),
        ("...", "en-us", BadRequest, "has no sound for '...'"),
        ("long " * 900, "es", BadRequest, "in parts"),
    ):
        with pytest.raises(fault, match=words) as refused:
            speech.say(text, voice)
        assert "\n" not in str(refused.value)


def test_a_voice_whose_files_are_not_read_ends_no_kernel(tmp_path):
    program = "import espeakng_loader, sys; espeakng_loader.get_data_path = lambda: sys.argv[1]\n"
    program += "from course import speech; speech.say('hello')"
    said = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True).stderr
    assert f"NotHere: eSpeak NG can't read its files in {tmp_path}" in said, "by itself the library exits"


def test_without_the_package_the_line_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    speech._voice.cache_clear()
    with pytest.raises(NotHere, match=r"pip install 'slmlab\[acting\]'"):
        speech.say("hello")
