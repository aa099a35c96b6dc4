"""The label server: it answers as a labelling client expects, and what goes wrong is counted and said."""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.embedded import sheet_reader, vocabulary
from ember_widgets.embedded.label_server import Faults, LabelServer
from ember_widgets.embedded.sheet_reader import NoSheet, SheetReader
from ember_widgets.labelling import questions, sheet
from ember_widgets.labelling.openai_client import OpenAIClient
from ember_widgets.labelling.run import LabelRun, label_features
from tests.pipeline.drawn_features import DrawnFeatures, label_of, marked, meaning

CAT, MUSHROOM = (
    next(i for i, look in enumerate(vocabulary.LOOKS) if look.name == n) for n in ("cat", "mushroom")
)
READER = SheetReader()


@pytest.fixture
def server() -> Iterator[LabelServer]:
    with LabelServer(reader=READER, slow_s=0.3) as running:
        yield running


def run(
    server: LabelServer,
    folder: Path,
    faults: Faults | None = None,
    *,
    features: tuple[int, ...] = (MUSHROOM,),
    scores: bool = False,
    retry: bool = False,
    **client: Any,
) -> LabelRun:
    server.faults = faults
    asked = OpenAIClient(server.model, base_url=server.url, **client)
    return label_features(
        features, DrawnFeatures(), asked, folder=folder, scores=scores, progress=False, retry=retry
    )


def test_a_made_up_feature_gets_its_label_and_high_scores(server: LabelServer, tmp_path: Path) -> None:
    found = run(server, tmp_path, features=(CAT,), scores=True)

    label = found.labels.entry(CAT)
    assert (label.text.split(",")[0], label.model) == ("cat", "oracle")
    assert min(label.scores["detection"], label.scores["causal"]) >= 0.9
    assert server.counts == {"answered": 3}
    assert set(server.answered.values()) == {1}
    assert found.tokens_in > 3 * 765


class TestFaults:
    @pytest.mark.parametrize("fault", ["429", "500", "503", "dropped", "slow"])
    def test_of_the_server_are_asked_again_by_the_client(
        self, server: LabelServer, tmp_path: Path, fault: str
    ) -> None:
        found = run(server, tmp_path, [fault])

        assert found.labels[MUSHROOM].startswith("mushroom")
        assert (found.counts["labelled"], found.counts["failed"], found.faults) == (1, 0, {})
        assert server.counts == ({"slow": 1} if fault == "slow" else {fault: 1, "answered": 1})

    @pytest.mark.parametrize("fault", ["wrong", "empty", "not-json", "cut-off"])
    def test_of_the_answer_are_asked_again_once(
        self, server: LabelServer, tmp_path: Path, fault: str
    ) -> None:
        once = run(server, tmp_path / "once", [fault])
        assert once.counts["labelled"] == 1
        assert server.counts == {fault: 1, "answered": 1}

        twice = run(server, tmp_path / "twice", lambda number: fault)
        assert (twice.counts["labelled"], twice.counts["unreadable"]) == (0, 1)
        assert "label unreadable" in twice.faults[MUSHROOM]
        assert server.counts == {fault: 3, "answered": 1}

    def test_refusals_are_counted_and_not_asked_again(self, server: LabelServer, tmp_path: Path) -> None:
        for n_asked in (1, 1):
            found = run(server, tmp_path, ["refusal"])
            assert (found.counts["refused"], len(server.asked)) == (1, n_asked)
            assert "I cannot help" in found.faults[MUSHROOM]
        assert run(server, tmp_path, retry=True).counts["labelled"] == 1

    def test_an_answer_that_comes_too_late_is_a_failure_and_asked_by_the_next_run(
        self, server: LabelServer, tmp_path: Path
    ) -> None:
        late = run(server, tmp_path, ["slow"], timeout_s=0.1, max_retries=0)
        assert (late.counts["failed"], late.counts["labelled"]) == (1, 0)
        assert "did not answer within" in late.faults[MUSHROOM]
        assert run(server, tmp_path).counts["labelled"] == 1

    def test_all_at_once_lose_nothing(self, server: LabelServer, tmp_path: Path) -> None:
        features = tuple(range(12))
        # One call at once: a question that is asked again comes next, or after one other.
        faults = ["429", "", "empty", "", "", "500", "dropped", "", "not-json", "", "", "cut-off", "", ""]
        faults += ["refusal", "", "wrong"]
        found = run(server, tmp_path, faults, features=features, in_flight=1)

        assert found.counts["labelled"] == 11
        assert found.counts["refused"] == len(found.faults) == 1
        assert found.is_finished
        assert set(found.labels) | set(found.faults) == set(features)
        assert all(server.counts[fault] == 1 for fault in faults if fault)
        # No question got two answers that could be used.
        good = [one.question for one in server.asked if not one.fault]
        assert len(good) == len(set(good)) == 11

    def test_must_be_known(self, server: LabelServer) -> None:
        server.faults = ["sleepy"]
        with pytest.raises(ValueError, match="fault 'sleepy' is unknown; choose from wrong, empty"):
            server.respond(request(DrawnFeatures().label_sheet(0)))
        for faults in (["", "sleepy"], {3: "sleepy"}):
            with pytest.raises(ValueError, match="fault 'sleepy' is unknown"):
                LabelServer(faults=faults, reader=READER)
        with pytest.raises(TypeError, match="faults='refusal' is text; give a list of names"):
            LabelServer(faults="refusal", reader=READER)


