"""setup: which machines are taken, an installer in one line, one set-up at a time, uv or pip as the reader has them,
torch's build, a .venv that is made once and mended, and imports that wait."""

import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path, PureWindowsPath

import pytest

from setup import packages, waiting
from setup import venv as venvs
from setup.machine import LONGEST_FOLDER, Machine, another_python, machine_fault, offline_environment, this_machine
from setup.packages import CPU_INDEX, Installer, network_fault, pip_settings, torch_build, uv_environment
from setup.programs import Stop, npm_ci, only_one, watch
from setup.venv import ready_venv, site_of, venv_fault
from slmlab.connecting import services
from tests.conftest import ROOT

HERE = Path("/home/ann/slm-lab")
TORCH = next(pin for pin in packages.pins() if pin.startswith("torch=="))
SLEEP = "import time; print('hi', flush=True); time.sleep(60)"

# The machine


def test_a_machine_that_can_not_run_the_course_is_told_why_and_what_to_run():
    good = Machine("Linux", "x86_64", (3, 12), 64, "2.36", musl=False, long_paths=True)
    windows = good._replace(system="Windows", processor="AMD64", release="")
    mac = good._replace(system="Darwin", processor="arm64", release="14.0")
    long = PureWindowsPath("C:/" + "d" * LONGEST_FOLDER)
    for machine, folder in ((this_machine(), HERE), (good, HERE), (mac, HERE), (windows, long)):
        assert machine_fault(machine, folder) is None, machine
    assert machine_fault(good._replace(release=""), HERE) is None, "a libc of no version gets the benefit of the doubt"
    for machine, folder, word in (
        (good._replace(python=(3, 10)), HERE, "too old"),
        (good._replace(python=(3, 9)), HERE, "your package manager, then: python3.13 lab.py"),
        (windows._replace(python=(3, 15)), HERE, "too new"),
        (windows._replace(python=(3, 9)), HERE, "python.org, then: py -3.14 lab.py"),
        (good._replace(bits=32), HERE, "32-bit"),
        (good._replace(processor="riscv64"), HERE, "riscv64"),
        (windows._replace(processor="arm64"), HERE, "install the x64 Python"),
        (mac._replace(processor="x86_64"), HERE, "Intel"),
        (mac._replace(release="13.7"), HERE, "macOS 13.7"),
        (good._replace(release="2.27"), HERE, "glibc"),
        (windows._replace(long_paths=False), long, "shorter"),
    ):
        assert word in machine_fault(machine, folder), machine


