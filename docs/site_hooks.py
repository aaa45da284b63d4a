"""What the site needs besides its pages; called by mkdocs while it builds.

Mermaid diagrams are drawn now: the theme would have each reader's browser fetch a library of
three megabytes from another server. Their colours come from site.css. Links into the source
tree, good where the pages are read in it, lose their target.
"""

from __future__ import annotations

import posixpath
import re
from hashlib import blake2s
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Have fences that hold Mermaid drawn."""
    fence = {"name": "mermaid", "class": "diagram", "format": drawn}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def drawn(source: str, *_: Any, **__: Any) -> str:
    """Return the diagram as a part of a page."""
    import mermaidx

    # Styles and arrowheads are found by the picture's id, and a page may have several.
    name = f"diagram-{blake2s(source.encode(), digest_size=4).hexdigest()}"
    picture = mermaidx.render(source).svg().replace("my-svg", name)
    return f'<div class="diagram">{picture}</div>'


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Keep of links that leave docs/ only their words."""

    def kept(link: re.Match[str]) -> str:
        folder = posixpath.dirname(page.file.src_uri)
        leaves = posixpath.normpath(posixpath.join(folder, link[2])).startswith("..")
        return link[1] if leaves else link[0]

    return _LINK.sub(kept, markdown)
