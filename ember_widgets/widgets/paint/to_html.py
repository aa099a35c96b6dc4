"""The widget as a page in one file that needs no kernel and no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence

from ember_widgets.widgets.paint.replies import Reply

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
<script type="application/json" id="messages">{messages}</script>
<script type="application/json" id="module">{module}</script>
<script type="module">
// The widget's module is imported from the text above, however it is built.
const source = JSON.parse(document.getElementById("module").textContent);
const url = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
const {{ default: make }} = await import(url);
URL.revokeObjectURL(url);
// Stands in for a kernel: it answers "hello" with the messages above, and nothing else.
const messages = JSON.parse(document.getElementById("messages").textContent);
const bytes = text => new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
const listeners = [];
const model = {{
  get: name => name === "_panel" ? "all" : undefined,
  set() {{}}, save_changes() {{}}, off() {{}},
  on: (event, callback) => event === "msg:custom" && listeners.push(callback),
  send: message => {{
    if (message.type === "hello")
      for (const [content, buffers] of messages) {{
        const mine = {{ ...content, client: message.client, frozen: true }};
        for (const callback of listeners) callback(mine, buffers.map(bytes));
      }}
    // Later, as from a kernel: the page has to be waiting for it.
    if (message.type === "ping")
      setTimeout(() => listeners.forEach(
        callback => callback({{ type: "status", busy: false, task: "" }}, [])));
  }},
}};
const widget = make();
await widget.initialize({{ model }});
widget.render({{ model, el: document.getElementById("ember") }});
</script>
"""


def page(esm: str, css: str, replies: Sequence[Reply], title: str) -> str:
    """The page.

    Args:
        esm: the widget's module.
        css: its styles.
        replies: what the page receives instead of a kernel's messages.
        title: of the page.
    """
    messages = [
        [reply.content(), [base64.b64encode(buffer).decode("ascii") for buffer in reply.buffers]]
        for reply in replies
    ]
    return _PAGE.format(
        title=html.escape(title or "ember_widgets"),
        css=css,
        messages=_embedded(messages),
        module=_embedded(esm),
    )


def _embedded(data: object) -> str:
    """Data as JSON inside a script: only "</" could end the script, and JSON may write "<" as an escape."""
    return json.dumps(data).replace("<", "\\u003c")