def request(picture: bytes, **changes: Any) -> bytes:
    url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    text = {"type": "text", "text": questions.text_of("label")}
    content = [text, {"type": "image_url", "image_url": {"url": url}}]
    return json.dumps(
        {"model": "oracle", "messages": [{"role": "user", "content": content}]} | changes
    ).encode()


class TestTheWire:
    def test_names_the_model(self, server: LabelServer) -> None:
        with urllib.request.urlopen(f"{server.url}/models") as answer:
            assert [model["id"] for model in json.load(answer)["data"]] == ["oracle"]

    def test_is_on_the_loopback_address_only(self, server: LabelServer) -> None:
        assert server.url.startswith("http://127.0.0.1:")

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            (b"{", 400, "not one for a chat completion"),
            (b"[]", 400, "not one for a chat completion"),
            (request(b"", model="gpt"), 404, "'gpt' does not exist"),
            (request(b"", stream=True), 400, "streaming"),
            (request(b"", messages=[{"role": "user", "content": "Hello"}]), 400, "give one picture"),
            (request(b"no picture"), 400, "cannot be read"),
        ],
    )
    def test_says_what_is_wrong_with_a_request(
        self, server: LabelServer, body: bytes, status: int, words: str
    ) -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{server.url}/chat/completions", body)
        assert caught.value.code == status
        assert words in json.load(caught.value)["error"]["message"]
        assert server.counts == {}


class TestTheReader:
    def test_finds_every_frame_and_no_other(self) -> None:
        chance = np.random.default_rng(0)
        for feature in range(12):
            framed = np.asarray(marked(label_of(feature), chance))
            assert sheet_reader.frame_in(framed) is not None
        plain = np.asarray(Image.fromarray(framed[::-1].copy()).resize((256, 256)))
        plain = np.full_like(plain, plain.mean((0, 1), dtype=float).astype(np.uint8))
        assert sheet_reader.frame_in(plain) is None

    @pytest.mark.parametrize("place", [(0, 0), (15, 15), (0, 7), (9, 15)])
    def test_finds_a_frame_at_the_edge(self, place: tuple[int, int]) -> None:
        tile = np.full((256, 256, 3), 120, np.uint8)
        white, black = sheet_reader.rings()
        for ring, value in ((white, 255), (black, 0)):
            rows, cols = (ring + 16 * np.array(place)).T
            inside = (rows >= 0) & (rows < 256) & (cols >= 0) & (cols < 256)
            tile[rows[inside], cols[inside]] = value
        assert sheet_reader.frame_in(tile) == place
        assert np.all(sheet_reader.without(tile, place) == 120)

    @pytest.mark.parametrize(
        ("label", "attributes"),
        [
            ("cat hands on face, top", {"cat", "hands on face"}),
            ("A pine (tree)", {"tree", "pine"}),
            ("the kitten", {"cat"}),
            ("sunset sky", {"sunset"}),
            ("sunflower (flower), top", {"flower", "sunflower"}),
        ],
    )
    def test_reads_labels_by_their_words(self, label: str, attributes: set[str]) -> None:
        name, part = sheet_reader.meant(label)
        assert name is not None
        assert name.attributes == attributes
        assert part == (("top",) if "top" in label else ())

    @pytest.mark.parametrize("label", ["", "purple haze", "cat dog", "scats"])
    def test_guesses_at_labels_that_it_does_not_know(self, label: str) -> None:
        assert sheet_reader.meant(label)[0] is None
        detection, causal = DrawnFeatures().detection_sheet(0)[0], DrawnFeatures().causal_sheet(0)[0]
        assert questions.chosen(READER.answer(questions.text_of("detection", label), detection)) == set()
        assert questions.pairs(READER.answer(questions.text_of("causal", label), causal)) == ["?"] * 10

    def test_says_unclear_if_nothing_is_marked(self) -> None:
        stream = io.BytesIO()
        sheet.compose([[sheet.Tile(Image.new("RGB", (256, 256), "#808080"))] * 6] * 4).save(stream, "PNG")
        found = questions.named(READER.answer(questions.text_of("label"), stream.getvalue()))
        assert (found.label, found.category) == ("unclear", "unclear")

    def test_answers_anything_else_in_words(self) -> None:
        assert READER.answer("What is this?", b"").startswith("I only answer questions")

    def test_refuses_pictures_that_are_too_large(self) -> None:
        stream = io.BytesIO()
        Image.new("1", (5000, 8)).save(stream, "PNG")
        with pytest.raises(NoSheet, match="at most 4096"):
            READER.answer(questions.text_of("label"), stream.getvalue())

    def test_knows_every_look(self) -> None:
        for feature in range(len(vocabulary.LOOKS)):
            name, _ = sheet_reader.meant(meaning(feature))
            assert name is not None
            assert label_of(feature) in name.labels
