"""Where training data come from: the states of runs side by side, and batches of pictures' patches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ember_widgets as ember
from ember_widgets.model.runs import Run
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.training import stream
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.shards import Shards
from ember_widgets.training.stream import Picture, PictureBatches, Prompts, Source, activations_of

SITES = ("down_blocks.2.attentions.1", "up_blocks.0.attentions.1")
ONE = SITES[:1]
TEXTS = ["a red car", "a cat on the moon", "two trees", "a house by the sea", "a blue fish"]
PATCHES = 256


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return ember.Painter.embedded(dtype="float32").pipeline


@pytest.fixture(scope="module")
def model(pipeline: Any) -> SDXL:
    return SDXL(pipeline, *ONE)


@pytest.fixture(scope="module")
def two(pipeline: Any) -> SDXL:
    return SDXL(pipeline, *SITES)


def batches_of(model: SDXL, given: Any, **settings: Any) -> PictureBatches:
    """Of one picture's patches each, two pictures drawn at a time."""
    settings = {"batch": PATCHES, "buffer": 4 * PATCHES, "at_once": 2} | settings
    return PictureBatches(model, Source(model.sites, first_seed=3), Prompts(given), **settings)


def drawn(batches: PictureBatches, monkeypatch: pytest.MonkeyPatch, n: int) -> list[Picture]:
    """The pictures that go through the model for n batches, without those that fail there."""
    pictures: list[Picture] = []

    def noted(model: SDXL, source: Source, some: list[Picture]) -> dict[str, Tensor]:
        found = activations_of(model, source, some)
        pictures.extend(some)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stream, "activations_of", noted)
        for _ in range(n):
            batches.next()
    return pictures


class TestStates:
    def test_of_one_run_are_those_of_its_start(self, two: SDXL) -> None:
        run = Run(TEXTS[0], 7, 1)
        (found,) = two.states([run])
        assert tuple(found) == SITES
        for state, expected in zip(found.values(), two.start(run).states, strict=True):
            assert torch.equal(state.hidden_in, expected.hidden_in)
            assert torch.equal(state.hidden_out, expected.hidden_out)

    @pytest.mark.parametrize("guidance", [0.0, 3.0])
    def test_of_three_runs_are_those_of_each(self, two: SDXL, guidance: float) -> None:
        runs = [Run(text, seed, 1, guidance) for seed, text in enumerate(TEXTS[:3])]
        (found,) = two.states(runs)
        starts = [two.start(run).states for run in runs]
        for i, site in enumerate(SITES):
            for name in ("hidden_in", "hidden_out"):
                # With guidance the unconditional half comes first.
                expected = torch.cat([getattr(states[i], name)[-1:] for states in starts])
                # Rounding differs, and a patch that settles on one of two codes magnifies it.
                torch.testing.assert_close(getattr(found[site], name), expected, rtol=1e-4, atol=1e-2)

    def test_at_a_later_step_are_what_is_reached(self, two: SDXL) -> None:
        runs = [Run(text, seed, 2, 3.0) for seed, text in enumerate(TEXTS[:2])]
        first, second = two.states(runs, (0, 1))
        assert not torch.allclose(first[SITES[0]].hidden_out, second[SITES[0]].hidden_out, atol=1e-2)
        for i, (run, site) in enumerate(zip(runs, SITES, strict=True)):  # each pair would take twice as long
            expected = two.reach(two.start(run), (), 1, site)
            assert torch.equal(second[site].hidden_in[i], expected.hidden_in[-1])
            assert torch.equal(second[site].hidden_out[i], expected.hidden_out[-1])


