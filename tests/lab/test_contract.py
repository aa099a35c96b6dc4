"""The widget's module with no notebook around it: in a page locked up as VS Code's, an iframe, a shadow root.

VS Code shows widgets in a webview, Colab in an iframe on another origin; neither can be started here, so what
they allow and what they hand over is rebuilt: a Content-Security-Policy, a model with anywidget's methods and
no more, and buffers that are a part of a larger one.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Frame, Page, Route, expect

import ember_widgets as ember
from tests.lab.browser import new_context
from tests.lab.fake_painter import FakePainter

STATIC = Path(ember.__file__).parent / "widgets" / "static"
ORIGIN = "https://widget.test"

# As in VS Code's notebook webviews (notebook.experimental.enableCsp), whose own source is 'self' here.
# "blob:" is ours: anywidget itself imports a widget's module from a blob, and the widget its second part.
VS_CODE = (
    "default-src 'none'; script-src 'self' blob: 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' https: http: data:; font-src 'self' https:; connect-src https:; child-src https: data:"
)

# A kernel that tells how things stand, and answers each edit with a white picture.
STUB = """
const told = JSON.parse(document.getElementById("told").textContent);
const violations = window.violations = [];
addEventListener("securitypolicyviolation", event => violations.push(event.violatedDirective));
addEventListener("error", event => violations.push(event.message));
addEventListener("unhandledrejection", event => violations.push(String(event.reason)));

