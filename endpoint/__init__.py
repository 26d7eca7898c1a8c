"""A server on this machine over a model, and the services whose protocol it can practise.

from endpoint import serve, practise
server = serve()                # OpenAI's protocol at server.url
nim = practise("nvidia")        # the live service where its key is set, else a practice server here
"""

from importlib import import_module

_HOMES = {"serve": "start", "practise": "practising", "Server": "start"}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'endpoint' has no attribute {name!r}. It has: {', '.join(__all__)}")
    found = globals()[name] = getattr(import_module(f"endpoint.{_HOMES[name]}"), name)
    return found


def __dir__():
    return __all__