class TestActivations:
    def test_are_updates_or_outputs_step_after_step(self, model: SDXL) -> None:
        pictures = [Picture(text, 5) for text in TEXTS[:2]]
        states = list(model.states([Run(text, 5, 2) for text in TEXTS[:2]], (0, 1)))
        for target in ("update", "output"):
            found = activations_of(model, Source(ONE, target, 2, (0, 1)), pictures)
            for site in ONE:
                outs = [s[site].hidden_out - (s[site].hidden_in if target == "update" else 0) for s in states]
                d_model = model.width(site)
                expected = torch.cat([out.reshape(2, d_model, PATCHES).mT for out in outs], 1)
                assert torch.equal(found[site], expected)

    def test_that_are_not_finite_name_prompt_and_seed(
        self, model: SDXL, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoder, pipeline = model.pipeline.text_encoder_2, model.pipeline
        bad = pipeline.tokenizer_2(TEXTS[1]).input_ids
        forward = encoder.forward

        def broken(input_ids: Tensor, *args: Any, **kwargs: Any) -> Any:
            result = forward(input_ids, *args, **kwargs)
            is_bad = (input_ids[:, : len(bad)] == torch.tensor(bad)).all(1)
            for states in result.hidden_states:
                states[is_bad] = torch.nan
            return result

        with torch.no_grad(), monkeypatch.context() as patch:
            patch.setattr(encoder, "forward", broken)
            batches = batches_of(model, TEXTS)
            with pytest.raises(FloatingPointError) as caught:
                batches.next()
        assert str(caught.value) == (
            f"the activations at {ONE[0]} are not finite for the prompt 'a cat on the moon' with seed 4; "
            "load the model in bfloat16 or float32, or leave the prompt out"
        )


BAD: list[Any] = [None, 3, "x" * 10_001, "half \ud800"]


class TestBadPrompts:
    def test_are_skipped_and_no_good_one_with_them(
        self, model: SDXL, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = [TEXTS[0], BAD[0], BAD[1], TEXTS[1], BAD[2], TEXTS[2], TEXTS[3], BAD[3]]
        batches = batches_of(model, given)
        pictures = drawn(batches, monkeypatch, 1)
        assert pictures == [Picture(given[i], 3 + i) for i in (0, 3, 5, 6)]
        assert batches.n_skipped == 4

    def test_of_which_the_model_says_so_are_skipped_alone(
        self, model: SDXL, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        encode = model.pipeline.encode_prompt

        def picky(prompt: Any, **kwargs: Any) -> Any:
            if TEXTS[1] in prompt:
                raise RuntimeError("no such word")
            return encode(prompt, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(model.pipeline, "encode_prompt", picky)
            batches = batches_of(model, TEXTS, at_once=3)
            pictures = drawn(batches, monkeypatch, 1)
            held = batches.held_out(4)[ONE[0]]
        assert pictures[:4] == [Picture(TEXTS[i], 3 + i) for i in (0, 2, 3, 4)]
        assert batches.n_skipped == 1
        assert "skipped prompt 'a cat on the moon': no such word" in caplog.text
        seed = stream.HELD_OUT_SEED
        good = [Picture(TEXTS[i], seed + i) for i in (0, 2, 3, 4)]
        expected = activations_of(model, batches.source, good)[ONE[0]]
        torch.testing.assert_close(held, expected, rtol=1e-4, atol=1e-4)

    def test_end_the_training_if_there_are_no_others(self, model: SDXL) -> None:
        batches = batches_of(model, [None, 3])
        with pytest.raises(
            ValueError, match=r"^100 prompts one after another could not be drawn, the last one 3"
        ):
            batches.next()
        with pytest.raises(ValueError, match=r"^none of the first 2 prompts can be drawn"):
            batches.held_out(2)

    def test_are_still_counted_after_going_on(self, model: SDXL) -> None:
        first, second = (batches_of(model, [TEXTS[0], None]) for _ in range(2))
        first.next()
        second.load_state(first.state())
        assert second.n_skipped == first.n_skipped == 4
        assert second.n_pictures == first.n_pictures == 8


class TestBatches:
    def test_hold_each_patch_of_each_picture_once(self, model: SDXL, monkeypatch: pytest.MonkeyPatch) -> None:
        batches = batches_of(model, TEXTS)
        given = torch.cat([batches.next()[ONE[0]] for _ in range(2)])
        pictures = [Picture(text, 3 + i) for i, text in enumerate(TEXTS[:4])]
        # Drawn two at a time, as they were: the last bits depend on it.
        made = torch.cat([activations_of(model, batches.source, pictures[i : i + 2])[ONE[0]] for i in (0, 2)])
        known = {patch.tobytes() for patch in made.flatten(0, 1).numpy()}
        found = {patch.tobytes() for patch in given.numpy()}
        assert len(found) == 2 * PATCHES
        assert found < known
        assert len(known) == 4 * PATCHES

    def test_go_on_from_a_state_with_the_same_bits(self, two: SDXL) -> None:
        """Five pictures at a time do not fit: some patches wait outside the buffer."""
        first, second = (batches_of(two, TEXTS, at_once=5) for _ in range(2))
        for _ in range(3):
            first.next()
        state = {name: value.clone() for name, value in first.state().items()}
        assert f"rest.{SITES[1]}" in state
        second.load_state(state)
        for _ in range(6):
            expected, found = first.next(), second.next()
            for site in SITES:
                assert torch.equal(found[site], expected[site])

    def test_of_two_processes_are_of_pictures_that_one_would_draw(
        self, model: SDXL, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alone = drawn(batches_of(model, TEXTS, buffer=8 * PATCHES), monkeypatch, 1)
        ranks = [Ranks(rank, 2) for rank in range(2)]
        shares = [drawn(batches_of(model, TEXTS, ranks=one), monkeypatch, 1) for one in ranks]
        assert [len(share) for share in shares] == [4, 4]
        assert set(shares[0]).isdisjoint(shares[1])
        assert sorted(shares[0] + shares[1], key=lambda picture: picture.seed) == alone

    def test_need_a_buffer_of_two_of_them(self, model: SDXL) -> None:
        with pytest.raises(ValueError, match=r"^buffer=511 is outside 512\.\."):
            batches_of(model, TEXTS, buffer=511)


class Column:
    """As a data set's column: it can be gone through again, and is no list."""

    def __iter__(self) -> Iterator[str]:
        return iter(TEXTS)


class TestPrompts:
    def test_are_the_same_however_they_are_given(self, tmp_path: Path) -> None:
        file = tmp_path / "captions.txt"
        file.write_text("\n".join([*TEXTS[:2], "", "  ", *TEXTS[2:]]) + "\n", "utf-8")
        for given in (TEXTS, tuple(TEXTS), file, str(file), Column()):
            prompts = Prompts(given)
            several = [text for text, _ in zip(prompts, range(12), strict=False)]
            assert several == (TEXTS * 3)[:12]
            assert prompts.name == Prompts(TEXTS).name
        assert Prompts(TEXTS).n == Prompts(file).n == 5
        assert Prompts(Column()).n is None
        assert Prompts([*TEXTS, "more"]).name != Prompts(TEXTS).name

    def test_of_which_there_are_none_any_more_end_the_stream(self) -> None:
        """An iterable that gives nothing the second time would be asked for ever."""

        class Once:
            n = 0

            def __iter__(self) -> Iterator[str]:
                self.n += 1
                return iter(TEXTS if self.n < 3 else [])

        found = iter(Prompts(Once()))
        assert [next(found) for _ in TEXTS] == TEXTS
        with pytest.raises(ValueError) as caught:
            next(found)
        assert str(caught.value) == (
            "prompts gave nothing when gone through once more; give a list, or an iterable that begins anew "
            "each time"
        )

    @pytest.mark.parametrize(
        ("given", "kind", "message"),
        [
            (
                "a red car",
                TypeError,
                "prompts='a red car'; give a list of texts, a text file (.txt) with one in each line, or an "
                "iterable such as a data set's column",
            ),
            (
                3,
                TypeError,
                "prompts=3; give a list of texts, a text file (.txt) with one in each line, or an iterable "
                "such as a data set's column",
            ),
            (
                iter(TEXTS),
                TypeError,
                "prompts is an iterator, which can be gone through only once; give a list, or an iterable "
                "that begins anew each time, such as a data set",
            ),
            (
                [],
                ValueError,
                "prompts is empty; give at least one text, and thousands for a dictionary that covers much",
            ),
        ],
    )
    def test_of_other_kinds_are_refused(self, given: Any, kind: type[Exception], message: str) -> None:
        with pytest.raises(kind) as caught:
            Prompts(given)
        assert str(caught.value) == message

    def test_in_a_file_without_any_are_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "captions.txt"
        file.write_text("\n \n", "utf-8")
        with pytest.raises(ValueError, match=r"^prompts is empty"):
            Prompts(file)


class TestShards:
    """Several passes over the same pictures, of which only the first one runs the model."""

    PROMPTS = ("a cat", "a dog in the snow", None, "a castle by night", "a lion", "a ship on the sea")

    def batches(self, model: SDXL, folder: Path) -> PictureBatches:
        source = Source(model.sites)
        prompts = Prompts(self.PROMPTS)
        return PictureBatches(
            model, source, prompts, 64, buffer=256, at_once=2, shards=Shards(folder, {}, len(self.PROMPTS))
        )

    def test_later_passes_read_what_the_first_one_wrote(
        self, model: SDXL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ember_widgets.training.shards.PICTURES", 2)
        drawn = count_pictures(monkeypatch)
        batches = self.batches(model, tmp_path)
        passes = [[batches._drawn() for _ in range(3)] for _ in range(2)]

        assert sum(drawn) == batches.n_pictures - batches.n_skipped == 5
        site = model.sites[0]
        first, second = (torch.cat([shard[site] for shard in one]) for one in passes)
        assert len(first) == 5 * 256
        assert not torch.equal(first, second)  # in another order
        assert torch.equal(first.sort(0).values, second.sort(0).values)

    def test_a_training_goes_on_in_the_middle_of_a_later_pass(
        self, model: SDXL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ember_widgets.training.shards.PICTURES", 2)
        one, other = (self.batches(model, tmp_path) for _ in range(2))
        for _ in range(31):  # more than the 20 of a pass
            one.next()
        other.load_state({name: value.clone() for name, value in one.state().items()})

        site = model.sites[0]
        assert other.n_skipped == 1
        for _ in range(10):
            assert torch.equal(one.next()[site], other.next()[site])


def count_pictures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures go through the model, each time."""
    counts: list[int] = []

    def counted(model: SDXL, source: Source, pictures: Any) -> Any:
        counts.append(len(pictures))
        return activations_of(model, source, pictures)

    monkeypatch.setattr("ember_widgets.training.stream.activations_of", counted)
    return counts
