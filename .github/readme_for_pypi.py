"""Give the links and pictures of README.md whole addresses: `python readme_for_pypi.py OWNER/NAME TAG`.

PyPI shows the README without the repository around it, where relative links lead nowhere. The workflow
release.yml runs this in its own checkout, before it builds.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
# The target of a link, or of a picture in HTML, that is neither an address nor a place in the page.
LINK = re.compile(r"(\]\(|\bsrc(?:set)?=\")(?![a-z]+:|#)([^)\"\s]+)")


def with_addresses(text: str, repository: str, tag: str) -> str:
    """The README's text with whole addresses.

    Args:
        text: Markdown, with links from the top of the repository.
        repository: owner and name on GitHub, such as ``"me/ember_widgets"``.
        tag: the version that the links shall lead to.
    """

    def address(match: re.Match[str]) -> str:
        is_picture = match[1].startswith("src")
        home = "https://raw.githubusercontent.com" if is_picture else "https://github.com"
        return f"{match[1]}{home}/{repository}/{'' if is_picture else 'blob/'}{tag}/{match[2]}"

    return LINK.sub(address, text)


if __name__ == "__main__":
    README.write_text(with_addresses(README.read_text("utf-8"), *sys.argv[1:]), "utf-8")
