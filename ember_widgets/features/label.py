"""A label of a feature: its text, who says so, and how well it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ember_widgets.util import intervals

PERSON = "a person"
"""The source of labels that somebody set; "you" would mean the reader."""


@dataclass(frozen=True)
class Label:
    """The label of a feature.

    Args:
        text: the label.
        source: who or what says so; "" = not known.
        scores: how well it fits, by name, such as {"detection": 0.9, "causal": 0.8}; may be empty.
        counts: of how many trials a score is the share of successes, such as {"detection": 10}.
        category: "object", "part", "action", ... of an automatic label; "" = not known.
        note: what its author was unsure about.
        model: the vision-language model that gave it; "" = not automatic, or not known.
        date: when, as YYYY-MM-DD.
        prompt_hash: identifies the wording of the question.

    Example:
        >>> score, n = {"detection": 0.9}, {"detection": 10}
        >>> label = Label("cat", scores=score, counts=n, model="Qwen/Qwen2.5-VL-7B")
        >>> label.origin
        'labelled by Qwen2.5-VL-7B; detection 0.9 (0.60 to 0.98)'
    """

    text: str
    source: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    category: str = ""
    note: str = ""
    model: str = ""
    date: str = ""
    prompt_hash: str = ""

    def interval(self, score: str) -> tuple[float, float]:
        """Between which values the true share lies, with 95 % confidence (Wilson's interval).

        Args:
            score: a score that is the share of successes of counted trials, such as "detection".

        Returns:
            The lower and the upper end, 0..1.

        Raises:
            KeyError: the label has no such score, or nobody counted its trials.
        """
        if score not in self.scores or score not in self.counts:
            counted = ", ".join(name for name in self.scores if name in self.counts) or "none"
            raise KeyError(f"{score!r} is no counted score of this label; counted are: {counted}")
        return intervals.wilson(self.scores[score], self.counts[score])

    @property
    def origin(self) -> str:
        """Who gave the label, when, and how well it fits, in one line for people; "" if nothing is known."""
        by = self.model.replace("\\", "/").rstrip("/").rpartition("/")[2] or self.source
        who = f"labelled by {by}" if by else ""
        when = f" on {self.date}" if self.date and who else ""
        return "; ".join(part for part in (who + when, ", ".join(map(self._score, self.scores))) if part)

    def _score(self, name: str) -> str:
        shown = f"{name} {round(self.scores[name], 2)}"
        if name not in self.counts:
            return shown
        low, high = self.interval(name)
        return f"{shown} ({low:.2f} to {high:.2f})"
