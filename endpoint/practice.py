"""The profiles by name."""

from endpoint.azure import Foundry, GitHubModels
from endpoint.nvidia import Nvidia
from endpoint.ollama import Ollama
from endpoint.profile import Profile

PROFILES = {one.name: one for one in (Profile, GitHubModels, Foundry, Nvidia, Ollama)}
