"""JupyterHub for a class of this course. One file for three places:

a table      start.py runs it, with the settings that it wrote into the class's folder (SLMLAB_CLASS names them)
one server   The Littlest JupyterHub loads it through tljh/slm_lab.py
a cluster    values.yaml says the same to Zero to JupyterHub; a test holds the two together
"""

import json
import os
import sys
from pathlib import Path

from jupyterhub.auth import Authenticator, DummyAuthenticator
from jupyterhub.utils import compare_token
from traitlets import Dict

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("SLMLAB_CACHE") or "~/.cache/slmlab").expanduser().absolute()
FIRST_LESSON = "/lab/tree/notebooks/00_start_here.ipynb"

c = get_config()  # noqa: F821

# For every place

# All that a learner's programs see of the hub's environment. It is a list of what may pass: no key is on it.
c.Spawner.env_keep = ["PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV"]
c.Spawner.environment = {
    "SLMLAB_ENDPOINT": os.environ.get("SLMLAB_ENDPOINT", "http://127.0.0.1:8003/v1"),  # load() asks it
    "SLMLAB_CACHE": str(CACHE),  # learner.py links to its models: weights are on this machine once
    "SLMLAB_OFFLINE": "1",  # nobody fetches 8 GB over the line that the class shares
}
# learner.py gives each learner a copy of the course, and then becomes the server
SERVER = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.cmd = [sys.executable, str(HERE / "learner.py"), *SERVER]
c.Spawner.args = ["--KernelManager.transport=ipc"]  # thirty at once took each other's ports
c.Spawner.notebook_dir = "~/slm-lab"
c.Spawner.default_url = FIRST_LESSON
c.Spawner.mem_limit = "4G"  # the largest of the README's table of lessons; learner.py holds it where the spawner can't
c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # on two cores the last of thirty logins at once waits long


# A table: one machine, and every server runs as the one who started the class


class LearnersPasswords(Authenticator):
    """One password for each learner, of which the class's settings hold the hash."""

    hashes = Dict(config=True)

    async def authenticate(self, handler, data):
        name = self.normalize_username(data["username"])
        kept = self.hashes.get(name)
        return name if kept and compare_token(kept, data["password"]) else None


def table(settings: dict, folder: Path) -> None:
    port = settings["port"]
    c.JupyterHub.bind_url = f"{settings['scheme']}://{settings['host']}:{port}"
    c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = settings["certificate"], settings["key"]
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 1}"
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port + 2}"  # always the same: servers outlive a hub that was killed
    c.ConfigurableHTTPProxy.command = settings["proxy"]
    c.ConfigurableHTTPProxy.pid_file = str(folder / "proxy.pid")
    c.JupyterHub.db_url = f"sqlite:///{folder / 'jupyterhub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(folder / "cookie_secret")
    c.JupyterHub.log_level = "WARN"
    c.JupyterHub.authenticator_class = LearnersPasswords if settings["asks_passwords"] else DummyAuthenticator
    names = {*settings["learners"], "instructor"}
    c.LearnersPasswords.hashes = {name: kept for name, kept in settings["passwords"].items() if name in names}
    c.Authenticator.allowed_users = names
    # The instructor sees who is there, and starts and stops servers. An admin could also look into them.
    scopes = ["self", "admin-ui", "list:users", "read:servers", "servers"]
    c.JupyterHub.load_roles = [{"name": "instructor", "scopes": scopes, "users": ["instructor"]}]
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(folder.parent / "learners" / "{username}")
    c.Spawner.mem_limit = f"{settings['memory_gb']}G"
    c.Spawner.cmd = [sys.executable, str(HERE / "learner.py"), f"--memory-gb={settings['memory_gb']}", *SERVER]
    c.Spawner.args += ["--allow-root"] if os.geteuid() == 0 else []  # as in most containers
    c.Spawner.environment["JUPYTER_RUNTIME_DIR"] = lambda spawner: f"{settings['sockets']}/{spawner.user.name}"


if path := os.environ.get("SLMLAB_CLASS"):
    table(json.loads(Path(path).read_text(encoding="utf-8")), Path(path).parent)
