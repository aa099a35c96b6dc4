"""The wire: what is packed comes back bit by bit, and what is damaged or hostile is refused in words."""

from __future__ import annotations

import contextlib
import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ember_widgets.features.concepts import ConceptBank
from ember_widgets.painter.inspection import Inspection
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.scene import Scene
from ember_widgets.serve.client.remote_painter import _read as read
from ember_widgets.serve.wire import arrays, concepts, inspections, scenes, values
from ember_widgets.serve.wire.arrays import ArrayStore
from ember_widgets.serve.wire.calls import CALLS, Welcome
from ember_widgets.serve.wire.frames import MAX_BUFFERS, BadFrame, pack, unpack
from tests.unit.damage import LONG_NUMBERS
from tests.unit.scene.scenes import make_scene

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
BITS = st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6)


def with_head(content: object, rest: bytes = b"") -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<I", len(text)) + text + rest


class TestFrames:
    @given(st.dictionaries(st.text(), JSON, max_size=4), st.lists(st.binary(max_size=20), max_size=4))
    def test_come_back(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        head = {**content, "type": "call"}
        head.pop("buffers", None)
        frame = unpack(pack(head, buffers))
        assert (frame.head, list(frame.buffers)) == (head, buffers)

    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, data: bytes) -> None:
        with contextlib.suppress(BadFrame):
            assert isinstance(unpack(data).type, str)

    @given(st.integers(0, 60), st.integers(0, 255))
    def test_a_damaged_frame_is_read_or_refused(self, at: int, byte: int) -> None:
        data = bytearray(pack({"type": "call", "id": 3, "args": {"a": [1, 2]}}, [b"abc", b"defg"]))
        data[at % len(data)] = byte
        with contextlib.suppress(BadFrame):
            assert isinstance(unpack(bytes(data)).type, str)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ("text", "the message is text"),
            (b"", "has 0 bytes"),
            (struct.pack("<I", 2**32 - 1) + b"{}", "should have 4294967295 bytes, but only 2 follow"),
            (with_head(b"{"), "not JSON"),
            (with_head(b"\xff\xfe"), "not JSON"),
            (with_head(b"[" * 10_000 + b"]" * 10_000), "too deep"),
            pytest.param(with_head(b"9" * 10_000), "not JSON", marks=LONG_NUMBERS),
            (with_head([1]), "not a JSON object"),
            (with_head({"type": 3}), "not a JSON object with a text"),
            (with_head({"type": "x", "many": [0] * 30_000}), "too long"),
            (with_head({"type": "x", "buffers": [2**70]}, b"a"), "should have"),
            (with_head({"type": "x", "buffers": [-1, 2]}, b"a"), "not a list"),
            (with_head({"type": "x", "buffers": [True]}, b"a"), "not a list"),
            (with_head({"type": "x", "buffers": [0] * (MAX_BUFFERS + 1)}), "at most"),
            (with_head({"type": "x"}, b"more"), "4 follow"),
            (bytes(2**17 + 1), "has 131073 bytes; at most 131072"),
        ],
    )
    def test_hostile_ones_are_refused(self, data: object, message: str) -> None:
        with pytest.raises(BadFrame, match=message):
            unpack(data, 2**17)


