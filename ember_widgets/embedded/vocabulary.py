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
        mirrored: Whether the emoji is turned round.
    """

    attributes: tuple[str, ...]
    codepoint: int
    height: int
    width: int
    words: tuple[str, ...]
    in_sky: bool = False
    badge: int = 0
    mirrored: bool = False

    @property
    def name(self) -> str:
        """ "cat hands on face", "car facing right", or the variant alone: "pine"."""
        return self.attributes[1] if self.attributes[-1] in VARIANTS else " ".join(self.attributes)


# Kinds that come in variants; a kind alone stands for the first.
VARIANTS_OF = {
    "tree": ("broadleaf", "pine", "palm"),
    "building": ("house", "castle"),
    "boat": ("sailboat", "ship"),
    "flower": ("sunflower", "tulip"),
}
VARIANTS = tuple(variant for variants in VARIANTS_OF.values() for variant in variants)
STATE_PHRASES = {
    "mouth open": ("laughing {}", "{} with its mouth open"),
    "hands on face": ("startled {}", "{} with its hands on its face"),
    "eyes closed": ("kissing {}", "{} with its eyes closed"),
    "in love": ("smitten {}", "{} with a heart"),
    "asleep": ("sleeping {}", "{} asleep"),
    "angry": ("angry {}", "cross {}"),
    "singing": ("singing {}", "{} with a song"),
    "surprised": ("surprised {}", "astonished {}"),
}
STATES = tuple(STATE_PHRASES)
BADGES = {"in love": 0x2764, "asleep": 0x1F4A4, "angry": 0x1F4A2, "singing": 0x1F3B5, "surprised": 0x2757}
"""The emoji that shows a state beside a face that has none for it."""
FACING_RIGHT = "facing right"  # all others face the viewer, or left as Noto draws them


def _variant(kind: str, name: str, codepoint: int, height: int, width: int, *words: str) -> Look:
    return Look((kind, name), codepoint, height, width, words)


def _animal(kind: str, codepoint: int, words: tuple[str, ...], **states: int) -> list[Look]:
    """An animal and its states: in love, and those that it has a face of its own for."""
    looks = [Look((kind,), codepoint, 5, 5, words)]
    for key, point in ({"in_love": 0} | states).items():
        looks.append(_in_state(looks[0], key.replace("_", " "), point))
    return looks


def _in_state(animal: Look, state: str, codepoint: int = 0) -> Look:
    """An animal in a state, shown by a face of its own or else by a badge."""
    said = tuple(phrase.format(word) for phrase in STATE_PHRASES[state] for word in animal.words)
    badge = 0 if codepoint else BADGES[state]
    return Look((*animal.attributes, state), codepoint or animal.codepoint, 5, 5, said, badge=badge)


def _turned(thing: Look) -> Look:
    said = tuple(f"{word} {FACING_RIGHT}" for word in thing.words)
    return Look(
        (*thing.attributes, FACING_RIGHT), thing.codepoint, thing.height, thing.width, said, mirrored=True
    )


_FIRST = (
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
    # Since version 5:
    *_animal("bear", 0x1F43B, ("bear",)),
    *_animal("fox", 0x1F98A, ("fox",)),
    *_animal("rabbit", 0x1F430, ("rabbit", "bunny")),
    *_animal("pig", 0x1F437, ("pig",)),
    Look(("owl",), 0x1F989, 5, 5, ("owl",)),
    Look(("penguin",), 0x1F427, 5, 5, ("penguin",)),
    Look(("unicorn",), 0x1F984, 5, 5, ("unicorn",)),
    Look(("elephant",), 0x1F418, 5, 5, ("elephant",)),
    Look(("turtle",), 0x1F422, 4, 5, ("turtle", "tortoise")),
    Look(("fish",), 0x1F420, 4, 5, ("fish",)),
    Look(("whale",), 0x1F433, 5, 6, ("whale",)),
    Look(("robot",), 0x1F916, 5, 5, ("robot",)),
    Look(("snowman",), 0x26C4, 6, 6, ("snowman",)),
    Look(("cactus",), 0x1F335, 6, 6, ("cactus",)),
    Look(("pumpkin",), 0x1F383, 5, 5, ("pumpkin",)),
    Look(("strawberry",), 0x1F353, 4, 4, ("strawberry",)),
    Look(("cake",), 0x1F382, 5, 5, ("cake", "birthday cake")),
    Look(("gift",), 0x1F381, 4, 4, ("gift", "present")),
    Look(("guitar",), 0x1F3B8, 5, 5, ("guitar",)),
    Look(("tent",), 0x26FA, 5, 6, ("tent",)),
    Look(("bus",), 0x1F68C, 5, 6, ("bus",)),
    Look(("bicycle",), 0x1F6B2, 5, 6, ("bicycle", "bike")),
    Look(("butterfly",), 0x1F98B, 4, 4, ("butterfly",), in_sky=True),
    Look(("rocket",), 0x1F680, 5, 5, ("rocket",), in_sky=True),
    Look(("star",), 0x2B50, 4, 4, ("star",), in_sky=True),
)  # fmt: skip
ANIMALS = tuple(look.attributes[0] for look in _FIRST if look.attributes[1:] == ("in love",))
_OF_KIND = {look.attributes[0]: look for look in reversed(_FIRST)}
LOOKS = (
    *_FIRST,
    *(_in_state(_OF_KIND[kind], state) for state in STATES[4:] for kind in ANIMALS),
    *(_turned(_OF_KIND[kind]) for kind in ("car", "bus", "bicycle", "elephant", "turtle", "fish", "whale")),
)

# Looks with a state are chosen less often: there are many of them for each animal.
_WEIGHTS = [0.5 if look.attributes[-1] in STATES else 1.0 for look in LOOKS]
CHANCES = tuple(weight / sum(_WEIGHTS) for weight in _WEIGHTS)

# What two animals side by side can do: the state each is in, and the phrases for it.
INTERACTIONS = (
    ("in love", "in love", ("{} and {} in love", "{} in love with {}")),
    ("", "hands on face", ("{} scares {}", "{} and a startled {}")),
    ("singing", "in love", ("{} sings to {}", "{} singing to {}")),
    ("angry", "surprised", ("{} shouts at {}", "{} is angry with {}")),
    ("asleep", "asleep", ("{} and {} asleep", "{} sleeping beside {}")),
)
SKIES = ("day", "sunset", "night", "overcast", "rain", "snowfall", "fog")
GROUNDS = ("grass", "sand", "snow", "sea", "road")
BACKDROPS = ("mountains", "forest", "city", "rainbow")
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
    ("in the rain", "on a rainy day"),
    ("in falling snow", "while it snows"),
    ("in the fog", "on a misty day"),
)
BACKDROP_PHRASES = (
    ("before mountains", "with mountains behind"),
    ("before a forest", "with a forest behind"),
    ("before a city", "with a city behind"),
    ("under a rainbow", "with a rainbow above"),
)
STYLE_PHRASES = (
    ("as pixel art", "pixel art of"),
    ("as a pencil drawing", "a pencil drawing of"),
    ("in sepia", "a sepia photograph of"),
    ("as a blueprint", "a blueprint of"),
)

BACKGROUNDS = frozenset((*SKIES, *GROUNDS, *BACKDROPS))
PAPER = 0
LABELS = ("paper", *SKIES, *GROUNDS, *BACKDROPS, *(look.name for look in LOOKS))
FIRST_SKY, FIRST_GROUND = 1, 1 + len(SKIES)
FIRST_BACKDROP = FIRST_GROUND + len(GROUNDS)
FIRST_THING = FIRST_BACKDROP + len(BACKDROPS)
# New ones come last: the place of an attribute decides its direction at the site, which earlier weights know.
ATTRIBUTES = (
    *SKIES[:4], *GROUNDS, *dict.fromkeys(a for look in LOOKS for a in look.attributes),
    *SKIES[4:], *BACKDROPS,
)  # fmt: skip


def look(label: int) -> Look:
    """The look that a label from `FIRST_THING` on stands for."""
    return LOOKS[label - FIRST_THING]


def attributes(label: int) -> tuple[str, ...]:
    """What a patch with this label shows; blank paper shows nothing."""
    if label == PAPER:
        return ()
    return (LABELS[label],) if label < FIRST_THING else look(label).attributes
