"""Hostile clients against a server of this machine: fuzz, raw HTTP, heavy bodies, slow ones, a soak, a storm.

Exit status 1 where the server fails (5xx), dies, answers wrongly, or lets /health wait. Every run sends the same
(--seed); --minutes N is for a longer soak. Nothing leaves this machine.
"""

import base64
import io
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import chain, product
from multiprocessing import get_context
from urllib.parse import urlsplit

import psutil
from measure import finish, machine_in_words, parser
from PIL import Image

from endpoint import serve

HEALTH_S = 0.3  # /health beside a heavy body, the best of three tries: what is only the machine's passes
BUSY_S = 2.0  # /health beside many clients, who share the server's cores
SLOW_S = 30  # who hasn't sent a whole request by then is cut off
REST_S = 40  # the server gives memory back after 30
BAD = ("5xx", "died", "wrong", "late")  # late: /health was
COLUMNS = ("tried", "answered", "refused", *BAD)
CHAT, JSON = "/v1/chat/completions", {"Content-Type": "application/json"}
HELLO = {"messages": [{"role": "user", "content": "Say only: yes."}], "max_tokens": 2}
BODIES = {CHAT: HELLO, "/v1/completions": {"prompt": "Yes,", "max_tokens": 2},
          "/v1/responses": {"input": "Yes?", "max_output_tokens": 2}, "/v1/embeddings": {"input": "yes"}}  # fmt: skip
FIELDS = """model messages prompt input stream stream_options max_tokens max_completion_tokens max_output_tokens
temperature top_p top_k seed stop n logprobs top_logprobs logit_bias presence_penalty frequency_penalty echo suffix
repetition_penalty response_format tools tool_choice instructions previous_response_id text user metadata store
parallel_tool_calls encoding_format dimensions constructor __proto__""".split()
SCHEMAS = ({"$ref": "#"}, {"$ref": "#/nowhere"}, {"minimum": "x"}, {"enum": []}, {"anyOf": [{}] * 999}, True, 7,
           {"type": "string", "pattern": "(a+)+$"}, {"type": "string", "pattern": "["})  # fmt: skip
PARTS = ({"type": "text"}, {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, {"type": 7}, 7)
VALUES = [None, True, False, 0, 1, -1, 2**31, 2**64, 10**400, 1e308, float("nan"), float("-inf"), 0.5, "", "yes", "\0",
          "\ud800", "<|im_end|>", "a" * 20_000, "\u2028\u202e", [], [[]], [1, 2], [-1], [""], ["a"] * 5000, [None], {},
          {"a": [{}]}, {"type": "text"}, {"type": "json_object"}, {"type": "json_schema"}, {"format": {"type": 7}},
          [{"role": "user"}], [{"role": "tool"}], *[[{"role": "user", "content": [one]}] for one in PARTS],
          *[{"type": "json_schema", "json_schema": {"name": "x", "schema": one}} for one in SCHEMAS],
          *[[{"type": "function", "function": {"name": "f", "parameters": one}}] for one in SCHEMAS]]  # fmt: skip
WORDS = "the sea wind boat rain light house river stone bird winter story small old green what why who writes".split()
NAMED = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
         "required": ["name", "age"], "additionalProperties": False}  # fmt: skip
TOOL = {"type": "function", "function": {"name": "find_person", "parameters": NAMED}}
PERSON = {"type": "json_schema", "json_schema": {"name": "person", "schema": NAMED}}
FORMS = {"plain": {}, "json_schema": {"response_format": PERSON}, "tools": {"tools": [TOOL], "tool_choice": "required"}}
# as long as a plain answer: else the clients end one by one, and fewer and fewer share a step
LONG = {"type": "object", "properties": {"story": {"type": "string", "minLength": 600}}, "required": ["story"]}
SPEEDS = {"plain": {}, "json_schema": {"response_format": {"type": "json_schema", "json_schema": {"schema": LONG}}}}
Answer = tuple[int, dict, bytes]  # status (0: no answer came), headers, body
Verdict = tuple[str, str]  # one of COLUMNS, and what was seen