class TestArrays:
    @given(BITS, st.none() | BITS)
    def test_come_back_bit_by_bit(self, bits: list[int], base: list[int] | None) -> None:
        array = np.array(bits, np.uint32).view(np.float32).reshape(2, 3)
        other = None if base is None else np.array(base, np.uint32).view(np.float32).reshape(2, 3)
        found = arrays.inflated(arrays.deflated(array, other), (2, 3), other)
        assert found.tobytes() == array.tobytes()
        assert found.flags.owndata
        assert not found.flags.writeable

    def test_never_unpack_more_than_their_shape(self) -> None:
        bomb = zlib.compress(bytes(2**24))
        tracemalloc.start()
        try:
            with pytest.raises(BadFrame, match="16 bytes of its shape"):
                arrays.inflated(bomb, (2, 2))
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()
        with pytest.raises(BadFrame, match="at most"):
            arrays.inflated(bomb, (2**13, 2**13))

    @pytest.mark.parametrize(
        "damage", [lambda data: data + b"more", lambda data: data[:-3], lambda data: b"x"]
    )
    def test_that_are_damaged_are_refused(self, damage: Callable[[bytes], bytes]) -> None:
        data = arrays.deflated(np.arange(4, dtype=np.float32))
        with pytest.raises(BadFrame, match="unpacked|bytes of its shape"):
            arrays.inflated(damage(data), (4,))

    @pytest.mark.parametrize(
        "shape", [None, 3, "12", [], [1] * 4, [-1], [True], [1.0], [2**26], [2**20, 2**20]]
    )
    def test_of_hostile_shapes_are_refused(self, shape: object) -> None:
        with pytest.raises(BadFrame, match="shape"):
            arrays.checked_shape(shape)

    def test_several_are_limited_together(self) -> None:
        entries = [{"shape": [2**23], "buffer": 0}] * 3
        with pytest.raises(BadFrame, match="these arrays have 100663296 bytes"):
            list(arrays.unpacked(entries, [b""]))

    @pytest.mark.parametrize("entry", [3, {}, {"shape": [1]}, {"shape": [1], "buffer": 7}])
    def test_hostile_entries_are_refused(self, entry: object) -> None:
        with pytest.raises(BadFrame):
            list(arrays.unpacked([entry], [b"", b""]))

    def test_a_name_tells_shape_and_sign(self) -> None:
        zeros = np.zeros((2, 2), np.float32)
        assert len({arrays.name_of(one) for one in (zeros, zeros.reshape(4), -zeros)}) == 3

    def test_the_least_recently_used_is_forgotten(self) -> None:
        store = ArrayStore(max_bytes=3 * 40)
        some = [np.full(10, value, np.float32) for value in range(4)]
        names = [store.put(array) for array in some[:3]]
        store.get(names[0])
        store.put(some[3])
        assert [store.get(name) is not None for name in names] == [True, False, True]
        assert store.n_bytes == 120
        store.put(some[3])
        assert store.n_bytes == 120


def sent(scene: Scene, store: ArrayStore, **changes: Any) -> Scene:
    buffers: list[bytes] = []
    content = json.loads(json.dumps(scenes.packed(scene, buffers))) | changes
    return scenes.unpacked(content, buffers, store.get)