@pytest.mark.skipif(os.name == "nt", reason="programs are scripts here")
def test_another_python_is_found_by_its_name_and_one_that_is_too_old_or_broken_is_passed_over(tmp_path, monkeypatch):
    for name, says in (("python3.14", "exit 1"), ("python3.13", "echo 3 10 9223372036854775807")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert another_python(tmp_path / "none") is None
    (tmp_path / "python3.12").symlink_to(sys.executable)
    assert another_python(tmp_path / "none") == ["python3.12"]
    assert another_python(sys.executable) == [sys.executable], "the one of .venv goes first"


def test_tests_and_notebooks_see_no_key_keep_the_rest_and_are_offline():
    names = {name for one in services().values() for name in (*one.url_variables, *one.key_variables)}
    names |= {"HF_TOKEN", "AWS_PROFILE", "AZURE_CLIENT_SECRET", "NGC_APIKEY", "my_password", "MPLBACKEND"}
    given = {"PATH": "/bin", "SLMLAB_CACHE": "/cache", "KEYBOARD": "us"}
    clean = offline_environment(dict.fromkeys(names, "x") | given | {"PYTHONPATH": "/mine"}, HERE)
    assert given.items() <= clean.items() and not names & set(clean)
    assert clean["SLMLAB_OFFLINE"] == clean["HF_HUB_OFFLINE"] == "1"
    twice = offline_environment(clean, HERE)["PYTHONPATH"].split(os.pathsep)
    assert twice == [str(HERE / "tests" / "no_network"), "/mine"], "the hook comes first and only once"


# Programs


def test_watch_gives_the_exit_code_and_the_last_words_of_a_program_with_a_clean_environment(monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    code = r"import os, sys; sys.stdout.buffer.write(b'\xff user ' + os.environ['PIP_USER'].encode()); sys.exit(3)"
    exit_code, (last,) = watch([sys.executable, "-c", code])
    assert exit_code == 3 and last.endswith("user 0"), "output that is no text does no harm; nothing goes to ~/.local"


HOLDER = f"""
import sys, time
from setup.programs import only_one, start
with only_one(sys.argv[1]):
    print(start([sys.executable, "-c", {SLEEP!r}], stdout=2).pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows gives no lock to children")
def test_a_second_setup_waits_for_the_first_and_for_an_installer_that_outlives_it(tmp_path, capsys, monkeypatch):
    locked = tmp_path / "lab.py"
    locked.write_text("x")
    command = [sys.executable, "-c", HOLDER, str(locked)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        child = int(holder.stdout.readline())
        holder.kill()
    waits = []
    monkeypatch.setattr("setup.programs.time.sleep", lambda _: waits or (waits.append(os.kill(child, signal.SIGKILL))))
    with only_one(locked):
        assert waits, "two pips would write into one .venv"
    assert "Another lab.py is setting up this folder" in capsys.readouterr().out


# Packages


def test_uv_hears_what_the_reader_has_told_pip_and_what_the_reader_has_told_uv_goes_first():
    listed = """:env:.index-url='https://env.example/simple'
global.cert='/certs.pem'
global.extra-index-url='https://a.example https://b.example'
global.find-links='/one\\n/two'
global.index-url='https://file.example/simple'
global.proxy='http://proxy:80'"""
    env = uv_environment(pip_settings(listed), {"HTTPS_PROXY": "http://mine:80"})
    assert env["UV_DEFAULT_INDEX"] == "https://env.example/simple", "a variable goes before a file"
    assert env["UV_INDEX"] == "https://a.example https://b.example" and env["UV_FIND_LINKS"] == "/one,/two"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match", "pip looks at every index alike"
    assert env["SSL_CERT_FILE"] == "/certs.pem" and env["HTTPS_PROXY"] == "http://mine:80"
    assert "UV_DEFAULT_INDEX" not in uv_environment(pip_settings(""), {})


@pytest.fixture
def index(tmp_path):
    """A package index on this machine with one file that pretends to be pip."""
    name = packages.PIP.replace("==", "-") + "-py3-none-any.whl"
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / name).write_bytes(b"wheel")
    (tmp_path / "pip" / "index.html").write_text(f'<a href="../pip/{name}#sha256=x">pip</a>')
    files = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_index_that_can_not_be_reached_is_told_with_what_to_do_and_one_that_answers_is_none(index, monkeypatch):
    assert network_fault(index) is None and network_fault(index + "/no/such/page") is None
    assert network_fault(None) is None and network_fault("file:///wheels") is None
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "Connection refused" in network_fault(refused) and "set HTTPS_PROXY" in network_fault(refused)
        silent.listen()
        monkeypatch.setattr(packages, "PATIENCE_S", 2.2)
        monkeypatch.setenv("https_proxy", refused.replace("//", "//ann:secret@"))
        fault = network_fault("https://pypi.example/simple")
    assert "timed out" in fault and f"HTTPS_PROXY is {refused}: correct it" in fault and "secret" not in fault


def test_without_pip_and_ensurepip_a_sound_pip_comes_from_the_index(index, monkeypatch, tmp_path):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PIP_INDEX_URL", index)
    with pytest.raises(Stop, match="has no sound pip-.*sudo apt install python3-pip"):
        packages._pip_here(tmp_path)
    monkeypatch.setattr(packages, "PIP_SHA256", hashlib.sha256(b"wheel").hexdigest())
    (pip,) = packages._pip_here(tmp_path)
    assert Path(pip).parent.read_bytes() == b"wheel" and Path(pip).name == "pip"


def test_where_uv_can_not_be_had_pip_installs_and_a_line_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(packages, "network_fault", lambda address: None)
    monkeypatch.setattr(packages, "watch", lambda command, env: (1, ["ERROR: no such package"]))
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    tool = packages.installer(tmp_path, sys.executable)
    assert tool.command[:4] == [sys.executable, "-m", "pip", "install"]
    assert "ERROR: no such package\n      uv can't be had here" in capsys.readouterr().out
    monkeypatch.setattr(packages, "network_fault", lambda address: f"{address} can't be reached")
    with pytest.raises(Stop, match="https?://.* can't be reached"):
        packages.installer(tmp_path, sys.executable)


def test_an_install_forgets_what_was_half_installed_and_a_fault_is_told_with_its_reason(tmp_path, monkeypatch):
    for name, files in (("good-1.dist-info", ("RECORD", "INSTALLER")), ("half-2.dist-info", ("METADATA", "RECORD"))):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("")
    program = "import sys; print(sys.argv[-1]); sys.exit(len(sys.argv) > 4)"
    tool = Installer([sys.executable, "-c", program], None, None, 1)
    packages.install(tool, tmp_path, "torch")
    assert [one.name for one in tmp_path.glob("*.dist-info")] == ["good-1.dist-info"]
    constraints = (tmp_path / "lab_constraints.txt").read_text().splitlines()
    assert TORCH in packages.pins() and TORCH in constraints
    assert not [one for one in constraints if one.startswith("slmlab")]
    monkeypatch.setattr(packages, "network_fault", lambda address: address)
    for words, reason in (
        ("its words", "(?s)its words.*are the installer's own. Then run again: it goes on from here"),
        ("failed to write: No space left on device (os error 28)", "The disk is full: free some space"),
        ("Access is denied. (os error 5)", "close notebooks and editors"),
    ):
        with pytest.raises(Stop, match=reason):
            packages.install(tool, tmp_path, "torch", words)
    with pytest.raises(Stop, match="It can't be reached"):
        packages.install(tool._replace(index="It can't be reached."), tmp_path, "torch", "its words")


def test_each_machine_gets_the_smallest_build_of_torch_that_serves_it(monkeypatch):
    pin, asked = TORCH.partition("==")[2], []
    for system, smi, offered, reachable, options, large in (
        ("Linux", "", f"{pin}+cpu, {pin}", True, [], False),  # what is offered goes before a foreign index
        ("Linux", "", pin, True, ["--torch-backend=cpu"], False),
        ("Linux", "No devices were found", pin, True, ["--torch-backend=cpu"], False),
        ("Linux", "", pin, False, [], True),
        ("Linux", "GPU 0: H100", f"{pin}+cpu", True, ["--torch-backend=auto"], True),
        ("Linux", "GPU 0: H100", pin, False, [], True),
        ("Darwin", "", pin, True, [], False),
    ):
        monkeypatch.setattr(packages.platform, "system", lambda system=system: system)
        monkeypatch.setattr(packages.shutil, "which", lambda name, smi=smi: smi)
        outputs = {"nvidia-smi": smi, "python": f"torch\nAvailable versions: {offered}"}
        monkeypatch.setattr(packages, "output", lambda command, env=None, outputs=outputs: outputs[command[0]])
        answer = None if reachable else "no"
        monkeypatch.setattr(packages, "network_fault", lambda url, answer=answer: asked.append(url) or answer)
        _, *found = torch_build(Installer([], None, None, is_uv=True), "python")
        assert found == [options, large], (system, smi, offered, reachable)
        assert "--torch-backend=cpu" not in torch_build(Installer([], None, None, is_uv=False), "python")[1]
    assert set(asked) == {CPU_INDEX + "/torch/"} and len(asked) == 10, "it is asked only where it is needed"


# The .venv


def test_a_venv_serves_or_the_reason_is_named(tmp_path):
    made = {"made": str(HERE)}
    site_of(tmp_path, "3.12.1").mkdir(parents=True)
    for state, version, word in (
        (made, "3.12.7", None),
        (None, "3.12.1", None),  # made by hand, and good
        (None, "", "half-made"),
        ({"made": "/elsewhere"}, "3.12.1", "another folder"),
        (made, "3.13.0", "its Python is 3.13.0 now"),  # the system's was upgraded under it
        (made, "3.15.0", "its Python is 3.15.0 now"),
    ):
        fault = venv_fault(tmp_path, HERE, state, version)
        assert fault is None if word is None else word in fault
    assert venv_fault(tmp_path / "none", HERE, None, None) == "none here yet"


def test_a_real_venv_is_made_left_alone_and_made_anew_after_it_broke_or_was_half_made(tmp_path, monkeypatch):
    folder, state = tmp_path / ".venv", tmp_path / ".venv" / "lab.json"
    made = python, version = ready_venv(folder, tmp_path)
    assert subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True).returncode == 0
    assert version == "{}.{}.{}".format(*sys.version_info[:3]) and waiting.read(state)["made"] == str(tmp_path)
    kept = folder / "kept"
    kept.touch()
    state.write_text('{"made": "/ho')
    assert waiting.read(state) == {}, "one that was cut off counts as nothing done"
    state.unlink()
    assert ready_venv(folder, tmp_path) == made and kept.exists(), "a whole one is left alone, made by uv or by hand"
    Path(python).unlink()
    assert ready_venv(folder, tmp_path) == made and not kept.exists(), "a broken one is made anew"

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(venvs, "watch", killed)
    waiting.note(state, made=None)
    with pytest.raises(KeyboardInterrupt):
        ready_venv(folder, tmp_path)
    assert waiting.read(state)["made"] is None, "what is half made is not vouched for before it is whole"
    monkeypatch.setattr(venvs, "watch", lambda command: (1, ["Error: no space"]))
    with pytest.raises(Stop, match="(?s)no space.*could not be made"):
        ready_venv(folder, tmp_path)


@pytest.mark.skipif(not shutil.which("npm"), reason="no npm")
def test_npm_brings_what_a_list_names_to_another_folder(tmp_path):
    for name, more in (("package", {}), ("package-lock", {"lockfileVersion": 3, "packages": {"": {}}})):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": "x"} | more))
    npm_ci(tmp_path, tmp_path / "place", "It")
    assert (tmp_path / "place" / "package-lock.json").exists()


# Waiting


def test_an_import_of_what_is_still_being_installed_waits_and_a_stopped_set_up_is_told(tmp_path):
    folder, note = tmp_path / ".venv", tmp_path / ".venv" / "later.json"
    python, version = ready_venv(folder, tmp_path)
    site = site_of(folder, version)

    def run(code):
        return subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    waiting.begin(folder, site, ["slow==1.0", "opencv-python-headless==5"], "Its installation has not begun.")
    (site / "slow.py").write_text("whole = False")
    fault = run("import slow").communicate()[0].splitlines()[-1]
    assert fault.startswith("ImportError: slow is not installed yet. Its installation has not begun. In a terminal:")
    waiting.note(note, fault="", share=0.5, status="90 of 180 MB are here")
    with run("print('up', flush=True); import slow; print(slow.whole)") as child:
        assert child.stdout.readline() == "up\n"
        assert run("import never").communicate()[0].endswith("No module named 'never'\n"), "nothing waits in vain"
        while "[########........] 90 of 180 MB are here" not in (shown := child.stdout.readline()):
            assert shown
        assert "Waiting for slow, which is still being installed." in shown
        note.write_text("{")  # as after a power cut: it waits on
        while "[................]" not in child.stdout.readline():
            assert child.poll() is None
        (site / "slow.py").write_text("whole = True")
        waiting.end(folder, site)
        shown = child.stdout.read()
    assert "slow is installed" in shown and shown.endswith("True\n")
    assert not [one for one in site.iterdir() if "waiting" in one.name] and waiting.read(note) is None
