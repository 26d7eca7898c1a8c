"""The engine over the openai package: the road of remote.py, with the SDK's own retries and redirects switched off."""

import json
from collections.abc import Iterator

from slmlab.addresses import is_loopback
from slmlab.engines.faults import Broken, Fault, fault_of_answer, fault_of_connection, fault_of_event
from slmlab.engines.remote import CHAT, CONNECT_S, RemoteEngine
from slmlab.errors import MissingPackage


class OpenAIEngine(RemoteEngine):
    """A model behind OpenAI's protocol, through the openai SDK."""

    engine = "openai"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        try:
            import openai
        except ImportError as fault:
            raise MissingPackage('The openai package is missing. Install it: pip install "openai>=3.52"') from fault
        self._sdk = openai
        limits = openai.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s))
        # a proxy of the environment can't reach this machine's own servers, and no key follows a redirect
        http = openai.DefaultHttpxClient(trust_env=not is_loopback(self.url), follow_redirects=False, timeout=limits)
        key = self._place.key
        self._client = openai.OpenAI(
            base_url=self.url, api_key=key.reveal() if key else "none", max_retries=0, timeout=limits, http_client=http,
            organization="", project="",
        )  # fmt: skip

    def _open(self, path: str, body: dict) -> Iterator[dict]:
        resource = self._client.chat.completions if path == CHAT else self._client.completions
        stream = resource.create(**body)
        try:
            self._check_kind(stream.response)
            for chunk in stream:
                yield chunk.to_dict(mode="json", warnings=False)
        finally:
            stream.close()

    def _check_kind(self, response) -> None:
        """A success that is no stream of events: a proxy's page, or an answer all at once."""
        kind = response.headers.get("content-type", "")
        if "html" in kind or "json" in kind:
            response.read()
            fault = fault_of_answer(response.status_code, response.headers, response.text)
            raise Broken(fault if fault.kind else Fault(f"no stream came, but {kind}: {fault.message}"))

    def _listed(self) -> object:
        response = self._client.models.with_raw_response.list()
        if "json" not in response.headers.get("content-type", ""):
            raise Broken(fault_of_answer(response.status_code, response.headers, response.text))
        return json.loads(response.text)

    def _translate(self, problem: Exception) -> Fault | None:
        if isinstance(problem, self._sdk.APIStatusError):
            return fault_of_answer(problem.status_code, problem.response.headers, _text(problem.response))
        if isinstance(problem, self._sdk.APIConnectionError):
            return fault_of_connection(problem, self.url)
        if isinstance(problem, self._sdk.APIError):
            return fault_of_event(problem.body if problem.body is not None else problem.message)
        return None

    def close(self) -> None:
        super().close()
        self._client.close()


def _text(response) -> str:
    try:
        return response.text
    except RuntimeError:  # a body that was never read
        return ""