class TestScenes:
    @pytest.fixture
    def store(self) -> ArrayStore:
        store = ArrayStore()
        for array in scenes.kept_arrays(make_scene()).values():
            store.put(array)
        return store

    @pytest.mark.parametrize(
        "scene",
        [
            make_scene(),
            make_scene().paint(0, "centre", 1.1).erase("floor"),
            make_scene().add_factor({3: 1.0}).paint(3, "left", -0.3),
            make_scene().scale(1, -0.5),
            make_scene(image=np.linspace(-1, 1, 64, dtype=np.float32).reshape(4, 4, 4), image_strength=0.7),
            make_scene(style="pixel art", n_steps=4, edit_steps=(1, 3), guidance=0.5),
            make_scene(factor_steps=(None, (0, 1), (1, 2, "add")), n_steps=4),
        ],
    )
    def test_come_back_bit_by_bit(self, scene: Scene) -> None:
        store = ArrayStore()
        for array in scenes.kept_arrays(scene).values():
            store.put(array)
        found = sent(scene, store)
        assert found == scene
        assert found.strengths.tobytes() == scene.strengths.tobytes()
        assert found.plain_fields().keys() == scene.plain_fields().keys()

    def test_an_answer_carries_what_the_client_may_not_have(self) -> None:
        scene, buffers = make_scene(), list[bytes]()
        value = scenes.packed_answer(scene, [], buffers)
        assert scenes.unpacked_answer(value, buffers, {}) == scene
        fewer: list[bytes] = []
        value = scenes.packed_answer(scene, scenes.names_in(value["scene"]), fewer)
        assert value["arrays"] == []
        with pytest.raises(scenes.MissingArrays):
            scenes.unpacked_answer(value, fewer, {})
        assert scenes.unpacked_answer(value, fewer, scenes.kept_arrays(scene)) == scene

    def test_an_answer_that_lacks_arrays_cannot_be_read(self) -> None:
        scene, buffers = make_scene(), list[bytes]()
        value = scenes.packed_answer(scene, scenes.names_in(scenes.packed(scene, [])), buffers)
        with pytest.raises(ConnectionError, match="answer cannot be read.*arrays are not here"):
            read(lambda: scenes.unpacked_answer(value, buffers, {}))

    def test_a_stroke_is_small(self) -> None:
        scene, buffers = make_scene(n_factors=5).paint(0, [(3, 4), (3, 5)], 1.0), list[bytes]()
        scenes.packed(scene, buffers)
        assert sum(map(len, buffers)) < 400

    def test_missing_arrays_are_named(self) -> None:
        with pytest.raises(scenes.MissingArrays) as caught:
            sent(make_scene(), ArrayStore())
        assert set(caught.value.names) == set(scenes.kept_arrays(make_scene()))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"arrays": 3}, "not a JSON object with arrays"),
            ({"arrays": {}}, "lacks base_basis, base_strengths, basis"),
            ({"arrays": {"oh": 1}}, "unknown arrays"),
            ({"arrays": {"basis": {"name": "x" * 10**6}}}, "the name of array basis is not the name"),
            ({"arrays": {"strengths": {"buffer": 0, "base": 3}}}, "the base of array strengths"),
            ({"extra": 1}, "unknown entries: 'extra'"),
            ({"seed": -1}, "seed"),
            ({"seed": "3"}, "seed"),
            ({"names": ["a", "a", "b"]}, "twice"),
            ({"n_steps": 10**400}, "n_steps"),
            ({"names": 3}, "names"),
        ],
    )
    def test_hostile_ones_are_refused(self, store: ArrayStore, changes: dict[str, Any], message: str) -> None:
        with pytest.raises((ValueError, TypeError), match=message):
            sent(make_scene(), store, **changes)

    @given(entry=JSON | st.fixed_dictionaries({"shape": JSON, "buffer": st.integers(-1, 2), "base": JSON}))
    def test_hostile_arrays_are_refused(self, entry: object) -> None:
        scene, buffers = make_scene(), list[bytes]()
        content = scenes.packed(scene, buffers)
        content["arrays"]["strengths"] = entry
        kept = scenes.kept_arrays(scene)
        with pytest.raises((BadFrame, ValueError, TypeError)):
            scenes.unpacked(content, buffers, kept.get)

    def test_sizes_are_checked_before_anything_is_unpacked(self, store: ArrayStore) -> None:
        buffers: list[bytes] = []
        content = scenes.packed(make_scene(), buffers)
        largest = dict.fromkeys(content["arrays"], (16, 16, 2))
        buffers[:] = [b"not even zlib"] * len(buffers)
        with pytest.raises(BadFrame, match=r"array strengths has shape \[16, 16, 3\]"):
            scenes.unpacked(content, buffers, store.get, largest)


