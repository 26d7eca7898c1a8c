"""A class for real: the hub, its proxy, the shared endpoint and three learners, in one folder, by the one command."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import uuid
from importlib.util import find_spec
from itertools import takewhile
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import requests
import yaml

from tests.conftest import ROOT
from tests.live_server import until

CLASS = ROOT / "deploy" / "class"
NODE = os.path.join(sys.prefix, "share", "slmlab-class", "node_modules")
PLANTED = {"OPENAI_API_KEY": "sk-planted", "HF_TOKEN": "hf-planted", "SLMLAB_SERVER_KEY": "planted-too"}
needs_a_hub = pytest.mark.skipif(
    not find_spec("jupyterhub") or not os.path.isdir(NODE),
    reason="no hub here: pip install -r data/environments/class.txt, python deploy/class/start.py --prepare",
)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="JupyterHub doesn't run on Windows")


class Learner:
    """Somebody with a password, a server and a kernel, all through the hub's own address."""

    def __init__(self, root, name, password):
        body = {"auth": {"username": name, "password": password}}
        got = requests.post(f"{root}/hub/api/users/{name}/tokens", json=body, timeout=60)
        got.raise_for_status()
        self.me, self.url = f"{root}/hub/api/users/{name}", f"{root}/user/{name}"
        self.head = {"Authorization": f"token {got.json()['token']}"}

    def start(self):
        assert requests.post(f"{self.me}/server", headers=self.head, timeout=100).status_code in (201, 202)

    def open_kernel(self):
        until(lambda: self.read(self.me)["servers"].get("", {}).get("ready"), most_s=100, step_s=0.2)
        wanted = {"path": "notebooks/00_start_here.ipynb", "type": "notebook", "name": "", "kernel": {}}
        got = requests.post(f"{self.url}/api/sessions", json=wanted, headers=self.head, timeout=60)
        import websocket

        address = f"{self.url}/api/kernels/{got.json()['kernel']['id']}/channels".replace("http", "ws", 1)
        self.socket = websocket.create_connection(address, header=self.head, timeout=100)

    def read(self, address):
        return requests.get(address, headers=self.head, timeout=60).json()

    def run(self, code):
        """All the text that a cell shows."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "", "username": ""}
        request = {"header": header | {"version": "5.3"}, "parent_header": {}, "metadata": {}, "channel": "shell"}
        self.socket.send(json.dumps(request | {"content": {"code": code, "silent": False}}))
        shown = ""
        while True:
            message = json.loads(self.socket.recv())
            content = message["content"]
            if message["parent_header"].get("msg_id") == header["msg_id"]:
                if content.get("execution_state") == "idle":
                    return shown
                shown += content.get("text", "") + content.get("data", {}).get("text/plain", "")
                shown += content.get("ename", "") + content.get("evalue", "")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The class, open, with three who have logged in; it is closed by Ctrl-C."""
    folder, port = tmp_path_factory.mktemp("class"), 20000 + os.getpid() % 3000 * 4
    names = ["ana", "ben", "eve"]
    command = [sys.executable, CLASS / "start.py", f"--port={port}", f"--folder={folder}", "--learners", *names]
    env = os.environ | PLANTED | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with open(folder / "said", "w") as said:
        process = subprocess.Popen([str(one) for one in command], stdout=said, stderr=said, env=env)
    lines = folder / "said"
    open_now = SimpleNamespace(process=process, folder=folder, root=f"http://127.0.0.1:{port}", said=lines.read_text)
    open_now.endpoint = f"http://127.0.0.1:{port + 3}"
    try:
        until(lambda: "The class is open" in lines.read_text() or process.poll() is not None, most_s=100, step_s=0.1)
        open_now.passwords = dict(re.findall(r"(\w+) +password (\w+)", lines.read_text()))
        open_now.learners = [Learner(open_now.root, name, open_now.passwords[name]) for name in names]
        for one in open_now.learners:
            one.start()
        for one in open_now.learners:
            one.open_kernel()
        yield open_now
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(100)


