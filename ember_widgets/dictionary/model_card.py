"""The page that describes an SAE on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ember_widgets.dictionary.formats.format import Writable
from ember_widgets.scene import site_names
from ember_widgets.util import cards
from ember_widgets.util.cards import Rows, escaped


@dataclass(frozen=True)
class Described:
    """One SAE, and what is known about it.

    Attributes:
        sae: The SAE.
        folder: Its folder in the repository; "" = the repository itself.
        figures: (name, value) of what was measured.
    """

    sae: Writable
    folder: str = ""
    figures: Rows = ()


@dataclass(frozen=True)
class Card:
    """All that a model card says.

    Attributes:
        repo: "owner/name".
        saes: The SAEs.
        format: In which they are stored.
        licence: Identifier as the hub knows it, such as "mit"; or a name of the user's, with `licence_link`.
        licence_link: Where that licence stands; "" for one that the hub knows.
        model: Hub id of the model whose activations it encodes; "" = not said.
        data: What the user says about the prompts and pictures; "" = nothing.
        training: (name, value) of how it was trained; () = not known.
        evaluation: What an evaluation printed; "" = nothing.
        notes: Sentences of this package about the training.
    """

    repo: str
    saes: Sequence[Described]
    format: str
    licence: str
    licence_link: str = ""
    model: str = ""
    data: str = ""
    training: Rows = ()
    evaluation: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    def text(self) -> str:
        """The page, Markdown with a header in YAML."""
        parts = [
            self._header(),
            f"# {escaped(self.repo.partition('/')[2])}\n",
            self._what(),
            *(self._one(described) for described in self.saes),
            self._training(),
            self._evaluation(),
            self._loading(),
            self._licence(),
        ]
        return "\n".join(part for part in parts if part)

    def _header(self) -> str:
        facts = cards.licence_facts(self.licence, self.licence_link)
        facts["library_name"] = "saelens" if self.format == "saelens" else "ember-widgets"
        if self.model:
            facts["base_model"] = self.model
        tags = ["sparse-autoencoder", "interpretability", "diffusion", "ember-widgets"]
        facts["tags"] = [*tags, "saelens"] if self.format == "saelens" else tags
        return cards.header(facts)

    def _what(self) -> str:
        of = f" of [{escaped(self.model)}](https://huggingface.co/{self.model})" if self.model else ""
        many = (
            "A sparse autoencoder (SAE)" if len(self.saes) == 1 else f"{len(self.saes)} sparse autoencoders"
        )
        return (
            f"{many} of attention blocks{of}, for painting in pictures with features in a notebook "
            "([ember_widgets](https://pypi.org/project/ember-widgets/)).\n"
        )

    def _one(self, described: Described) -> str:
        sae = described.sae
        levels = sae.threshold
        rows = [
            ("site", sae.site),
            ("target", "update (output − input of the block)" if sae.target == "update" else "output"),
            ("features", f"{sae.n_features:,}"),
            ("channels", f"{sae.d_model:,}"),
            ("activation", sae.activation),
        ]
        if sae.k is not None:
            rows.append(("k", str(sae.k)))
        if levels is not None:
            one = levels.numel() == 1
            rows.append(("threshold", f"{float(levels):.6g}" if one else "one per feature"))
        rows.append(("positional features", str(len(sae.positional))))
        title = described.folder or site_names.short(sae.site)
        tables = [f"## {escaped(title)}\n", cards.table(("", ""), rows)]
        if described.figures:
            tables.append(cards.table(("measured", ""), described.figures))
        return "\n".join(tables)

    def _training(self) -> str:
        if not (self.training or self.data or self.notes):
            return ""
        parts = ["## Training\n"]
        if self.data:
            parts.append(f"Data, as the author says: {escaped(self.data)}\n")
        parts += [f"{escaped(note)}\n" for note in self.notes]
        if self.training:
            parts.append(cards.table(("setting", "value"), self.training))
        return "\n".join(parts)

    def _evaluation(self) -> str:
        return f"## Evaluation\n\n{cards.verbatim(self.evaluation)}\n" if self.evaluation else ""

    def _loading(self) -> str:
        places = [f"{self.repo}/{d.folder}" if d.folder else self.repo for d in self.saes]
        model = self.model or "<the model>"
        # Only one SAE can steer a site.
        by_site = {d.sae.site: place for d, place in zip(self.saes, places, strict=True)}
        if len(by_site) == 1:
            wanted = json.dumps(places[0])
        else:
            wanted = "{" + ", ".join(f"{json.dumps(s)}: {json.dumps(p)}" for s, p in by_site.items()) + "}"
        code = [
            "import ember_widgets as ember",
            "",
            f"painter = ember.Painter.from_pretrained({json.dumps(model)}, sae={wanted})",
            'ember.PaintWidget(painter, painter.analyze("a lion in a meadow", n_factors=5))',
        ]
        parts = ["## Use\n", "```python", *code, "```\n"]
        if self.format == "saelens":
            inside = f' + "/{self.saes[0].folder}"' if self.saes[0].folder else ""
            code = [
                "from huggingface_hub import snapshot_download",
                "from sae_lens import SAE",
                "",
                f"sae = SAE.load_from_disk(snapshot_download({json.dumps(self.repo)}){inside})",
            ]
            parts += ["With SAELens:\n", "```python", *code, "```\n"]
        return "\n".join(parts)

    def _licence(self) -> str:
        shown = cards.licence_shown(self.licence, self.licence_link)
        model = escaped(self.model) if self.model else "the model"
        return (
            f"## Licence\n\nThe author gives this SAE under: {shown}. "
            f"It was made from activations of {model}, "
            "whose own licence may say what may be made from it and under which terms; read that too.\n"
        )
