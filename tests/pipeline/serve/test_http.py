"""Plain HTTP calls and pages of a real server."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import ember_widgets as ember
from ember_widgets import Painter, Scene
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.serve.server.gallery import Gallery
from ember_widgets.serve.server.limits import Limits
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.server.tokens import Tokens
from ember_widgets.serve.wire.arrays import ArrayStore
from tests.serving import running, serving

ADA, BEN, TEACHER, NAMELESS = "a" * 20, "b" * 20, "t" * 20, "n" * 20
PEOPLE = {ADA: "Ada", BEN: "Ben", TEACHER: "teacher", NAMELESS: ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gallery")


@pytest.fixture(scope="module")
def url(painter: Painter, folder: Path) -> Iterator[str]:
    limits = Limits(requests_per_s=1000)
    with running(painter, gallery=Gallery(folder), tokens=Tokens(PEOPLE), limits=limits) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {ADA}"}, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def scene(client: httpx.Client) -> dict[str, Any]:
    body = {"prompt": "a sun and a pine in the snow", "seed": 30}
    found: dict[str, Any] = client.post("/v1/analyze", json=body).raise_for_status().json()
    return found


def test_a_scene_is_analysed_drawn_and_inspected_as_the_painter_does(
    client: httpx.Client, scene: dict[str, Any], painter: Painter
) -> None:
    local = painter.analyze("a sun and a pine in the snow", seed=30)
    assert Scene.from_bytes(json.dumps(scene).encode()) == local
    answer = client.post("/v1/render", json={"scene": scene, "with_scene": True})
    assert answer.headers["content-type"] == "image/png"
    drawn = np.asarray(Image.open(io.BytesIO(answer.content)))
    np.testing.assert_array_equal(drawn, np.asarray(painter.render(local)))
    assert Scene.from_bytes(answer.content) == local
    pine = local.strengths[..., local.names.index("pine")]
    row, col = (int(v) for v in np.unravel_index(pine.argmax(), pine.shape))
    found = client.post("/v1/inspect", json={"scene": scene, "patches": [[row, col]], "top": 2}).json()
    (patch,) = found["patches"]
    expected = painter.inspect(local)
    assert patch["n_active"] == expected.counts[row, col]
    top = {one["feature"]: one["activation"] for one in patch["features"]}
    assert top == pytest.approx(expected.top([(row, col)], 2), abs=1e-5)
    assert "pine" in patch["features"][0]["label"]
    for patches, n in (([], 0), (None, 256)):
        found = client.post("/v1/inspect", json={"scene": scene, "patches": patches, "top": 1}).json()
        assert len(found["patches"]) == n


@pytest.fixture(scope="module")
def bank(painter: Painter) -> ConceptBank:
    """Three concepts of features that are seen in the picture."""
    codes = painter.activations(painter.analyze("a sun and a pine in the snow", seed=30)).sum((0, 1))
    rows = np.zeros((3, painter.n_features), np.float32)
    for k, feature in enumerate(np.argsort(-codes)[:3]):
        rows[k, feature], rows[k, 7 + k] = 1.7, 0.1
    site = next(iter(painter.saes))
    return ConceptBank(
        basis=rows,
        names=("a", "b", "c"),
        strengths=np.ones((1, 3), np.float32),
        stability=np.ones(3, np.float32),
        hits=((),) * 3,
        site=site,
        sae=painter.saes[site].sha256[:16],
        model=painter.model.facts,
    )


def basis_of(bank: ConceptBank) -> dict[str, Any]:
    return {
        "site": bank.site,
        "sae": bank.sae,
        "names": list(bank.names),
        "basis": [concept.weights for concept in bank],
    }


def test_a_picture_is_taken_apart_in_concepts_as_the_painter_does(
    client: httpx.Client, painter: Painter, bank: ConceptBank
) -> None:
    run: dict[str, Any] = {"prompt": "a sun and a pine in the snow", "seed": 30}
    counts: list[dict[str, Any]] = [{}, {"n_factors": 1}, {"n_factors": 200}]
    for given in counts:
        local = painter.analyze(**run, **given, basis=bank)
        answer = client.post("/v1/analyze", json=run | given | {"basis": basis_of(bank)})
        assert Scene.from_bytes(answer.raise_for_status().content) == local
        assert local.n_factors == min(3, given.get("n_factors", 3))
    short = basis_of(bank) | {"site": "down.2.1"}
    answer = client.post("/v1/analyze", json=run | {"basis": short})
    assert Scene.from_bytes(answer.content) == painter.analyze(**run, basis=bank)


def test_a_basis_that_was_forgotten_while_the_call_waited_is_put_again(
    painter: Painter, bank: ConceptBank
) -> None:
    replica = Replica(painter)
    opened = threading.Event()
    body = {"prompt": "a sun", "basis": basis_of(bank)}
    try:
        with serving(replica) as url, ThreadPoolExecutor(1) as threads:
            replica.scheduler.submit("gate", lambda _: opened.wait(20))
            call = threads.submit(httpx.post, f"{url}/v1/analyze", json=body, timeout=60, trust_env=False)
            until(lambda: replica.scheduler.n_waiting == 1)
            replica.arrays = ArrayStore()
            opened.set()
            found = call.result()
        assert Scene.from_bytes(found.content) == painter.analyze("a sun", basis=bank)
    finally:
        opened.set()
        replica.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sae": "0" * 16}, "SAE"),
        ({"site": "mid_block.attentions.0"}, "choose one of down_blocks.2.attentions.1"),
        ({"names": ["a", "b"]}, "basis has 3 rows, but there are 2 names"),
        ({"names": ["a", "a", "c"]}, "'a' twice"),
        ({"names": ["n"] * 257, "basis": [{}] * 257}, "concepts is 257; this server takes up to 256"),
        ({"basis": [{}] * 100_000}, "concepts is 100000; this server takes up to 256"),
        ({"names": [], "basis": []}, "0 rows; give 1"),
        ({"basis": [{}, {}, {}]}, "a row without a feature"),
        ({"basis": [{1: -1.0}, {2: 1.0}, {3: 1.0}]}, "values below 0"),
        ({"basis": [{10**6: 1.0}, {2: 1.0}, {3: 1.0}]}, "feature=1000000 is outside 0.."),
        ({"basis": [{1: 1e300}, {2: 1.0}, {3: 1.0}]}, "a code=1e+300 is too large for float32"),
        ({"basis": "a name"}, "basis.basis"),
        ({"more": 1}, "basis.more"),
    ],
)
def test_a_wrong_basis_is_told_in_words(
    client: httpx.Client, bank: ConceptBank, change: dict[str, Any], says: str
) -> None:
    answer = client.post("/v1/analyze", json={"prompt": "x", "basis": basis_of(bank) | change})
    assert (answer.status_code, says in answer.json()["message"]) == (400, True), answer.text


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("analyze", {"prompt": "x", "n_steps": 9}, 400, "n_steps"),
        ("analyze", {"prompt": "x" * 5000}, 400, "prompt"),
        ("analyze", {"prompt": "x", "sed": 3}, 400, "sed"),
        ("analyze", {"prompt": 7}, 400, "prompt"),
        ("render", {"scene": {"format": "ember-scene"}}, 400, "version"),
        ("render", {"scene": {"n_steps": 9}}, 400, "n_steps is 9; this server takes up to 4"),
        ("render", {"scene": {"style": "x" * 5000}}, 400, "style has 5,000 characters"),
        ("inspect", {"scene": {"names": ["x"] * 300}}, 400, "the number of factors is 300"),
        ("render", {"scene": {}, "form": "bmp"}, 400, "form"),
        ("render", {}, 400, "scene"),
        ("inspect", {"scene": {}, "top": 10**9}, 400, "top"),
        ("nothing", {}, 404, "Not Found"),
    ],
)
def test_a_wrong_call_is_told_in_words(
    client: httpx.Client, path: str, body: dict[str, Any], status: int, says: str
) -> None:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["message"]


def test_large_deep_and_broken_bodies_are_refused(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:  # sent without a length
        for _ in range(5):
            yield b" " * 2**20

    headers = {"Content-Type": "application/json"}
    for content, status in (
        (b" " * (5 * 2**20), 413),
        (pieces(), 413),
        (b"[" * 100_000, 400),
        (b"\xff\xfe{", 400),
        (b"", 400),
    ):
        answer = client.post("/v1/analyze", content=content, headers=headers)
        assert answer.status_code == status
        assert answer.json()["message"]


def test_another_models_scene_is_refused(client: httpx.Client, scene: dict[str, Any]) -> None:
    foreign = scene | {"model": {**scene["model"], "sae": "ffff"}}
    answer = client.post("/v1/render", json={"scene": foreign})
    assert (answer.status_code, "made with SAE" in answer.json()["message"]) == (400, True)


def test_without_the_right_token_nothing_is_given(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as stranger:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": ADA}):
            for verb, path in (
                ("POST", "/v1/analyze"),
                ("GET", "/v1/gallery"),
                ("GET", "/v1/models"),
                ("DELETE", "/v1/gallery/x"),
            ):
                assert stranger.request(verb, path, headers=headers).status_code == 401
        for page in ("/", "/gallery", "/docs", "/pages/page.css", "/healthz"):
            assert stranger.get(page).status_code == 200
        assert stranger.get("/pages/../app.py").status_code == 404


def test_who_asks_too_often_waits(painter: Painter) -> None:
    with running(painter, limits=Limits(requests_per_s=1)) as url, httpx.Client(trust_env=False) as client:
        statuses = [client.post(f"{url}/v1/render", json={"scene": {}}).status_code for _ in range(4)]
        assert statuses == [400, 400, 429, 429]
        # No token is needed here, so another one is not another client.
        again = client.post(f"{url}/v1/render", json={"scene": {}}, headers={"Authorization": "Bearer x"})
        assert again.status_code == 429


def test_only_so_many_calls_wait_and_those_of_who_left_are_cancelled(painter: Painter) -> None:
    replica = Replica(painter, limits=Limits(waiting=2))
    opened = threading.Event()
    body: dict[str, Any] = {"scene": {}}
    try:
        with serving(replica) as url, httpx.Client(base_url=url, trust_env=False) as client:
            replica.scheduler.submit("gate", lambda _: opened.wait(20))
            with ThreadPoolExecutor(2) as threads:
                waiting = [
                    threads.submit(httpx.post, f"{url}/v1/render", json=body, timeout=1.0, trust_env=False)
                    for _ in range(2)
                ]
                until(lambda: replica.scheduler.n_waiting == 2)
                refused = client.post("/v1/render", json=body)
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
                assert "2 of your calls wait" in refused.json()["message"]
                for call in waiting:
                    assert isinstance(call.exception(), httpx.ReadTimeout)
            until(lambda: replica.scheduler.n_waiting == 0)
            opened.set()
            assert client.post("/v1/render", json=body).status_code == 400, "there is room again"
    finally:
        opened.set()
        replica.close()


def until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_pictures_are_shared_shown_and_removed(url: str, client: httpx.Client, painter: Painter) -> None:
    title = "<script>alert(1)</script>"
    with ember.connect(url, BEN) as remote:
        assert "share" in remote.capabilities
        scene = remote.analyze("a sun and a pine in the snow", seed=30).move("pine", 0, -6)
        address = remote.share(scene, title)
        assert address == remote.share(scene, title)
        with pytest.raises(ValueError, match="at most 80"):
            remote.share(scene, "x" * 81)
    shown = client.get("/v1/gallery").json()
    assert shown["you"] == "Ada"
    (picture,) = shown["pictures"]
    assert (picture["person"], picture["title"]) == ("Ben", title)
    assert address == f"{url}/gallery#{picture['id']}"
    data = client.get(f"/v1/gallery/{picture['id']}.png").content
    assert Scene.from_bytes(data) == scene
    assert client.get("/v1/gallery/..%2F..%2Fetc%2Fpasswd.png").status_code == 404
    assert picture["can_remove"] is False
    assert client.delete(f"/v1/gallery/{picture['id']}").status_code == 401
    nameless = {"Authorization": f"Bearer {NAMELESS}"}
    answer = client.delete(f"/v1/gallery/{picture['id']}", headers=nameless)
    assert (answer.status_code, "no name" in answer.json()["message"]) == (401, True)
    for token, can_remove in ((BEN, True), (TEACHER, True), (NAMELESS, False)):
        seen = client.get("/v1/gallery", headers={"Authorization": f"Bearer {token}"}).json()["pictures"]
        assert [one["can_remove"] for one in seen] == [can_remove]
    as_teacher = {"Authorization": f"Bearer {TEACHER}"}
    assert client.delete(f"/v1/gallery/{picture['id']}", headers=as_teacher).status_code == 204
    assert client.get("/v1/gallery").json()["pictures"] == []


def test_without_a_gallery_it_says_so(painter: Painter) -> None:
    with running(painter) as url, httpx.Client(trust_env=False) as client:
        answer = client.get(f"{url}/v1/gallery")
        assert (answer.status_code, "--gallery" in answer.json()["message"]) == (404, True)


def test_the_description_of_the_calls_is_whole(client: httpx.Client) -> None:
    api = client.get("/openapi.json").json()
    assert {"/v1/analyze", "/v1/render", "/v1/inspect"} <= api["paths"].keys()
    for name in ("AnalyzeBody", "ConceptsBody", "RenderBody", "InspectBody"):
        fields = api["components"]["schemas"][name]["properties"]
        assert all(field.get("description") for field in fields.values())
    answers = api["paths"]["/v1/render"]["post"]["responses"]["200"]["content"]
    forms = api["components"]["schemas"]["RenderBody"]["properties"]["form"]["enum"]
    assert set(answers) == {f"image/{form}" for form in forms}


def test_pages_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    for page in ("/", "/gallery", "/docs"):
        answer = client.get(page)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "http://" not in answer.text
        assert "https://" not in answer.text