def send(host: str, path: str, body: bytes | dict = b"", leave: bool = False) -> Answer:
    """One request; `leave` goes away after the first line of its answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = HTTPConnection(host, timeout=180)
    try:
        connection.connect()
        with suppress(ConnectionError):  # it may refuse before it has read all: the answer is there
            connection.request("POST" if data else "GET", path, data, JSON)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.readline() if leave else response.read()
    except (OSError, HTTPException) as fault:
        return 0, {}, repr(fault).encode()
    finally:
        connection.close()


def judged(answer: Answer) -> Verdict:
    """A refusal is clear when it says what is wrong, and a 429 when it says when to come back."""
    status, headers, body = answer
    seen = f"{status} {body[:160].decode(errors='replace')}"
    if status >= 500 or b'"server_error"' in body:  # in the middle of a stream, too
        return "5xx", seen
    if status < 400:
        return ("answered" if status else "died"), seen
    with suppress(ValueError, KeyError, TypeError):  # not JSON: uvicorn's own words, for what isn't HTTP
        body = json.loads(body)["error"]["message"]
    return ("refused" if len(body) > 9 and (status != 429 or "retry-after" in headers) else "wrong"), seen


class Watched:
    """A server, and another process that asks its /health all the time; `area` judges, counts and prints."""

    def __init__(self, seed: int):
        self.server, self.random, self.totals = serve(), random.Random(seed), Counter()
        self.host, self.process = urlsplit(self.server.url).netloc, psutil.Process(self.server._process.pid)
        context = get_context("spawn")
        self._longest = context.Value("d", 0.0)
        context.Process(target=watch, args=(self.host, self._longest), daemon=True).start()
        print(f"{'':20}" + "".join(f"{name:>9}" for name in COLUMNS) + "   /health at most")

    def area(self, name: str, run: Callable[[], Iterable[Verdict]], most_s: float = BUSY_S, tries: int = 1) -> None:
        self._longest.value = 0.0
        found = list(run())
        send(self.host, "/health")  # whatever froze it is over when this is answered
        time.sleep(0.1)
        longest, counts = self._longest.value, Counter(kind for kind, _ in found)
        if most_s < longest < 5 * most_s and tries > 1:
            return self.area(name, run, most_s, tries - 1)
        counts += Counter(tried=len(found), died=not self.server.is_running, late=longest > most_s)
        print(f"{name:20}" + "".join(f"{counts[one]:9}" for one in COLUMNS) + f"   {longest:.2f} s", flush=True)
        bad = dict.fromkeys(f"    {kind}: {seen}\n" for kind, seen in found if kind in BAD)
        print("".join(list(bad)[:5]), end="")
        self.totals += counts

    def memory(self) -> int:
        return round(self.process.memory_info().rss / 1e6) if self.server.is_running else 0


def watch(host: str, longest) -> None:
    while True:
        began = time.perf_counter()
        send(host, "/health")
        longest.value = max(longest.value, time.perf_counter() - began)
        time.sleep(0.02)


def fuzzed(watched: Watched, count: int) -> Iterator[Verdict]:
    """Every field with every hostile value, bodies with bytes that are changed, depth, numbers, encodings."""
    chance, whole = watched.random, json.dumps(HELLO).encode()
    cases = [(path, body | {field: value}) for (path, body), field, value in product(BODIES.items(), FIELDS, VALUES)]
    cases = chance.sample(cases, min(count, len(cases)))
    for path, body in BODIES.items():
        for _ in range(count // 16):
            data = bytearray(json.dumps(body).encode())
            for place in chance.sample(range(len(data)), 3):
                data[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
            cases.append((path, bytes(data)))
        for depth in (99, 5000, 90_000):
            cases += [(path, b'{"a":' * depth), (path, b'{"metadata":%s%s}' % (b"[" * depth, b"]" * depth))]
    odd = [b"", b"null", b"\xef\xbb\xbf" + whole, whole.decode().encode("utf-16"), whole[:-1], whole * 2, bytes(99)]
    odd += [whole.replace(b"2", one) for one in (b"1e999", b"9" * 5000, b"-0.0", b"0x2")]
    with ThreadPoolExecutor(8) as threads:
        yield from threads.map(lambda case: judged(send(watched.host, *case)), cases + [(CHAT, one) for one in odd])


def request(line: str, *headers: str, body: str = "", host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", body]).encode("latin-1")


TWO = b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
RAW = [  # what is sent, and the statuses that are right for it; 0: it is cut off without a word
    *[(request("GET /", host=one), (400, 403)) for one in ("evil.com", "127.0.0.1.a.com", "[", "a@127.0.0.1")],
    *[(request("GET /", f"Origin: {one}"), (403,)) for one in ("https://evil.com", "null", "http://localhost.a")],
    *[(request(f"GET {one}"), (400, 404)) for one in ("/../../etc/passwd", "/v1/%2e%2e/%2e%2e/etc/passwd",
                                                      "//etc/passwd", "/v1/models%00", "/" + "a" * 9000)],
    *[(request("GET /health", one), (200, 400, 403, 431)) for one in ("X: " + "a" * 200_000, "X : 1", " a", "X: \0")],
    *[(one, (0, 400, 404, 405)) for one in (b"\x16\x03\x01\2\0\1\0" + bytes(99), b"GET /\r\n\r\n", b"\r\n" * 50,
                                            request("FOO /v1/models"), request("TRACE /"), b"PRI * HTTP/2.0\r\n\r\n")],
    (request(f"POST {CHAT}", "Content-Length: -5"), (400,)),
    (request(f"POST {CHAT}", "Content-Length: 5000", body="{"), (0, 400, 408)),
    (request(f"POST {CHAT}", "Transfer-Encoding: chunked", body="zz\r\n{}\r\n0\r\n\r\n"), (0, 400)),
    (TWO + request("GET /v1/models"), (400, 405)),
    (request("GET /health"), (200,)),
]  # fmt: skip


def raw(watched: Watched) -> Iterator[Verdict]:
    """Bytes as no library sends them. The last client says that it has sent all, and is answered even so."""
    for data, right in RAW:
        with socket.create_connection(watched.host.split(":"), timeout=2) as line, io.BytesIO() as heard:
            with suppress(OSError):
                line.sendall(data)
                if data is RAW[-1][0]:
                    line.shutdown(socket.SHUT_WR)
                while heard.write(line.recv(65_536)):
                    pass
            said = heard.getvalue()
        status = int(said[9:12]) if said.startswith(b"HTTP/") else 0
        good = status in right and said.count(b"HTTP/1.") < 2 and b"root:" not in said
        kind = "answered" if status == 200 else "refused"
        yield kind if good else "5xx" if status >= 500 else "wrong", f"{data[:90]!r}: {said[:60]!r}"


def heavy() -> dict[str, bytes]:
    file, hello = io.BytesIO(), json.dumps(HELLO)[:-1]
    Image.new("RGB", (7000, 7000)).save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    seen = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}] * 30}
    return {"30 pictures": json.dumps({"messages": [seen]}).encode(),
            "3,000,000 lists": (hello + ', "x": [' + "[]," * 3_000_000 + "[]]}").encode(),
            "290,000 messages": json.dumps({"messages": [{"role": "user", "content": ""}] * 290_000}).encode(),
            "200,000 keys": (hello + "".join(f', "k{number}": 0' for number in range(200_000)) + "}").encode(),
            "100 MB": (hello + ', "x": "' + "a" * 100_000_000 + '"}').encode()}  # fmt: skip


def slow(host: str, number: int) -> Verdict:
    """A request that never becomes whole, though a byte comes now and then: in its headers, or in its body."""
    head, end = f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\n", time.monotonic() + SLOW_S
    with socket.create_connection(host.split(":")) as line:
        line.settimeout(1)
        with suppress(ConnectionError):
            line.sendall((head + ("Content-Length: 900\r\n\r\n{" if number % 2 else "")).encode())
            while time.monotonic() < end:
                with suppress(TimeoutError):
                    line.sendall(b"x")
                    return "refused", f"cut off: {line.recv(999)}"
            return "wrong", f"a request that isn't whole after {SLOW_S} s is still waited for"
    return "refused", "cut off"


def said(answer: Answer) -> tuple[str, str]:
    """What an answer says, and the call that it makes, without what is new each time."""
    body = answer[2] if answer[0] == 200 else b"{}"
    lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")] or [body]
    choices = [choice for line in lines for choice in json.loads(line).get("choices", [])]
    parts = [choice.get("delta") or choice.get("message") or {} for choice in choices]
    calls = [call["function"] for part in parts for call in part.get("tool_calls") or []]
    text = "".join(part.get("content") or "" for part in parts)
    return text, "".join((one.get("name") or "") + (one.get("arguments") or "") for one in calls)


def alone(watched: Watched, forms: list[str], references: dict[str, tuple], count: int) -> Iterator[Verdict]:
    """The answers of a single client, to which those of others are compared: the known ones again, and new ones."""
    for asked, right in references.items():
        yield "answered" if said(send(watched.host, CHAT, asked.encode())) == right else "wrong", asked
    for number in range(count):
        form, chance = forms[number % len(forms)], watched.random
        text = " ".join(chance.choices(WORDS, k=chance.choice((3, 8, 20, 60, 250))))
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": chance.randint(20, 100)} | FORMS[form]
        asked = json.dumps(body if form == "plain" else body | {"max_tokens": 100})
        verdict = judged(answer := send(watched.host, CHAT, asked.encode()))
        references[asked] = said(answer)
        written = "".join(references[asked]).removeprefix("find_person")
        is_right = form == "plain"
        with suppress(ValueError):
            is_right = is_right or set(json.loads(written)) == {"name", "age"}
        yield verdict if is_right else ("wrong", f"{form}: {written}")


def soaked(watched: Watched, references: dict[str, tuple], until: float, seed: int) -> list[Verdict]:
    """One client of many: whole, streamed and cancelled answers, and each that is finished is the single client's."""
    chance, found = random.Random(seed), []
    while time.monotonic() < until:
        body, kind = chance.choice(list(references)), chance.choice(("whole", "streamed", "streamed", "cancelled"))
        asked = json.dumps(json.loads(body) | {"stream": kind != "whole"}).encode()
        verdict = judged(answer := send(watched.host, CHAT, asked, leave=kind == "cancelled"))
        same = kind == "cancelled" or verdict[0] != "answered" or said(answer) == references[body]
        found.append(verdict if same else ("wrong", f"{said(answer)} in place of {references[body]}"))
    return found