class TestConcepts:
    @pytest.fixture
    def bank(self) -> ConceptBank:
        return ConceptBank(
            basis=np.array([[0.5, 0, 0.1], [0, 3, 0]], np.float32),
            names=("lion", "sky"),
            strengths=np.ones((4, 2), np.float32),
            stability=np.ones(2, np.float32),
            hits=((), ()),
            site="down",
            sae="abc",
            model={"id": "x"},
        )

    def test_come_back_bit_by_bit(self, bank: ConceptBank) -> None:
        kept = concepts.kept_arrays(bank)
        content = json.loads(json.dumps(concepts.packed(bank)))
        assert [concepts.name_in(content)] == list(kept)
        found = concepts.unpacked(content, kept.get)
        assert (found.key, found.names, found.site, found.sae) == (bank.key, bank.names, "down", "abc")
        assert found.basis.tobytes() == bank.basis.tobytes()
        with pytest.raises(scenes.MissingArrays) as caught:
            concepts.unpacked(content, ArrayStore().get)
        assert list(caught.value.names) == list(kept)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"extra": 1}, "not a JSON object with site, sae, names, basis"),
            ({"basis": "x" * 10**6}, "not the name of an array"),
            ({"basis": ["a"]}, "not the name of an array"),
            ({"names": 3}, "names"),
            ({"names": ["lion"]}, "names"),
            ({"names": ["lion", "lion"]}, "twice"),
            ({"site": 3}, "site"),
            ({"sae": None}, "sae"),
        ],
    )
    def test_hostile_ones_are_refused(self, bank: ConceptBank, changes: dict[str, Any], message: str) -> None:
        kept = concepts.kept_arrays(bank)
        with pytest.raises((ValueError, TypeError), match=message):
            concepts.unpacked(concepts.packed(bank) | changes, kept.get)

    @pytest.mark.parametrize("array", [np.ones(2), np.ones((2, 2, 2)), np.ones((0, 3)), -np.ones((2, 3))])
    def test_hostile_bases_are_refused(self, bank: ConceptBank, array: Any) -> None:
        with pytest.raises(ValueError, match="^basis has"):
            concepts.unpacked(concepts.packed(bank), lambda name: array)

    @given(content=JSON)
    def test_anything_else_is_refused(self, content: object) -> None:
        with pytest.raises(BadFrame):
            concepts.unpacked(content, ArrayStore().get)


class TestValues:
    def test_png_is_exact_and_the_others_are_near(self) -> None:
        random = np.random.default_rng(0)
        pixels = np.kron(random.integers(0, 255, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
        picture = Image.fromarray(pixels)
        assert np.array_equal(np.asarray(values.decoded(values.encoded(picture, "png"))), pixels)
        for form in ("webp", "jpeg"):
            found = np.asarray(values.decoded(values.encoded(picture, form)), int)
            assert abs(found - pixels).mean() < 12

    @pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(40), b"\x89PNG\r\n\x1a\n" + bytes(9)])
    def test_what_is_not_a_picture_is_refused(self, data: bytes) -> None:
        with pytest.raises(BadFrame, match="not PNG, WebP or JPEG"):
            values.decoded(data)

    def test_a_bomb_is_refused_before_it_is_unpacked(self) -> None:
        bomb = values.encoded(Image.new("L", (2**12, 2**11)), "png")
        assert len(bomb) < 2**17
        with pytest.raises(BadFrame, match="4096×2048 pixels"):
            values.decoded(bomb)

    @pytest.mark.parametrize("by_factors", [True, False])
    def test_an_inspection_comes_back_bit_by_bit(self, by_factors: bool) -> None:
        random = np.random.default_rng(0)
        codes = np.where(random.random((2, 3, 5)) < 0.3, random.random((2, 3, 5)), 0).astype(np.float32)
        inspection = Inspection(
            site="up",
            step=2,
            codes=codes,
            energy=random.random((2, 3)),
            missed=random.random((2, 3)),
            missed_by_factors=random.random((2, 3)) if by_factors else None,
            unit=random.random(5).astype(np.float32),
            space=FeatureSpace(("down", "up"), (4, 5)),
            positional=(3,),
        )
        buffers: list[bytes] = []
        content = json.loads(json.dumps(inspections.packed(inspection, buffers)))
        found = inspections.unpacked(content, buffers)
        for name, value in vars(inspection).items():
            got = getattr(found, name)
            assert np.array_equal(got, value) if isinstance(value, np.ndarray) else got == value
            assert not isinstance(value, np.ndarray) or got.dtype == value.dtype


def test_a_welcome_comes_back() -> None:
    welcome = Welcome(
        1, "0.9", "key", {"id": "x"}, (16, 16), (("down", 10),), capabilities=("refit",), files={"a": 3}
    )
    assert Welcome.unpacked(json.loads(json.dumps(welcome.packed()))) == welcome
    assert Welcome.unpacked({**welcome.packed(), "later": 1}) == welcome
    with pytest.raises(ConnectionError, match="cannot be read"):
        Welcome.unpacked({"protocol": 1})


def test_every_call_is_answered() -> None:
    from ember_widgets.serve.server.call_table import HANDLERS

    assert HANDLERS.keys() == CALLS.keys()
