"""What somebody should know of an embedder before they trust what is found with it."""

from __future__ import annotations

from codex32.kernel.components import Components

#: The embedder with which meaning costs neither a key nor a network.
_OFFLINE = "minilm"


def caution(components: Components, embedder: str) -> str | None:
    """A sentence, where there is something to know."""
    known = components.embedders.get(embedder)
    if known is None:
        return f"the embedder {embedder} is not installed, so nothing can be indexed or found"
    if not known.knows_meaning:
        remedy = "pip install codex32-minilm brings one that does"
        if _OFFLINE in components.embedders:
            remedy = f"{_OFFLINE}, which is installed, does"
        return (
            f"the embedder {embedder} knows words and not what they mean, so what is said in "
            f"other words is not found; {remedy}"
        )
    return None
