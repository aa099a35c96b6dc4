"""The table of all formats of SAE files."""

from __future__ import annotations

from ember_widgets.dictionary.formats.dictionary_learning import DICTIONARY_LEARNING
from ember_widgets.dictionary.formats.ember import EMBER
from ember_widgets.dictionary.formats.format import Format
from ember_widgets.dictionary.formats.goodfire import GOODFIRE
from ember_widgets.dictionary.formats.overcomplete import OVERCOMPLETE
from ember_widgets.dictionary.formats.saelens import SAELENS
from ember_widgets.dictionary.formats.sdxl_unbox import SDXL_UNBOX
from ember_widgets.dictionary.formats.sparsify import SPARSIFY
from ember_widgets.dictionary.formats.state_dict import STATE_DICT

FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        EMBER,
        SDXL_UNBOX,
        SAELENS,
        DICTIONARY_LEARNING,
        SPARSIFY,
        OVERCOMPLETE,
        GOODFIRE,
        STATE_DICT,  # recognises everything, so it is last
    )
}
"""By name, in the order in which they are tried."""
