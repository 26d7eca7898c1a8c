"""The engine over the openai package: the road of remote.py, with the SDK's own retries and redirects switched off."""

from collections.abc import Iterator

from slmlab.addresses import is_loopback
from slmlab.engines.events import events, read_list
from slmlab.engines.faults import Fault, fault_of_answer, fault_of_connection
from slmlab.engines.remote import CHAT, CONNECT_S, RemoteEngine
from slmlab.errors import MissingPackage, SlmLabError


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
        try:
            http = openai.DefaultHttpxClient(
                trust_env=not is_loopback(self.url), follow_redirects=False, timeout=limits
            )
        except Exception as problem:  # of many kinds, none of which says where the setting stands
            raise SlmLabError(
                f"This machine's settings for the network can't be used ({type(problem).__name__}). Look at the "
                "variables HTTPS_PROXY and ALL_PROXY (such as http://host:3128) and SSL_CERT_FILE (a file that is "
                "there), correct or unset them, and restart the lab."
            ) from problem
        key = self._place.key
        self._client = openai.OpenAI(
            base_url=self.url, api_key=key.reveal() if key else "none", max_retries=0, timeout=limits, http_client=http,
            organization="", project="",
        )  # fmt: skip

    def _open(self, path: str, body: dict) -> Iterator[dict]:
        resource = self._client.chat.completions if path == CHAT else self._client.completions
        # the SDK's own reader of streams knows fewer forms of them, and says less about what is none
        with resource.with_streaming_response.create(**body) as response:
            yield from events(response.iter_bytes(), response.headers, self._timeout_s)

    def _listed(self) -> object:
        response = self._client.models.with_raw_response.list()
        return read_list(response.text, response.headers)

    def _translate(self, problem: Exception) -> Fault | None:
        if isinstance(problem, self._sdk.APIStatusError):
            return fault_of_answer(problem.status_code, problem.response.headers, _text(problem.response))
        raw = type(problem).__module__.startswith("httpx")  # a body that breaks off leaves the SDK as it came
        if raw or isinstance(problem, self._sdk.APIConnectionError):
            return fault_of_connection(problem, self.url)
        return None

    def close(self) -> None:
        super().close()
        self._client.close()


def _text(response) -> str:
    try:
        return response.text
    except RuntimeError:  # a body that was never read
        return ""
