"""How well and how fast labels are found by meaning; prints tables.

    python -m tests.benchmarks.meaning [FOLDER_OR_HUB_ID]

For each threshold of the cosine: of the hits by meaning, the share that a person would want (precision), and
of what a person would want, the share that is found (recall). No word of a query is in the labels that it
should find, as those are found by their words.
"""

from __future__ import annotations

import random
import sys
import time

from ember_widgets.features.labels import Labels
from ember_widgets.features.meaning import THRESHOLD, Meaning, usual

LABELS = """
cat | kitten sleeping on a blanket | dog portrait | puppy | lion with a mane | horse racing
cows on a pasture | bird on a branch | eagle in flight | fish under water | butterfly | bee on a flower
rose petals | sunflower | pine tree | forest path | autumn leaves | grass | mountain peak with snow
sandy beach | ocean waves | river | clouds | rain on a window | sunset glow | night sky with stars | fog
car | truck | bicycle wheel | train station | boat on a lake | airplane wing | motorcycle rider
kitchen sink | wooden table | armchair | bed with pillows | lamp | candle flame | bookshelf | wine glass
coffee cup | bread | pizza | fruit bowl | cake with frosting | wedding dress | leather jacket
running shoes | hat | gold ring | eyeglasses | human face | smiling mouth | hands holding something
curly hair | bearded man | child | crowd of people | soccer player | guitar | piano keys
painting in a frame | brick wall | marble texture | wood grain | knitted wool | polka dots | stripes
red colour | pale blue tones | black and white | watercolour style | pencil sketch | blurred background
text on a sign | clock face | castle | church interior | city skyline | bridge | road | office desk
laptop | mobile phone | doctor in a coat | knife | flag | balloon | teddy bear | skull | robot | dragon
upper left corner
"""

WANTED = {
    "feline": "cat | kitten sleeping on a blanket | lion with a mane",
    "canine": "dog portrait | puppy",
    "kitty": "cat | kitten sleeping on a blanket",
    "pony": "horse racing",
    "cattle": "cows on a pasture",
    "insect": "butterfly | bee on a flower",
    "animal": "cat | kitten sleeping on a blanket | dog portrait | puppy | lion with a mane | horse racing | "
    "cows on a pasture | bird on a branch | eagle in flight | fish under water | butterfly | bee on a flower",
    "blossom": "rose petals | sunflower | bee on a flower",
    "woods": "forest path | pine tree",
    "foliage": "autumn leaves | pine tree | forest path | grass",
    "lawn": "grass",
    "summit": "mountain peak with snow",
    "seaside": "sandy beach | ocean waves",
    "sea": "ocean waves | sandy beach",
    "stream": "river",
    "mist": "fog | clouds",
    "dusk": "sunset glow | night sky with stars",
    "storm": "rain on a window | clouds",
    "automobile": "car | truck",
    "vehicle": "car | truck | motorcycle rider | bicycle wheel | boat on a lake",
    "ship": "boat on a lake",
    "plane": "airplane wing",
    "railway": "train station",
    "furniture": "wooden table | armchair | bed with pillows | bookshelf | office desk",
    "sofa": "armchair",
    "light bulb": "lamp",
    "drink": "wine glass | coffee cup",
    "dessert": "cake with frosting",
    "food": "bread | pizza | fruit bowl | cake with frosting",
    "bride": "wedding dress",
    "sneakers": "running shoes",
    "jewelry": "gold ring",
    "spectacles": "eyeglasses",
    "grin": "smiling mouth",
    "fingers": "hands holding something",
    "kid": "child",
    "football": "soccer player",
    "musical instrument": "guitar | piano keys",
    "artwork": "painting in a frame | watercolour style | pencil sketch",
    "drawing": "pencil sketch | watercolour style",
    "dotted pattern": "polka dots",
    "crimson": "red colour",
    "monochrome": "black and white",
    "bokeh": "blurred background",
    "watch": "clock face",
    "cathedral": "church interior",
    "town": "city skyline",
    "street": "road",
    "computer": "laptop",
    "smartphone": "mobile phone",
    "physician": "doctor in a coat",
    "toy": "teddy bear | balloon",
    "monster": "dragon",
    "bones": "skull",
}


def _texts(joined: str) -> list[str]:
    return [text.strip() for text in joined.replace("\n", " | ").split("|") if text.strip()]


def quality(meaning: Meaning) -> None:
    """Precision and recall by threshold."""
    labels = _texts(LABELS)
    found = {query: meaning.rank(query, labels, threshold=-1, most=len(labels)) for query in WANTED}
    print("threshold  precision  recall  queries with a right hit  wrong hits per query")
    for threshold in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7):
        right = wrong = wanted = answered = 0
        for query, texts in WANTED.items():
            hits = {labels[i] for i, cosine in found[query] if cosine >= threshold}
            good = hits & set(_texts(texts))
            right, wrong, wanted = right + len(good), wrong + len(hits - good), wanted + len(_texts(texts))
            answered += bool(good)
        precision = right / (right + wrong) if right + wrong else float("nan")
        mark = "  <- the one in use" if threshold == THRESHOLD else ""
        print(
            f"{threshold:9}  {precision:9.2f}  {right / wanted:6.2f}  {answered / len(WANTED):24.2f}  "
            f"{wrong / len(WANTED):20.2f}{mark}"
        )


def speed(meaning: Meaning, n: int = 10_240) -> None:
    """Times of a search of so many labels."""
    words = [word for text in _texts(LABELS) for word in text.split()]
    pick = random.Random(0)
    labels = Labels({i: " ".join(pick.sample(words, pick.randint(1, 6))) for i in range(n)})
    labels._meaning = meaning
    for name in ("first search, which embeds the labels", "next search", "search after a label was set"):
        if name.endswith("set"):
            labels.set(5, "a lighthouse")
        began = time.perf_counter()
        labels.find("kitty")
        print(f"{n:,} labels, {name}: {1000 * (time.perf_counter() - began):.1f} ms")
    began = time.perf_counter()
    labels.find("kitty", by_meaning=False)
    print(f"{n:,} labels, by words only: {1000 * (time.perf_counter() - began):.1f} ms")


def main() -> None:
    began = time.perf_counter()
    meaning = Meaning.load(sys.argv[1]) if len(sys.argv) > 1 else usual()
    if meaning is None:
        print("no text embedding is on this machine; give a folder, or run: ember-widgets download --meaning")
        return
    print(f"loading: {1000 * (time.perf_counter() - began):.0f} ms")
    quality(meaning)
    speed(meaning)


if __name__ == "__main__":
    main()
