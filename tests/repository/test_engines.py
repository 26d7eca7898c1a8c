"""The manifests of deploy/engines: valid for Kubernetes, without keys, closed to all but learners, one variable.

Without kubernetes-validate, which brings the schemas, the first test skips: python -m pip install kubernetes-validate
"""

import argparse
import re

import pytest
import yaml

from endpoint.start import register
from slmlab.catalog import card
from tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "engines"
FILES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))}
OBJECTS = {name: {one["kind"]: one for one in yaml.safe_load_all(text)} for name, text in FILES.items()}


def test_every_object_fits_the_schema_of_kubernetes():
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate isn't installed")
    for objects in OBJECTS.values():
        for one in objects.values():
            validator.validate(one, "1.34", strict=True)
    wrong = OBJECTS["vllm"]["Service"] | {"spec": {"ports": [{"port": "eight thousand"}]}}
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, "1.34", strict=True)


def test_learners_alone_reach_an_engine_at_the_address_that_its_file_names():
    for name, objects in OBJECTS.items():
        service, policy, pods = objects["Service"], objects["NetworkPolicy"]["spec"], objects["Deployment"]["spec"]
        labels = pods["template"]["metadata"]["labels"]
        assert labels == pods["selector"]["matchLabels"] == policy["podSelector"]["matchLabels"]
        assert labels == service["spec"]["selector"] and service["spec"]["type"] == "ClusterIP"
        (rule,), (port,) = policy["ingress"], service["spec"]["ports"]
        learner = {"app": "jupyterhub", "component": "singleuser-server"}
        assert [one["podSelector"]["matchLabels"] for one in rule["from"]] == [learner], "and nobody else"
        containers = pods["template"]["spec"]["containers"]
        (inside,) = [one for container in containers for one in container.get("ports", ())]
        assert port["targetPort"] == inside["name"] and rule["ports"][0]["port"] == inside["containerPort"]
        assert f"SLMLAB_ENDPOINT=http://{service['metadata']['name']}:{port['port']}/v1" in FILES[name]


def test_no_key_stands_in_a_file_and_what_was_never_run_says_so_at_its_top():
    for name, text in FILES.items():
        assert not re.search(r"(?i)(api[-_]?key|\b\w*_token|password)\s*[:=]\s*\S|[A-Za-z0-9+/_]{40,}", text), name
        assert "NEVER RUN" in text.partition("apiVersion")[0], name
    assert "NEVER RUN" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_vllm_serves_the_published_phi_under_the_name_that_a_lesson_asks_for():
    (vllm,) = OBJECTS["vllm"]["Deployment"]["spec"]["template"]["spec"]["containers"]
    phi = card("phi-3.5-mini")
    assert vllm["command"][:2] == ["vllm", "serve"] and vllm["command"][2] == phi.ids.hub
    assert f"--served-model-name={phi.id}" in vllm["args"]
    assert OBJECTS["vllm"]["Service"]["metadata"]["name"] != "vllm", "vLLM reads VLLM_PORT, which the cluster would set"


def test_our_own_endpoint_takes_the_options_of_its_file_and_listens_where_nginx_asks_it():
    own, door = OBJECTS["slmlab"]["Deployment"]["spec"]["template"]["spec"]["containers"]
    commands = argparse.ArgumentParser().add_subparsers()
    register(commands)
    taken = commands.choices["serve"].parse_args(own["args"])
    assert own["command"] == ["python", "-m", "slmlab", "serve"] and taken.host == "127.0.0.1" and taken.api_key is None
    conf = OBJECTS["slmlab"]["ConfigMap"]["data"]["nginx.conf"]
    assert f"proxy_pass http://127.0.0.1:{taken.port};" in conf
    assert f"listen {door['ports'][0]['containerPort']};" in conf