def written(hub):
    """Tokens that the shared endpoint has written."""
    text = requests.get(f"{hub.endpoint}/metrics", timeout=20).text
    return sum(float(value) for value in re.findall(r"^[\w:]*generation_tokens_total\S* (\S+)$", text, re.MULTILINE))


def of_the_class(hub):
    """Every process that the class started."""
    found = []
    for one in psutil.process_iter():
        try:
            known = one.environ()
        except psutil.Error:
            continue
        mark = (known.get("SLMLAB_CLASS", ""), known.get("HOME", ""))
        found += [one] if any(place.startswith(str(hub.folder)) for place in mark) else []
    return found


@needs_a_hub
def test_each_learner_runs_the_first_cells_and_the_shared_endpoint_writes_the_answers(hub):
    lesson = nbformat.read(ROOT / "notebooks/00_start_here.ipynb", as_version=4)
    first, ask = [cell.source for cell in lesson.cells if cell.cell_type == "code"][:2]
    for learner in hub.learners:
        before = written(hub)
        said = learner.run(first)
        assert hub.endpoint in said, "one line says who answers"
        assert "Paris" in learner.run(ask)
        assert written(hub) > before
    where = "from slmlab.machine import cache_folder as own\n"
    where += "print(own(), (own() / 'models/smollm2-135m').resolve().is_relative_to(own()))"
    assert hub.learners[0].run(where) == f"{hub.folder}/learners/ana/.cache/slmlab False\n", "what ana trains is hers"


@needs_a_hub
def test_a_learner_finds_no_key_and_does_not_reach_the_server_of_another(hub):
    ana, ben = hub.learners[:2]
    assert not [key for key in PLANTED.values() if key in ana.run("import os; print(dict(os.environ))")]
    told = ana.run("from ipykernel.connect import get_connection_info as told; print(told())")
    assert '"transport": "ipc"' in told, "kernels listen at no port: thirty that start at once take each other's"
    code = "import os, urllib.request as u\ntoken = os.environ['JUPYTERHUB_API_TOKEN']\n"
    code += "try: print(u.urlopen(u.Request({!r}, headers=dict(Authorization='token ' + token))).status)\n"
    code += "except OSError as fault: print(fault.code)"
    assert ana.run(code.format(ana.url + "/api/contents")) == "200\n"
    assert ana.run(code.format(ben.url + "/api/contents")) in ("403\n", "404\n")
    assert requests.get(ben.url + "/api/contents", headers=ana.head, timeout=20).status_code in (403, 404)
    instructor = Learner(hub.root, "instructor", hub.passwords["instructor"])
    assert requests.get(ana.url + "/api/contents", headers=instructor.head, timeout=20).status_code in (403, 404)
    stopped = requests.delete(hub.learners[2].me + "/server", headers=instructor.head, timeout=60)
    assert stopped.status_code in (202, 204), "an instructor stops a server, and doesn't look into it"
    with pytest.raises(requests.HTTPError):
        Learner(hub.root, "ben", hub.passwords["ana"])
    assert hub.passwords["ana"] not in (hub.folder / "hub/class.json").read_text(), "only its hash is kept"


@needs_a_hub
def test_memory_that_is_asked_for_without_end_is_an_error_of_that_cell_alone(hub):
    ana, ben = hub.learners[:2]
    if sys.platform == "linux":  # the one system that holds the limit
        assert "MemoryError" in ana.run("hog = bytearray(7 * 10**9)")
    assert ana.run("print(1 + 1)") == "2\n" and ben.run("print(2 + 2)") == "4\n"


