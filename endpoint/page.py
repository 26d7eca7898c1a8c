"""The page that a browser sees at the server's root: what answers here, under which paths, and a call to copy."""

import json
from html import escape

STYLE = """
body { font: 17px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #222 }
code, pre { font: 15px/1.5 ui-monospace, monospace; background: #f3f4f6; border-radius: 4px }
code { padding: .1em .3em }
pre { padding: 1rem; overflow: auto }
h1 { font-size: 1.5rem }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616 } code, pre { background: #2a2a2a } }
"""


def sentence(profile) -> str:
    """Who answers, and what is only imitated: the first line of the page and of the log."""
    model = f"{profile.engine.name} ({profile.engine.precision or profile.engine.engine})"
    if profile.name == "local":
        return f"Answers come from {model}, running on this machine; the protocol is OpenAI's."
    return f"Answers come from {model}, running on this machine; the protocol of {profile.title} is imitated."


def page(profile, root: str) -> str:
    model = profile.models()[0]
    key = " -H 'Authorization: Bearer YOUR_KEY'" if profile.wants_key else ""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Why is the sky blue?"}]})
    call = f"curl {root}{profile.chat_paths[0]}{key} -H 'Content-Type: application/json' -d '{body}'"
    paths = (*profile.chat_paths, *profile.completion_paths, *profile.model_paths, "/health", profile.metrics_path)
    rows = "".join(f"<li><code>{escape(path)}</code></li>" for path in paths)
    names = ", ".join(f"<code>{escape(one)}</code>" for one in profile.models())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>SLM Lab server</title><style>{STYLE}</style>'
        f"<h1>SLM Lab: a model on this machine</h1><p>{escape(sentence(profile))}</p><p>Models: {names}.</p>"
        f"<p>A client's base URL is <code>{escape(root + profile.base)}</code>. Paths:</p><ul>{rows}</ul>"
        f"<p>Ask from a terminal:</p><pre>{escape(call)}</pre></html>"
    )
