"""A server on this machine over a model, and the services whose protocol it can practise.

from endpoint import serve, practise
server = serve()                # OpenAI's protocol at server.url
nim = practise("nvidia")        # the live service where its key is set, else a practice server here
vectors, ids = vectors_of(texts)  # texts as arrows, and how many ids were read
"""

from endpoint.embeddings import vectors_of
from endpoint.start import Server, practise, serve

__all__ = ["serve", "practise", "Server", "vectors_of"]
