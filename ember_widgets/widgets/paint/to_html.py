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
<script type="module">
{module}
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
const widget = ember_widget();
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
    # Inside a script nothing but "</" could end it, and JSON may write that as "<\\/".
    data = json.dumps(messages).replace("<", "\\u003c")
    # The module's only export becomes a name that the page's own script can use.
    body, export = esm.rstrip().rsplit("export{", 1)
    name = export.split(" as default", 1)[0]
    module = f"{body}const ember_widget = {name};".replace("</script", "<\\/script")
    return _PAGE.format(title=html.escape(title or "ember_widgets"), css=css, told=data, module=module)