def speed(host: str, clients: int, form: dict) -> float:
    """All clients' tokens per second."""
    body = {"messages": [{"role": "user", "content": "Write a story of a crow."}], "max_tokens": 64} | form
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        answers = [json.loads(one[2]) for one in threads.map(lambda _: send(host, CHAT, body), range(clients))]
    return sum(one["usage"]["completion_tokens"] for one in answers) / (time.perf_counter() - began)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=3, help="how long the soak lasts")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    watched, references, threads = Watched(given.seed), {}, ThreadPoolExecutor(400)
    host, quick, memory = watched.host, given.quick, {"start": watched.memory()}
    slow_ones = [threads.submit(slow, host, number) for number in range(20 if quick else 150)]
    try:
        watched.area("JSON fuzz", partial(fuzzed, watched, 200 if quick else 4000))
        watched.area("raw HTTP", partial(raw, watched))
        for name, body in heavy().items():
            watched.area(name, lambda body=body: [judged(send(host, CHAT, body))], HEALTH_S, tries=3)
        watched.area("one client", partial(alone, watched, list(FORMS), references, 6 if quick else 54))
        client = partial(soaked, watched, references, time.monotonic() + (6 if quick else given.minutes * 60))
        watched.area("soak, 32 clients", lambda: chain.from_iterable(threads.map(client, range(32))))
        memory["after 32 clients"] = watched.memory()
        body = json.dumps(HELLO | {"max_tokens": 20}).encode()
        watched.area("storm of 200", lambda: threads.map(lambda _: judged(send(host, CHAT, body)), range(200)))
        watched.area("slow requests", lambda: [one.result() for one in slow_ones])
        watched.area("one client again", partial(alone, watched, list(FORMS), references, 0))
        memory["after all"] = watched.memory()
        rates = {name: [speed(host, many, form) for many in (1, 8)] for name, form in SPEEDS.items()}
        if not quick:
            time.sleep(REST_S)
            memory["after a rest"] = watched.memory()
    finally:
        watched.server.stop()
    print(f"{machine_in_words()}; MB of memory: " + ", ".join(f"{name} {size:,}" for name, size in memory.items()))
    for form, (one, eight) in rates.items():
        print(f"{form}: {one:.0f} tokens/s with one client, {eight:.0f} with 8, {eight / one:.2f} times")
    bad = {kind: watched.totals[kind] for kind in BAD}
    finish(**bad, **{name.replace(" ", "_") + "_mb": size for name, size in memory.items()})
    raise SystemExit(any(bad.values()))


if __name__ == "__main__":
    main()
