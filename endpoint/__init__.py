"""A server on this machine over a model, and the services whose protocol it can practise.

from endpoint import serve, practise
server = serve()                # OpenAI's protocol at server.url
nim = practise("nvidia")        # the live service where its key is set, else a practice server here
"""

from endpoint.start import Server, practise, serve

__all__ = ["serve", "practise", "Server"]
