"""What the training scenes can show, and the English for it: kinds, variants, states, places, styles.

Every label of a patch is a set of *attributes*: "cat hands on face" is a cat, with its hands on its face.
Attributes are what the codes at the steering site are sums of, what features are labelled with, and what
captions say.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """One way a thing can look.

    Attributes:
        attributes: Kind, then variant or state.
        codepoint: Its emoji.
        height, width: Natural size in patches.
        words: What captions call it.
        in_sky: Whether captions put it into the sky.
        badge: Emoji in its top right corner, 0 for none.
    """

    attributes: tuple[str, ...]
    codepoint: int
    height: int
    width: int
    words: tuple[str, ...]
    in_sky: bool = False
    badge: int = 0

    @property
    def name(self) -> str:
        """ "cat hands on face", or the variant alone: "pine"."""
        return self.attributes[1] if self.attributes[-1] in VARIANTS else " ".join(self.attributes)


# Kinds that come in variants; a kind alone stands for the first.
VARIANTS_OF = {
    "tree": ("broadleaf", "pine", "palm"),
    "building": ("house", "castle"),
    "boat": ("sailboat", "ship"),
    "flower": ("sunflower", "tulip"),
}
VARIANTS = tuple(variant for variants in VARIANTS_OF.values() for variant in variants)
STATES = ("mouth open", "hands on face", "eyes closed", "in love")
STATE_PHRASES = {
    "mouth open": ("laughing {}", "{} with its mouth open"),
    "hands on face": ("startled {}", "{} with its hands on its face"),
    "eyes closed": ("kissing {}", "{} with its eyes closed"),
    "in love": ("smitten {}", "{} with a heart"),
}


HEART = 0x2764


def _variant(kind: str, name: str, codepoint: int, height: int, width: int, *words: str) -> Look:
    return Look((kind, name), codepoint, height, width, words)


def _animal(kind: str, codepoint: int, words: tuple[str, ...], **states: int) -> list[Look]:
    """An animal and its states; one in love without a face of its own for it gets a heart."""
    looks = [Look((kind,), codepoint, 5, 5, words)]
    for key, point in ({"in_love": 0} | states).items():
        state = key.replace("_", " ")
        said = tuple(phrase.format(word) for phrase in STATE_PHRASES[state] for word in words)
        looks.append(Look((kind, state), point or codepoint, 5, 5, said, badge=0 if point else HEART))
    return looks


LOOKS = (
    _variant("tree", "broadleaf", 0x1F333, 6, 6, "tree", "oak", "broadleaf tree"),
    _variant("tree", "pine", 0x1F332, 6, 6, "pine", "fir", "pine tree"),
    _variant("tree", "palm", 0x1F334, 6, 6, "palm", "palm tree"),
    _variant("building", "house", 0x1F3E0, 6, 6, "house", "home", "cottage"),
    _variant("building", "castle", 0x1F3F0, 6, 6, "castle", "fortress"),
    _variant("boat", "sailboat", 0x26F5, 5, 5, "sailboat", "yacht"),
    _variant("boat", "ship", 0x1F6A2, 5, 5, "ship", "steamer"),
    _variant("flower", "sunflower", 0x1F33B, 5, 5, "sunflower"),
    _variant("flower", "tulip", 0x1F337, 5, 5, "tulip"),
    Look(("mushroom",), 0x1F344, 4, 4, ("mushroom", "toadstool")),
    Look(("apple",), 0x1F34E, 4, 4, ("apple",)),
    Look(("car",), 0x1F697, 5, 5, ("car", "red car")),
    Look(("mountain",), 0x1F3D4, 6, 6, ("mountain", "snowy peak")),
    *_animal("lion", 0x1F981, ("lion",)),
    *_animal("dog", 0x1F436, ("dog", "puppy")),
    *_animal("monkey", 0x1F435, ("monkey", "ape"), hands_on_face=0x1F648),
    *_animal(
        "cat", 0x1F431, ("cat", "kitten"),
        mouth_open=0x1F63A, hands_on_face=0x1F640, eyes_closed=0x1F63D, in_love=0x1F63B,
    ),
    Look(("sun",), 0x1F31E, 4, 4, ("sun",), in_sky=True),
    Look(("moon",), 0x1F31D, 4, 4, ("moon", "full moon"), in_sky=True),
    Look(("cloud",), 0x2601, 4, 5, ("cloud", "white cloud"), in_sky=True),
    Look(("balloon",), 0x1F388, 4, 4, ("balloon", "red balloon"), in_sky=True),
)  # fmt: skip

# What two animals side by side can do: the state each is in, and the phrases for it.
INTERACTIONS = (
    ("in love", "in love", ("{} and {} in love", "{} in love with {}")),
    ("", "hands on face", ("{} scares {}", "{} and a startled {}")),
)
SKIES = ("day", "sunset", "night", "overcast")
GROUNDS = ("grass", "sand", "snow", "sea", "road")
STYLES = ("pixel art", "pencil", "sepia", "blueprint")

GROUND_PHRASES = (
    ("in a meadow", "on grass", "in a green field"),
    ("on sand", "in the desert", "at the beach"),
    ("in the snow", "on snow"),
    ("on the sea", "at sea", "on the water"),
    ("on a road", "in the street"),
)
SKY_PHRASES = (
    ("by day", "under a blue sky", "on a sunny day"),
    ("at sunset", "in the evening"),
    ("at night", "under the stars"),
    ("under a grey sky", "on a cloudy day"),
)
STYLE_PHRASES = (
    ("as pixel art", "pixel art of"),
    ("as a pencil drawing", "a pencil drawing of"),
    ("in sepia", "a sepia photograph of"),
    ("as a blueprint", "a blueprint of"),
)

PAPER = 0
LABELS = ("paper", *SKIES, *GROUNDS, *(look.name for look in LOOKS))
FIRST_SKY, FIRST_GROUND = 1, 1 + len(SKIES)
FIRST_THING = FIRST_GROUND + len(GROUNDS)
ATTRIBUTES = (
    *SKIES, *GROUNDS, *dict.fromkeys(a for look in LOOKS for a in look.attributes),
)  # fmt: skip


def look(label: int) -> Look:
    """The look that a label from `FIRST_THING` on stands for."""
    return LOOKS[label - FIRST_THING]


def attributes(label: int) -> tuple[str, ...]:
    """What a patch with this label shows; blank paper shows nothing."""
    if label == PAPER:
        return ()
    return (LABELS[label],) if label < FIRST_THING else look(label).attributes
