"""A model that a service runs, over the openai package: the streams, the tries and the pauses are the SDK's own.

Turns what the SDK gives into Start, Token and End, and its exceptions into ProviderErrors that say what to do next.
"""

import re
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from math import exp
from time import perf_counter

import openai
from pydantic import SecretStr

from slmlab.catalog import Card
from slmlab.connecting import Provider, is_loopback
from slmlab.engines.base import Engine
from slmlab.errors import BadRequest, IncompleteAnswer, ProviderError
from slmlab.records import End, Event, Message, Reply, Sampling, Start, Token, TokenProbability

TRIES = 3
LONGEST_WAIT_S = 120  # the SDK waits as long as a Retry-After asks, up to this; beyond, it gives up at once
FAULTS = (openai.OpenAIError, ValueError, RuntimeError)  # the last two: an event that is no JSON, a closed client
FOREIGN = {"beams": 1, "top_k": 0, "repetition_penalty": 1.0, "scorer": None, "grammar": None}
# what becomes of a setting that a model refuses: another name, or nothing; the rest is never left out in silence
INSTEAD = dict.fromkeys(("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "stream_options"), "")
INSTEAD |= {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
SETTINGS = {*INSTEAD, "stop", "logprobs", "top_logprobs"}
UNSUPPORTED = re.compile(r"un(supported|recognized|known)|n[o']t (support|permit)|extra .*not allowed", re.I)
REASONS = {"length": "length", "content_filter": "filtered"}
_learned: dict[tuple[str, str], dict[str, str]] = {}  # (url, model): what is sent there instead of what it refused


class RemoteEngine(Engine):
    """A model behind OpenAI's protocol. Its tokens are the pieces that the server sends; the server counts them."""

    engine = "openai"
    always: tuple[str, ...] = ()  # the settings that are sent also where nobody asked for them

    def __init__(self, card: Card, provider: Provider, url: str, model: str, key: SecretStr | None, timeout_s: float):
        super().__init__(card)
        self.provider, self.url, self.model, self._key = provider, url, model, key
        # a try is stamped: the time to the first piece begins at the one that was answered, not before its wait
        hooks: dict[str, list] = {"request": [lambda request: request.extensions.update(sent_s=perf_counter())]}
        hooks["response"] = [self._say_wait]
        # a proxy can't reach this machine's own servers, and a key is for the address that was named
        rules = {"trust_env": not is_loopback(url), "follow_redirects": False}
        options = {"organization": "", "project": ""}  # else the SDK sends those of the environment
        options["timeout"] = openai.Timeout(timeout_s, connect=10)  # a host that is there takes a connection at once
        options["http_client"] = openai.DefaultHttpxClient(event_hooks=hooks, **rules)
        secret = key.get_secret_value() if key else "none"
        self._client = openai.OpenAI(base_url=url, api_key=secret, max_retries=TRIES - 1, **options)

    def models(self) -> list[str]:
        listed = self._try(self._client.get, path="/models", cast_to=object)  # models.list() fails on a page of HTML
        if isinstance(listed, dict) and listed.get("data"):
            return [one["id"] for one in listed["data"]]
        raise self._none_came("name of a model")

    def close(self) -> None:
        self._client.close()

    def __repr__(self):
        return f"{self.name} · {self.engine} · {self.provider.name} at {self.url}"

    def _answer(self, messages: list[Message], sampling: Sampling, on_end) -> Reply:
        body = self._settings(sampling) | {"messages": [self._sent(one) for one in messages]}
        return Reply(lambda: self._stream(body), self.name, on_end)

    def _settings(self, sampling: Sampling) -> dict:
        """The settings that were asked for; what the protocol has no word for is refused, not dropped."""
        given = vars(sampling) | {"max_completion_tokens": sampling.max_tokens}
        if foreign := [name for name, plain in FOREIGN.items() if given[name] != plain]:
            raise BadRequest(f"{foreign[0]} isn't part of OpenAI's protocol. What slmlab.load() gives takes it.")
        body = {"model": self.model, "stream": True, "stream_options": {"include_usage": True}}
        if sampling.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "a", "schema": sampling.schema}}
        names = (*self.always, *sampling.asked)
        return body | {one: given[one] for one in names if one in SETTINGS and given[one] not in (None, ())}

    def _sent(self, message: Message) -> dict:
        most = self.provider.img_tags and self.provider.image_characters
        for picture in message.images:
            if most and len(picture.base64) >= most:
                size = f"The picture has {len(picture.base64):,} characters in base64; fewer than {most:,} are taken"
                raise BadRequest(f"{size}. Make it smaller: slmlab.as_picture(...).within({most:_})")
        content = message.content
        if self.provider.img_tags:
            content = " ".join([content, *(f'<img src="{picture.data_url}" />' for picture in message.images)])
        elif message.images:
            pictures = [{"type": "image_url", "image_url": {"url": picture.data_url}} for picture in message.images]
            content = [{"type": "text", "text": content}, *pictures]
        return {"role": message.role, "content": content}

    def _try(self, call: Callable, **options):
        """What a call of the SDK gives, or its fault as a ProviderError."""
        try:
            return call(**options)
        except FAULTS as problem:
            fault = self._error(problem)
        raise fault  # after the except block: else __context__ keeps the SDK's frames, where a header holds the key

    def _create(self, body: dict):
        """The chunks of an answer. A setting that the model refuses is renamed or left out: said once, and kept."""
        learned = _learned.setdefault((self.url, self.model), {})
        while True:  # each time round learns one setting more
            sent = {its: value for name, value in body.items() if (its := learned.get(name, name))}
            try:
                return self._client.chat.completions.create(**sent)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as problem:
                named = re.search(rf"\b({'|'.join(SETTINGS & sent.keys())})\b", str(problem.param or _words(problem)))
                name = named[1] if named and UNSUPPORTED.search(_words(problem)) else None
                instead = INSTEAD.get(name)
                if name is None or instead is None or instead in learned:
                    raise
            if name not in learned:  # another thread may have been told the same
                becomes = f"sent as {instead}" if instead else "left out"
                print(f"{self.model} at {self.provider.name} takes no {name}: it is {becomes} from now on.")
            learned[name] = instead

    def _stream(self, body: dict) -> Iterator[Event]:
        """A Start when the server takes the request, a Token for each piece, an End."""
        for _ in range(2):  # the SDK repeats a request, but no stream that breaks before its first piece
            pieces, reason, usage, fault = 0, None, None, None
            with self._try(self._create, body=body) as chunks:
                yield Start(chunks.response.request.extensions["sent_s"])
                try:
                    for chunk in chunks:
                        usage = chunk.usage or usage
                        for choice in chunk.choices:  # Azure's first chunk has none: it tells what its filter found
                            tokens = _tokens(choice)
                            pieces += len(tokens)
                            yield from tokens
                            reason = choice.finish_reason or reason
                except FAULTS as problem:
                    fault = self._error(problem)
            if pieces or reason:
                break
        else:
            raise fault or self._none_came("stream")
        told = None if reason else f"{fault or 'The stream stopped before its end.'} What had arrived is kept."
        if reason == "length" and not pieces:
            told = f"{self.provider.name} sent no text within max_tokens: raise it for a model that thinks first."
        if told:  # at no line of a file: Python shows a line's warning only once, and each cut answer counts
            warnings.warn_explicit(told, IncompleteAnswer, "slmlab", 1)
        reason = REASONS.get(reason, "end") if reason else "incomplete"
        yield End(perf_counter(), reason, usage and usage.prompt_tokens, usage and usage.completion_tokens, told)

    def _none_came(self, what: str) -> ProviderError:
        return ProviderError(f"{self.provider.name}: no {what} came from {self.url}.", "A proxy, or a wrong URL?")

    def _error(self, problem: Exception) -> ProviderError:
        """An exception of the SDK as a reader sees it: what happened, at whom, and what to do next."""
        status, code, advice = getattr(problem, "status_code", None), getattr(problem, "code", None), ""
        if status:
            advice = self._advice(status, code, _wait_s(problem.response))
        elif isinstance(problem, openai.APIConnectionError):
            start = self.provider.go_to if is_loopback(self.url) else ""
            advice = f"Asked {self.url}: does a server run there, and is there a network? {start}"
        said = _words(problem)
        if self._key:  # some services repeat a key when they refuse it
            said = re.sub(re.escape(self._key.get_secret_value()), "[key]", said, flags=re.I)
        who = f"{self.provider.name} ({status})" if status else self.provider.name
        return ProviderError(f"{who}: {said[:500].rstrip('. ')}.", advice, status=status, code=code)

    def _advice(self, status: int, code: str | None, wait_s: float) -> str:
        who = self.provider
        if code == "content_filter":
            return "The service's content filter refused the prompt: word it differently."
        if wait_s > LONGEST_WAIT_S:
            until, (hours, minutes) = datetime.now() + timedelta(seconds=wait_s), divmod(round(wait_s / 60), 60)
            resets = f"it resets at {until:%H:%M on %Y-%m-%d}, in {hours:,} h {minutes} min"
            return f"A limit is used up: {resets}. Until then: another model, or a local one."
        if status in (401, 403):
            hint = "The key was refused" if self._key else "No key was sent"
            hint = f"{hint}{' for this' if status == 403 else ''}. {who.key_hint}"
            if who.status == "retired":  # it gives out no new key
                return f"{hint} {who.go_to}"
            return f"{hint} Check {who.key_names}; a new one: {who.key_from}" if who.key_names else hint
        if status == 404:
            return who.name_hint.format(model=self.model, url=self.url)
        if status == 410:
            name = who.name.removesuffix(" (practice)")
            retired = f", whatever the message says. {name} was retired on {who.status_date}"
            return f"Gone for good{retired if who.status == 'retired' else ''}. {who.go_to}"
        if status == 413:
            return "Shorten the prompt or the conversation, or ask about one part at a time."
        if status in (408, 409, 429) or status >= 500:
            return f"Tried {TRIES} times. Try again later, or go on locally: slmlab.load()."
        return f"Asked {self.url}; trying again won't help. Leave out what it refuses, or ask another model."

    def _say_wait(self, response) -> None:
        """Print what the SDK does without a word: it waits as long as the service asks, and tries again."""
        tries = 1 + int(response.request.headers.get("x-stainless-retry-count", 0))
        wait_s = _wait_s(response)
        if response.is_error and tries < TRIES and 1 <= wait_s <= LONGEST_WAIT_S:
            print(f"{self.provider.name} asks to wait {wait_s:.0f} s; then try {tries + 1} of {TRIES}.")


def _tokens(choice) -> list[Token]:
    """A piece of text, as its tokens where the server told each one's log-probability."""
    now, text = perf_counter(), choice.delta.content or ""
    told = choice.logprobs.content or [] if choice.logprobs else []
    tokens = []
    for one in told:
        top = tuple(TokenProbability(None, likely.token, exp(likely.logprob)) for likely in one.top_logprobs)
        tokens.append(Token(None, one.token, now, one.logprob, top))
    whole = "".join(token.text for token in tokens) == text  # else none was told, or they are no part of this piece
    return tokens if whole else [Token(None, text, now)]


def _words(problem: Exception) -> str:
    """What a service says, whichever shape of data/providers.toml its error has, or what the library below says."""
    said = getattr(problem, "body", None) or problem.__cause__ or problem
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail") or said.get("title") or said
    return " ".join(str(said).split())


def _wait_s(response) -> float:
    """The seconds that a service asks to wait; 0 also for a date, which the SDK reads by itself."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.replace(".", "", 1).isdecimal() else 0
