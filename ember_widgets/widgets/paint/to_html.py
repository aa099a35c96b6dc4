"""The widget as a page of its own: no kernel, no network, nothing but the file."""

from __future__ import annotations

import base64
import html
import json
from typing import Any

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; max-width: 1000px; padding: 16px; font-family: system-ui, sans-serif; }}
{css}
</style>
<div id="ember"></div>
<script type="application/json" id="told">{told}</script>
<script type="application/json" id="module">{module}</script>
<script type="module">
// The widget's module, from the text above: nothing has to know how it is built.
const source = JSON.parse(document.getElementById("module").textContent);
const url = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
const {{ default: make }} = await import(url);
URL.revokeObjectURL(url);
// A kernel that has said all it knows: it tells the page how things stand, and answers nothing else.
const told = JSON.parse(document.getElementById("told").textContent);
const bytes = text => new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
const heard = [];
const model = {{
  get: name => name === "_panel" ? "all" : undefined,
  set() {{}}, save_changes() {{}}, off() {{}},
  on: (event, callback) => event === "msg:custom" && heard.push(callback),
  send: message => {{
    if (message.type === "hello")
      for (const [content, buffers] of told) {{
        const mine = {{ ...content, client: message.client, frozen: true }};
        for (const callback of heard) callback(mine, buffers.map(bytes));
      }}
    // Later, as from a kernel: who asks has to be waiting.
    if (message.type === "ping")
      setTimeout(() => heard.forEach(callback => callback({{ type: "status", busy: false, task: "" }}, [])));
  }},
}};
const widget = make();
await widget.initialize({{ model }});
widget.render({{ model, el: document.getElementById("ember") }});
</script>
"""


def page(esm: str, css: str, told: list[tuple[dict[str, Any], list[bytes]]], title: str) -> str:
    """The page.

    Args:
        esm: the widget's module.
        css: its styles.
        told: the messages, with their buffers, that a browser must hear.
        title: of the page.
    """
    messages = [
        [content, [base64.b64encode(b).decode("ascii") for b in buffers]] for content, buffers in told
    ]
    return _PAGE.format(
        title=html.escape(title or "ember_widgets"), css=css, told=_embedded(messages), module=_embedded(esm)
    )


def _embedded(data: object) -> str:
    """Data as JSON inside a script: only "</" could end the script, and JSON may write "<" as an escape."""
    return json.dumps(data).replace("<", "\\u003c")