@needs_a_hub
def test_an_endpoint_and_a_hub_that_were_killed_come_back_and_kernels_go_on(hub):
    ana = hub.learners[0]
    ana.run("import slmlab; kept, model = 42, slmlab.load()")
    for word in ("slmlab serve", "jupyterhub -f"):
        running = [one for one in psutil.Process(hub.process.pid).children() if word in " ".join(one.cmdline())]
        running[0].kill()
        name = "endpoint" if "serve" in word else "hub"
        until(lambda name=name: f"The {name} ended" in hub.said())
    until(lambda: answers(hub.endpoint + "/health") and answers(hub.root + "/hub/api"), most_s=60, step_s=0.3)
    ana.open_kernel()
    assert "Paris" in ana.run("print(kept); model.ask('What is the capital of France?').show()")


def answers(address):
    try:
        return requests.get(address, timeout=5).ok
    except requests.RequestException:
        return False


@needs_a_hub
def test_a_second_class_in_the_folder_of_an_open_one_is_refused(hub):
    second = [sys.executable, CLASS / "start.py", "--port=19000", f"--folder={hub.folder}"]
    told = subprocess.run(second, capture_output=True, text=True, timeout=30)
    assert told.returncode == 1 and "A class is open in" in told.stderr
    assert answers(hub.root + "/hub/api")


@needs_a_hub
def test_ctrl_c_ends_everything_and_learners_work_is_kept(hub):
    work = hub.folder / "learners/ana/slm-lab/notebooks/mine.txt"
    hub.learners[0].run("open('mine.txt', 'w').write('kept')")
    assert len(of_the_class(hub)) >= 7, "hub, proxy, endpoint, and two servers with a kernel each"
    hub.process.send_signal(signal.SIGINT)
    assert hub.process.wait(100) == 0 and not of_the_class(hub)
    assert work.read_text() == "kept" and "Traceback" not in hub.said()


@pytest.fixture
def start(monkeypatch):
    monkeypatch.syspath_prepend(str(CLASS))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    return SimpleNamespace(**runpy.run_path(str(CLASS / "start.py")))


@pytest.mark.parametrize(
    ("words", "told"),
    [("--no-passwords --host=0.0.0.0", "anyone in your network"), ("--port=65534", "no port 65534"),
     ("--key=/nowhere", "https needs"), ("--certificate=/nowhere --key=/nowhere", "https needs")],
)  # fmt: skip
def test_what_can_not_work_or_lets_anyone_in_is_a_sentence_before_anything_starts(start, words, told):
    with pytest.raises(start.Stop, match=told):
        start.check(start.options(words.split()))


@needs_a_hub
def test_a_password_outlives_a_smaller_class_and_one_without_passwords(start, tmp_path, capsys):
    seen = []
    for words in ("ana ben", "ana", "ana --no-passwords", "ana ben", "ana ben --new-passwords"):
        start.settle(start.options(["--learners", *words.split()]), tmp_path, "")
        seen.append(re.findall(r"  (\w+) +password (?!as before)", capsys.readouterr().out))
    assert seen == [["ana", "ben", "instructor"], [], [], [], ["ana", "ben", "instructor"]]


@needs_a_hub
def test_a_login_ends_with_its_class(tmp_path):
    port = 7000 + os.getpid() % 3000 * 4
    command = [sys.executable, CLASS / "start.py", f"--port={port}", f"--folder={tmp_path}", "--endpoint=http://h"]
    me, seen = f"http://127.0.0.1:{port}/hub/api/users/ana", []
    for learners in (["ana"], ["ben"]):
        with subprocess.Popen([*command, "--learners", *learners], stdout=subprocess.PIPE, text=True) as process:
            try:
                said = "".join(takewhile(lambda line: "Leave this window open" not in line, process.stdout))
                if learners == ["ana"]:
                    password = re.search(r"ana +password (\w+)", said)[1]
                    body = {"auth": {"username": "ana", "password": password}}
                    head = {
                        "Authorization": f"token {requests.post(f'{me}/tokens', json=body, timeout=60).json()['token']}"
                    }
                seen.append(requests.get(me, headers=head, timeout=60).status_code)
            finally:
                process.send_signal(signal.SIGINT)
    assert seen == [200, 403], "who is no learner any more would start programs as the instructor"


