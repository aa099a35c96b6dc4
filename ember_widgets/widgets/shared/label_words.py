"""A label in words: who gave it, and how well it stands up."""

from __future__ import annotations

from ember_widgets.features.labels import OWN_SOURCE, Label

SCORES = ("detection", "causal")
"""The scores of automatic labels, as shares of what the judge got right; chance is 0.5."""
TRUSTED = 0.8
NEAR_CHANCE = 0.7
_SAYS = {"causal": "painting shows it", "detection": "recognised in pictures"}


def is_own(label: Label) -> bool:
    """Whether the user gave it; `Labels` sees to it that no other label has this source."""
    return label.source == OWN_SOURCE


def is_trusted(label: Label) -> bool:
    """Whether the user gave it, or both of its scores are ``TRUSTED`` or more."""
    return is_own(label) or all(label.scores.get(name, 0.0) >= TRUSTED for name in SCORES)


def is_scored(label: Label) -> bool:
    """Whether it is automatic and has one of ``SCORES``."""
    return not is_own(label) and any(name in label.scores for name in SCORES)


def lowest(label: Label) -> float:
    """The lower of its scores, 0..1; 0 without scores."""
    return min((label.scores[name] for name in SCORES if name in label.scores), default=0.0)


def mark(label: Label | None) -> str:
    """A few words for a row: "painting shows it: 9 of 10"; "" if there is nothing to say."""
    if label is None:
        return ""
    if is_own(label):
        return "labelled by you"
    name = next((name for name in reversed(SCORES) if name in label.scores), None)
    if name is None:
        return ""
    near = ", near chance" if label.scores[name] < NEAR_CHANCE else ""
    return f"{_SAYS[name]}: {_of(label, name)}{near}"


def facts(label: Label) -> list[tuple[str, str]]:
    """Its scores with their intervals, in short, and its category: (name, value)."""
    found = [(_SAYS[name], _short(label, name)) for name in _scores(label)]
    return [*found, *([("category", label.category)] if label.category else [])]


def _scores(label: Label) -> list[str]:
    return [] if is_own(label) else [name for name in reversed(SCORES) if name in label.scores]


def _short(label: Label, name: str) -> str:
    if not label.counts.get(name):
        return _of(label, name)
    low, high = label.interval(name)
    return f"{_of(label, name)} ({100 * low:.0f}–{100 * high:.0f}\u00a0%)"


def _exact(label: Label, name: str) -> str:
    if not label.counts.get(name):
        return _of(label, name)
    low, high = label.interval(name)
    return f"{_of(label, name)} (95 % interval {100 * low:.0f}–{100 * high:.0f} %, chance 50 %)"


def origin(label: Label | None) -> str:
    """Who or what gave it; for a file's label with other scores, these."""
    if label is None:
        return "no label yet"
    if is_own(label):
        return "labelled by you"
    if label.model:
        return f"labelled by {label.model}" + (f", {label.date}" if label.date else "")
    others = [f"{name} {value:.2f}" for name, value in label.scores.items() if name not in SCORES]
    return ", ".join(others) or label.source or "label of unknown source"


def about(label: Label | None) -> str:
    """All of it in lines, for a tooltip; "" without a label."""
    if label is None:
        return ""
    lines = [origin(label), *(f"{_SAYS[name]}: {_exact(label, name)}" for name in _scores(label))]
    lines += [f"category: {label.category}"] if label.category else []
    return "\n".join([*lines, *([label.note] if label.note else [])])


def _of(label: Label, name: str) -> str:
    n, share = label.counts.get(name), label.scores[name]
    return f"{share * n:.3g} of {n}" if n else f"{100 * share:.0f} %"
