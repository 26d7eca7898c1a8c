"""The engine over azure-ai-inference, the retired SDK of GitHub Models and Azure AI: the road of remote.py.

The SDK's reader of streams knows one form of each line only; its bytes are mended here.
"""

import json
import logging
from collections.abc import Iterator, Mapping

from slmlab.addresses import is_loopback
from slmlab.engines.events import events, read_list
from slmlab.engines.faults import Broken, Fault, fault_of_answer, fault_of_connection
from slmlab.engines.remote import CONNECT_S, RemoteEngine
from slmlab.errors import BadRequest, MissingPackage

EXTRAS = ("logprobs", "top_logprobs", "stream_options")  # what the SDK has no argument for


class AzureEngine(RemoteEngine):
    """A model behind the protocol of Azure AI Inference, through its SDK."""

    engine = "azure"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        try:
            from azure.ai.inference import ChatCompletionsClient
            from azure.core import exceptions
            from azure.core.credentials import AzureKeyCredential
            from azure.core.rest import HttpRequest
        except ImportError as fault:
            raise MissingPackage(
                'The azure-ai-inference package is missing. Install it: pip install "azure-ai-inference==1.0.0b9"'
            ) from fault
        self._errors, self._request = exceptions, HttpRequest
        if not logging.getLogger("azure").handlers:  # else it prints a warning of its own beside ours
            logging.getLogger("azure").addHandler(logging.NullHandler())
        key = self._place.key
        self._client = ChatCompletionsClient(
            endpoint=self.url, credential=AzureKeyCredential(key.reveal() if key else "none"), retry_total=0,
            redirect_max=0, permit_redirects=False, connection_timeout=min(CONNECT_S, self._timeout_s),
            read_timeout=self._timeout_s, use_env_settings=not is_loopback(self.url),
            per_call_policies=[_mending(self._timeout_s)],
        )  # fmt: skip

    def complete(self, text: str, **settings):
        raise BadRequest("This SDK knows chats only. Ask with .ask(), or connect with sdk='openai'.")

    def _open(self, path: str, body: dict) -> Iterator[dict]:
        extras = {name: body[name] for name in EXTRAS if name in body}
        known = {name: value for name, value in body.items() if name not in extras}
        stream = self._client.complete(**known, model_extras=extras or None)
        try:
            for update in stream:
                yield update.as_dict()
        finally:
            stream.close()

    def _listed(self) -> object:
        response = self._client.send_request(self._request("GET", f"{self.url}/models"))
        if response.status_code != 200:
            raise Broken(fault_of_answer(response.status_code, response.headers, response.text()))
        return read_list(response.text(), response.headers)

    def _translate(self, problem: Exception) -> Fault | None:
        response = getattr(problem, "response", None)
        if isinstance(problem, self._errors.HttpResponseError) and response is not None and problem.status_code != 200:
            return fault_of_answer(problem.status_code, response.headers, response.text())
        if isinstance(problem, self._errors.DecodeError) and not isinstance(problem, self._errors.IncompleteReadError):
            return None
        if isinstance(problem, self._errors.AzureError):
            return fault_of_connection(problem, self.url)
        return None

    def close(self) -> None:
        super().close()
        self._client.close()


def _mending(silence_s: float):
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class Mending(SansIOHTTPPolicy):
        """Stands between the connection and the SDK's reader of streams."""

        def on_response(self, request, response):
            answer = response.http_response
            if (
                answer.status_code != 200
                or not request.context.options.get("stream", True)
                or answer.is_stream_consumed
            ):
                return
            if "chunked" not in answer.headers.get("transfer-encoding", ""):
                answer._block_size = 1  # else a piece is held back until 4096 bytes are there
            read = answer.iter_bytes
            answer.iter_bytes = lambda **options: mended(read(), answer.headers, silence_s)

    return Mending()


def mended(blocks: Iterator[bytes], headers: Mapping[str, str], silence_s: float) -> Iterator[bytes]:
    """The events of a stream in the one form that the SDK reads: 'data: {...}' and a line feed."""
    for event in events(blocks, headers, silence_s):
        yield b"data: " + json.dumps(event).encode() + b"\n"