def test_a_newer_course_leaves_what_a_learner_changed_and_puts_the_new_file_beside_it(tmp_path):
    renew = runpy.run_path(str(CLASS / "learner.py"))["renew"]
    course, own = tmp_path / "course", tmp_path / "own"
    lessons = [course / "notebooks" / name for name in ("a.ipynb", "b.ipynb")]
    lessons[0].parent.mkdir(parents=True)
    (course / "data/models").mkdir(parents=True)
    for file in (*lessons, course / "data/models/weights"):
        file.write_text("first")
    assert renew(course, own) == [] and not (own / "data").exists(), "weights stay where they are"
    mine = own / "notebooks/a.ipynb"
    mine.write_text("my work")
    assert renew(course, own) == [] and mine.read_text() == "my work", "nothing new, so nothing beside it"
    for file in lessons:
        file.write_text("second")
    assert renew(course, own) == ["notebooks/a.new.ipynb"]
    assert mine.read_text() == "my work" and (own / "notebooks/a.new.ipynb").read_text() == "second"
    assert (own / "notebooks/b.ipynb").read_text() == "second", "what was not changed is renewed"
    assert renew(course, own) == []
    (own / "notebooks/a.new.ipynb").write_text("my work, too")
    (own / ".given.json").write_text("")  # as a full disk leaves it
    lessons[0].write_text("third")
    assert renew(course, own) == ["notebooks/a.new.new.ipynb"] and mine.read_text() == "my work"
    assert (own / "notebooks/a.new.ipynb").read_text() == "my work, too"


@pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux")
def test_a_full_disk_leaves_no_half_lesson_and_the_learner_comes_in(tmp_path):
    full = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (3000, 3000))\nimport signal, runpy, sys\n"
    full += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); sys.argv = ['learner', 'echo', 'opened']\n"
    full += f"runpy.run_path({str(CLASS / 'learner.py')!r}, run_name='__main__')"
    env = {name: value for name, value in os.environ.items() if name != "SLMLAB_CACHE"} | {"HOME": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", full], env=env, capture_output=True, text=True)
    assert said.stdout.endswith("opened\n"), said.stderr
    files = [one.relative_to(tmp_path / "slm-lab") for one in tmp_path.rglob("slm-lab/**/*") if one.is_file()]
    assert all((ROOT / one).read_bytes() == (tmp_path / "slm-lab" / one).read_bytes() for one in files)


def test_the_cluster_says_what_the_table_says_and_has_room_for_each_lesson_of_the_readme():
    values = yaml.safe_load((CLASS / "values.yaml").read_text(encoding="utf-8"))
    table, learner = (CLASS / "jupyterhub_config.py").read_text(encoding="utf-8"), values["singleuser"]
    assert {name for name in learner["extraEnv"] if name.startswith("SLMLAB")} == set(
        re.findall(r'"(SLMLAB_(?!CLASS)\w+)":', table)
    )
    assert learner["defaultUrl"] in table and learner["cmd"][1].endswith("deploy/class/learner.py")
    assert "dummy" not in values["hub"]["config"]["JupyterHub"]["authenticator_class"].lower()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    needs = {row[0]: float(row[1]) for row in re.findall(r"^\| \[(\d\d) .*\| ([\d.]+) GB \|", readme, re.MULTILINE)}
    large, limit = learner["profileList"][1], float(learner["memory"]["limit"].removesuffix("G"))
    named = re.findall(r"\d\d", large["display_name"])
    assert named and max(needs[name] for name in named) < float(large["kubespawner_override"]["mem_limit"][:-1])
    assert len(needs) > 15 and max(needs[name] for name in needs if name not in named) < limit
    assert f'mem_limit = "{max(needs.values()):.0f}G"' in table, "the largest, for a table and for one server"
