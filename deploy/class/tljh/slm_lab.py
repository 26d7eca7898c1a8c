"""For The Littlest JupyterHub: copy this to /opt/tljh/config/jupyterhub_config.d/, then `tljh-config reload`.

The course stands in /opt/slm-lab, set up by root. Each learner has an account of the system: nobody reads another's
files, and systemd holds the limits. TLJH itself asks for passwords.
"""

import os

os.environ["SLMLAB_CACHE"] = "/opt/slm-lab/.cache"  # root's: learners read it
os.environ["SLMLAB_ENDPOINT"] = "http://127.0.0.1:8003/v1"  # slm-lab-endpoint.service keeps it running
load_subconfig("/opt/slm-lab/deploy/class/jupyterhub_config.py")  # noqa: F821

c = get_config()  # noqa: F821
PYTHON = "/opt/slm-lab/.venv/bin/python"
c.Spawner.cmd = [PYTHON, "/opt/slm-lab/deploy/class/learner.py", PYTHON, "-m", "jupyterhub.singleuser"]
c.SystemdSpawner.mem_limit = "4G"  # all of a learner's programs together; a larger one is ended by the system
c.SystemdSpawner.cpu_limit = 2.0  # cores: a loop without end takes no more
c.SystemdSpawner.isolate_tmp = True
# of the learner alone; kernels' sockets want a short path
c.Spawner.environment["JUPYTER_RUNTIME_DIR"] = "/tmp/jupyter"
c.SystemdSpawner.readonly_paths = ["/opt/slm-lab"]
