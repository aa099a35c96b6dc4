"""Both ends of the wire name the same messages and fields: messages.py and replies.py, and messages.ts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from ember_widgets.widgets.paint.messages import REQUESTS
from ember_widgets.widgets.paint.replies import REPLIES

SOURCE = Path(__file__).parents[4] / "js" / "src" / "paint" / "transport" / "messages.ts"
# What a saved page, which has no kernel, adds to the state.
PAGE_ONLY = {("state", "frozen")}

Types = dict[str, set[str]]
"""The fields of each type of message, besides those of every request."""


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The contents of the outermost braces, and what follows each up to the next."""
    depth, start, ends = 0, 0, []
    for i, letter in enumerate(text):
        if letter == "{":
            depth += 1
            start = i + 1 if depth == 1 else start
        elif letter == "}":
            depth -= 1
            if depth == 0:
                ends.append((start, i))
    for (begin, end), following in zip(ends, [*(b for b, _ in ends[1:]), len(text)], strict=True):
        yield text[begin:end], text[end + 1 : following]


def members(body: str) -> dict[str, str]:
    """The fields of an interface's body and their types; not those of objects inside it."""
    while (flat := re.sub(r"\{[^{}]*\}", "object", body)) != body:
        body = flat
    return dict(re.findall(r"readonly (\w+)\??: ([^;]*);?", body))


class Declared:
    """The types that a TypeScript file declares, as far as ours go."""

    def __init__(self, source: str) -> None:
        source = re.sub(r"/\*.*?\*/", "", source, flags=re.S)
        self.interfaces = {
            name: (members(next(blocks(rest))[0]), base)
            for name, base, rest in re.findall(
                r"export (?:interface|type) (\w+)(?: extends (\w+))? =? ?(\{.*?^\};?$)", source, re.S | re.M
            )
        }
        self.source = source

    def fields(self, name: str) -> dict[str, str]:
        """The fields of an interface and of those that it extends."""
        own, base = self.interfaces[name]
        return (self.fields(base) if base else {}) | own

    def union(self, name: str) -> str:
        """The text of a union."""
        found = re.search(rf"export type {name} =(.*?);\n(?:\n|\Z)", self.source, re.S)
        assert found is not None
        return found[1]


def replies_of(source: str) -> Types:
    """What messages.ts expects from the kernel."""
    declared = Declared(source)
    found: Types = {}
    for name in re.findall(r"\w+", declared.union("KernelMessage")):
        message = declared.fields(name)
        found[message["type"].strip('"')] = set(message) - {"type"}
    return found


def requests_of(source: str) -> Types:
    """What messages.ts sends to the kernel."""
    declared = Declared(source)
    messages = [declared.fields(name) for name in ("EditRequest", "PingRequest")]
    for body, following in blocks(declared.union("Request")):
        more = re.search(r"& (\w+)", following)
        messages.append(members(body) | (declared.fields(more[1]) if more else {}))
    return {kind: set(m) - {"type"} for m in messages for kind in re.findall(r'"(\w+)"', m["type"])}


def kernel_replies() -> Types:
    return {reply.type: set(reply.field_names()) for reply in REPLIES}


def kernel_requests() -> Types:
    return {kind: {one.name for one in fields(cls)} - {"client", "seq"} for kind, cls in REQUESTS.items()}


@pytest.fixture
def source() -> str:
    return SOURCE.read_text("utf-8")


def test_the_kernel_sends_what_the_browser_reads(source: str) -> None:
    browser = replies_of(source)
    assert browser.keys() == kernel_replies().keys()
    for kind, names in kernel_replies().items():
        assert names == browser[kind] - {name for message, name in PAGE_ONLY if message == kind}, kind


def test_the_browser_sends_what_the_kernel_reads(source: str) -> None:
    browser = requests_of(source)
    assert browser.keys() == kernel_requests().keys()
    for kind, names in kernel_requests().items():
        assert names == browser[kind], kind


@pytest.mark.parametrize(
    ("old", "new"), [("waited_ms", "waited"), ("readonly ids:", "readonly keys:"), ('"icon"', '"thumbnail"')]
)
def test_a_reply_renamed_on_one_side_is_seen(old: str, new: str, source: str) -> None:
    assert old in source
    assert replies_of(source.replace(old, new)) != replies_of(source)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("readonly verb: string", "readonly word: string"),
        ('"keep"', '"hold"'),
        ("readonly n_steps: number", "readonly steps: number"),
        ("readonly call?: CallInfo", "readonly deed?: CallInfo"),
    ],
)
def test_a_request_renamed_on_one_side_is_seen(old: str, new: str, source: str) -> None:
    assert old in source
    assert requests_of(source.replace(old, new)) != requests_of(source)
