"""The conversations that the page's kernel is compared with are those that the widget's kernel has now."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.widgets.paint.make_page_transcripts import N_TRANSCRIPTS, PATH, Recorder

# Compressed, so other versions of zlib may write other bytes.
PACKED = re.compile(r"(array|opened)\('[^']*'")


@pytest.mark.parametrize("seed", range(N_TRANSCRIPTS))
def test_the_pages_conversations_are_up_to_date(seed: int) -> None:
    kept = json.loads(PATH.read_text("utf-8"))["transcripts"][seed]
    now = json.loads(json.dumps(Recorder(seed).transcript()))
    for one in (kept, now):
        for turn in one["talk"]:
            for answer in turn["answers"]:
                if answer["type"] == "file":
                    answer["text"] = PACKED.sub(r"\1()", answer["text"])
    assert kept == now, "run: python tests/unit/widgets/paint/make_page_transcripts.py"
