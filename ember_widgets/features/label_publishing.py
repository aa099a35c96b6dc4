"""Labels and the page that describes them, put on the Hugging Face hub as a data set."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from ember_widgets.features import label_file
from ember_widgets.features.label import PERSON, Label
from ember_widgets.scene import site_names
from ember_widgets.util import cards, checks, uploads
from ember_widgets.util.hub import Hub

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
MOST_LISTED = 12
"""Categories, models and sources that the page lists."""


@dataclass(frozen=True)
class LabelUpload:
    """What the user decided about an upload; see `Labels.push_to_hub`.

    Raises:
        TypeError, ValueError: Something is missing or of the wrong kind.
    """

    repo: str
    licence: str | None
    licence_link: str | None = None
    model: str | None = None
    sae: str | None = None
    site: str | None = None
    data: str = ""
    private: bool = True
    token: str | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        uploads.check_repo(self.repo, "me/my-labels")
        uploads.check_licence(
            self.licence,
            self.licence_link,
            "Labels that a model wrote may be bound by its terms: read them first",
        )
        uploads.check_named("model", self.model, "stabilityai/sdxl-turbo")
        uploads.check_named("sae", self.sae, "surokpro2/sdxl-saes")
        checks.text("data", self.data)
        if self.site is not None:
            checks.text("site", self.site)
        uploads.check_private(self.private)


def push(upload: LabelUpload, labels: Mapping[int, Label], own: Collection[int]) -> str:
    """Put labels and a card into a data set.

    Args:
        upload: What the user decided.
        labels: {feature: label}.
        own: Features whose label the user set.

    Returns:
        The repository's address.

    Raises:
        ValueError: There are no labels.
    """
    if not labels:
        raise ValueError("there are no labels to upload; set some, or add some with labels.add()")
    published = {f: _as_published(label, f in own) for f, label in sorted(labels.items())}
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        for name in ("labels.json", "labels.jsonl"):
            label_file.write(place / name, published)
        (place / "README.md").write_text(card(upload, published), "utf-8")
        message = upload.message or f"Labels of {checks.plural(len(published), 'feature')}"
        return Hub(token=upload.token, kind="dataset").upload(
            upload.repo, place, private=upload.private, message=message
        )


def card(upload: LabelUpload, labels: Mapping[int, Label]) -> str:
    """The page, Markdown with a header in YAML."""
    link = upload.licence_link or ""
    facts = cards.licence_facts(upload.licence or "", link) | {
        "pretty_name": upload.repo.partition("/")[2],
        "tags": ["sparse-autoencoder", "interpretability", "diffusion", "ember-widgets"],
        "size_categories": [next((name for most, name in SIZES if len(labels) < most), "n>1M")],
        # The viewer shows rows; labels.json holds the same as one object.
        "configs": [{"config_name": "default", "data_files": "labels.jsonl"}],
    }
    parts = [
        cards.header(facts),
        f"# {cards.escaped(upload.repo.partition('/')[2])}\n",
        _what(upload, labels),
        cards.table(("", ""), _rows(labels)),
        _scores(labels),
        f"Pictures, as the author says: {cards.escaped(upload.data)}\n" if upload.data else "",
        _use(upload),
        "## Licence\n\nThe author gives these labels under: "
        f"{cards.licence_shown(upload.licence or '', link)}. What a model wrote may be bound by that model's "
        "terms, and the SAE has a licence of its own; read these too.\n",
    ]
    return "\n".join(part for part in parts if part)


def _as_published(label: Label, is_own: bool) -> Label:
    """A label as it is published: folders of the author's machine are not published."""
    model = label.model
    if os.path.isabs(model) or model.startswith((".", "~")) or "\\" in model:
        model = model.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return replace(label, model=model, source=PERSON if is_own else label.source)


def _what(upload: LabelUpload, labels: Mapping[int, Label]) -> str:
    place = f" at `{site_names.short(upload.site)}`" if upload.site and upload.site.isprintable() else ""
    place = place if "`" not in (upload.site or "") else ""
    of = [
        f"{article} [{cards.escaped(repo)}](https://huggingface.co/{repo})"
        for article, repo in (("the sparse autoencoder (SAE)", upload.sae), ("activations of", upload.model))
        if repo
    ]
    whose = f" of {', trained on '.join(of)}" if of else " of a sparse autoencoder (SAE)"
    return (
        f"Names for {checks.plural(len(labels), 'feature')}{whose}{place}, for painting in pictures with "
        "features in a notebook ([ember_widgets](https://pypi.org/project/ember-widgets/)).\n"
    )


def _rows(labels: Mapping[int, Label]) -> cards.Rows:
    rows = [("labels", f"{len(labels):,}")]
    by = Counter(label.model or label.source or "not known" for label in labels.values())
    rows += [(f"labelled by {name}", f"{n:,}") for name, n in by.most_common(MOST_LISTED)]
    days = sorted({label.date for label in labels.values() if label.date})
    if days:
        rows.append(("labelled on", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"))
    kinds = Counter(label.category for label in labels.values() if label.category)
    rows += [(f"category {name}", f"{n:,}") for name, n in kinds.most_common(MOST_LISTED)]
    hashes = sorted({label.prompt_hash for label in labels.values() if label.prompt_hash})
    if hashes:
        rows.append(("wording of the questions (hash)", ", ".join(hashes[:MOST_LISTED])))
    return rows


def _scores(labels: Mapping[int, Label]) -> str:
    names = sorted({name for label in labels.values() for name in label.scores})
    if not names:
        return ""
    rows = []
    for name in names:
        values = [label.scores[name] for label in labels.values() if name in label.scores]
        rows.append((name, f"{median(values):.3g} ({checks.plural(len(values), 'label')})"))
    said = "## Scores\n\n"
    meant = {
        "detection": "how often a judge told pictures with the feature from pictures without it, by the "
        "label alone",
        "causal": "how often a judge told what painting the feature does from what painting another one "
        "does; 0.5 = painting it does nothing that the label names",
    }
    said += "".join(f"- {name}: {text}.\n" for name, text in meant.items() if name in names)
    return f"{said}\n{cards.table(('score', 'median'), rows)}"


def _use(upload: LabelUpload) -> str:
    return (
        "## Use\n\n"
        f'```python\npainter.labels.add("{upload.repo}")\n```\n\n'
        "`labels.json` holds all that is known of each label; `labels.jsonl` the same as rows: feature, "
        "label, source, category, note, model, date, and each score with the number of its trials (`_n`).\n"
    )