// A view of a larger buffer, at an odd place, as buffers come out of a websocket's message.
const view = text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const large = new Uint8Array(bytes.length + 29).fill(255);
  large.set(bytes, 13);
  return new DataView(large.buffer, 13, bytes.length);
};
const METHODS = ["get", "set", "save_changes", "on", "off", "send"];
const traits = { _panel: "all", selected_factor: 0, image: view(told.white) };
const listeners = new Map();
const sent = window.sent = [];
const touched = window.touched = new Set();
const say = (content, buffers) => {
  for (const listener of [...listeners.get("msg:custom") ?? []]) listener(content, buffers);
};
const methods = {
  get: name => traits[name],
  set: (name, value) => { traits[name] = value; },
  save_changes() {},
  on: (event, listener) => listeners.set(event, (listeners.get(event) ?? new Set()).add(listener)),
  off: (event, listener) => listeners.get(event)?.delete(listener),
  send(message, callbacks, buffers = []) {
    sent.push({ message, buffers });
    const { client, seq } = message;
    if (message.type === "hello")
      for (const [content, texts] of told.messages) say({ ...content, client }, texts.map(view));
    else if (message.type === "edit")
      setTimeout(() => say({ ...told.frame, client, seq }, [view(told.white)]));
  },
};
window.model = new Proxy(methods, {
  get(target, name) {
    touched.add(name);
    return target[name];
  },
});
window.listening = () => [...listeners].filter(([, all]) => all.size).map(([event]) => event);
"""

START = """
import make from "{origin}/paint.js";
const widget = window.widget = typeof make === "function" ? await make() : make;
window.stop = await widget.initialize({{ model: window.model }});
const host = document.getElementById("host");
const el = {el};
window.unmount = await widget.render({{ model: window.model, el }});
window.mount = () => widget.render({{ model: window.model, el }});
window.ready = true;
"""
IN_THE_PAGE = "host"
IN_A_SHADOW = """(() => {
  const root = host.attachShadow({ mode: "open" });
  root.append(document.querySelector("style").cloneNode(true), document.createElement("div"));
  return root.lastElementChild;
})()"""


@pytest.fixture(scope="module")
def told() -> str:
    """What a kernel says when a page opens."""
    painter = FakePainter()
    widget = ember.PaintWidget(painter, painter.analyze("a meadow", seed=3, n_factors=3))
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "white").save(stream, "PNG")

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode("ascii")

    messages = [[reply.content(), [text(b) for b in reply.buffers]] for reply in widget._open.page()]
    widget.close()
    frame = {"type": "frame", "kind": "final", "reduced": False, "ms": 1, "waited_ms": 0}
    frame |= {"width": 16, "height": 16}
    return json.dumps({"messages": messages, "frame": frame, "white": text(stream.getvalue())}).replace(
        "<", "\\u003c"
    )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_context(browser) as context:
        yield context.new_page()


def serve(page: Page, told: str, *, el: str = IN_THE_PAGE, policy: str = VS_CODE) -> None:
    """Answer for an origin that holds the module and a page with the widget on it, and for nothing else."""
    style = (STATIC / "paint.css").read_text(encoding="utf-8")
    start = START.format(origin=ORIGIN, el=el)
    body = (
        f'<!doctype html><html lang="en"><title>stub</title><style>{style}</style>'
        f'<div id="host"></div><script type="application/json" id="told">{told}</script>'
        f'<script>{STUB}</script><script type="module">{start}</script>'
    )

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN)
        headers = {"access-control-allow-origin": "*"}
        if name == "/paint.js":
            script = (STATIC / "paint.js").read_text(encoding="utf-8")
            route.fulfill(body=script, content_type="text/javascript", headers=headers)
        elif name == "/widget":
            route.fulfill(body=body, content_type="text/html", headers={"content-security-policy": policy})
        elif name == "/outer":
            frame = '<iframe sandbox="allow-scripts" src="/widget" width="1000" height="1200"></iframe>'
            route.fulfill(body=f"<!doctype html>{frame}", content_type="text/html")
        else:
            route.abort()

    page.route("**/*", answer)


def paint_and_check(page: Page, frame: Frame | Page) -> None:
    """Drag over the grid; the kernel must hear of it and its answer must show, with no rule broken."""
    root = frame.get_by_test_id("ember-paint")
    expect(root).to_have_attribute("data-kind", "final")
    expect(root.get_by_test_id("factor-2")).to_be_visible()
    root.get_by_test_id("brush-size").fill("1")
    grid = root.get_by_test_id("grid")
    box = grid.bounding_box()
    assert box is not None
    cell = box["width"] / 16
    page.mouse.move(box["x"] + 4.5 * cell, box["y"] + 8.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 7.5 * cell, box["y"] + 8.5 * cell, steps=6)
    page.mouse.up()
    expect(root).not_to_have_attribute("data-seq", "0")
    last: dict[str, Any] = frame.evaluate(
        """() => {
          const { message, buffers } = sent.filter(({ message }) => message.type === "edit").at(-1);
          const strengths = new Float32Array(buffers[0]);
          const row = [3, 4, 5, 6, 7, 8].map(col => strengths[3 * (16 * 8 + col)]);
          return { commit: message.commit, row, bytes: buffers.map(buffer => buffer.byteLength) };
        }"""
    )
    assert last["commit"] is True
    assert last["bytes"] == [4 * 256 * 3, 4 * 256]
    assert last["row"][1:5] == [1, 1, 1, 1]
    assert last["row"][0] != 1
    assert last["row"][5] != 1
    pixel = root.get_by_test_id("picture").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(8, 8, 1, 1).data]"
    )
    assert pixel == [255, 255, 255, 255]
    assert frame.evaluate("() => violations") == []


@pytest.mark.parametrize("policy", [VS_CODE, VS_CODE.replace(" 'unsafe-eval'", "")], ids=["", "no eval"])
def test_it_paints_under_the_policy_of_vs_code(page: Page, told: str, policy: str) -> None:
    serve(page, told, policy=policy)
    page.goto(f"{ORIGIN}/widget")
    paint_and_check(page, page)
    root = page.get_by_test_id("ember-paint")
    for part in ("more-0", "seeds", "help", "keys-close", "side-by-side"):
        if root.get_by_test_id(part).count():
            root.get_by_test_id(part).click()
    assert page.evaluate("() => violations") == []
    names = {"get", "set", "save_changes", "on", "off", "send"}
    assert set(page.evaluate("() => [...touched]")) <= names


def test_controls_that_have_not_come_say_so_and_appear_when_they_come(page: Page, told: str) -> None:
    without = json.loads(told)
    (late,) = [message for message in without["messages"] if message[0]["type"] == "panels"]
    without["messages"].remove(late)
    serve(page, json.dumps(without).replace("<", "\\u003c"))
    page.goto(f"{ORIGIN}/widget")
    root = page.get_by_test_id("ember-paint")
    expect(root.get_by_test_id("late")).to_have_text("Waiting for the kernel, which sends this part…")
    assert page.evaluate("() => sent.filter(({ message }) => message.type === 'panels').length") == 1
    # What needs no controls works without them.
    root.get_by_test_id("grid").press("?")
    expect(root.get_by_test_id("late")).to_have_count(2)
    root.get_by_test_id("grid").press("Space")
    page.wait_for_function("() => sent.some(({ message }) => message.type === 'edit')")
    page.evaluate(
        "([message]) => say({ ...message, client: sent[0].message.client }, [])",
        late,
    )
    expect(root.get_by_test_id("late")).to_have_count(0)
    expect(root.get_by_test_id("factor-2")).to_be_visible()
    expect(root.get_by_test_id("keys-close")).to_be_visible()
    assert page.evaluate("() => violations") == []


def test_controls_that_may_not_be_loaded_say_so(page: Page, told: str) -> None:
    serve(page, told, policy=VS_CODE.replace(" blob:", ""))
    page.goto(f"{ORIGIN}/widget")
    late = page.get_by_test_id("late")
    expect(late).to_have_text("This browser does not let the widget load this part.")
    expect(page.get_by_test_id("picture")).to_be_visible()


def test_the_policy_would_notice(page: Page, told: str) -> None:
    # What the test above relies on: a picture from a blob is refused, and that is heard of.
    serve(page, told)
    page.goto(f"{ORIGIN}/widget")
    page.wait_for_function("() => window.ready")
    page.evaluate("() => { document.createElement('img').src = URL.createObjectURL(new Blob(['x'])); }")
    page.wait_for_function("() => violations.length")
    assert page.evaluate("() => violations") == ["img-src"]


def test_it_paints_in_an_iframe_of_no_origin(page: Page, told: str) -> None:
    serve(page, told, policy="")
    page.goto(f"{ORIGIN}/outer")
    (frame,) = page.main_frame.child_frames
    paint_and_check(page, frame)


def test_it_paints_in_a_shadow_root(page: Page, told: str) -> None:
    serve(page, told, el=IN_A_SHADOW)
    page.goto(f"{ORIGIN}/widget")
    paint_and_check(page, page)


def test_views_that_go_leave_no_listener_and_no_timer(page: Page, told: str) -> None:
    page.clock.install()
    serve(page, told)
    page.goto(f"{ORIGIN}/widget")
    page.wait_for_function("() => window.ready")
    session = page.context.new_cdp_session(page)

    def heard_by_the_page() -> list[str]:
        kinds = []
        for target in ("window", "document", "document.documentElement", "document.body"):
            found = session.send("Runtime.evaluate", {"expression": target})
            listeners = session.send(
                "DOMDebugger.getEventListeners", {"objectId": found["result"]["objectId"]}
            )["listeners"]
            kinds += [f"{target} {one['type']}" for one in listeners]
        return sorted(kinds)

    shown = heard_by_the_page()
    page.evaluate("() => unmount()")
    gone = heard_by_the_page()
    assert len(gone) < len(shown)
    assert page.evaluate("() => document.getElementById('host').childElementCount") == 0

    page.evaluate("async () => { window.unmount = await mount(); }")
    assert heard_by_the_page() == shown
    expect(page.get_by_test_id("factor-2")).to_be_visible()
    # The stroke asks for answers, so that there is something to wait for.
    page.get_by_test_id("grid").press("Space")
    page.evaluate("() => { unmount(); unmount(); stop(); }")
    assert heard_by_the_page() == gone
    assert page.evaluate("() => listening()") == []
    sent = page.evaluate("() => sent.length")
    page.clock.run_for(60_000)
    assert page.evaluate("() => sent.length") == sent
    assert page.evaluate("() => violations") == []
