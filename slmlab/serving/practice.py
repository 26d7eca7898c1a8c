"""The profiles by name."""

from slmlab.serving.practice_azure import Foundry, GitHubModels
from slmlab.serving.practice_nvidia import Nvidia
from slmlab.serving.practice_ollama import Ollama
from slmlab.serving.profile import Profile

PROFILES = {one.name: one for one in (Profile, GitHubModels, Foundry, Nvidia, Ollama)}
