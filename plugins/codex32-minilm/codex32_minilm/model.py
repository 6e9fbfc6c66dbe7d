"""The network itself, in numpy: six layers of a transformer, and the mean over its words.

Module for use on a thread; it imports numpy and a tokenizer, some tenths of a second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Numbers: TypeAlias = NDArray[np.float32]

_LAYERS = 6
_HEADS = 12
#: What the model was trained to read at once; a longer text is read window by window.
_WINDOW_TOKENS = 256
_EPSILON = np.float32(1e-12)
_FAR = np.float32(-1e9)


class Model:
    """The loaded network; several threads may use it at once."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Read the weights.

        Args:
          files: ``model.safetensors`` and ``tokenizer.json``.
        """
        self._weights = _tensors(files["model.safetensors"])
        self._tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        self._tokenizer.enable_truncation(_WINDOW_TOKENS)
        self._tokenizer.no_padding()

    def windows(self, text: str) -> list[list[int]]:
        """The text as numbers of words, in windows of what the model reads at once."""
        first = self._tokenizer.encode(text)
        return [first.ids, *(more.ids for more in first.overflowing)]

    def vectors(self, windows: Sequence[Sequence[int]]) -> Numbers:
        """The mean over the words of each window, not yet of length one: (windows, 384)."""
        longest = max(map(len, windows))
        ids = np.zeros((len(windows), longest), np.int64)
        mask = np.zeros((len(windows), longest), np.float32)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        states = self._embed(ids)
        bias = (1 - mask[:, None, None, :]) * _FAR
        for layer in range(_LAYERS):
            states = self._layer(states, bias, f"encoder.layer.{layer}.")
        weighed = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        means: Numbers = weighed.astype(np.float32)
        return means

    def _embed(self, ids: NDArray[np.int64]) -> Numbers:
        tables = self._weights
        words = tables["embeddings.word_embeddings.weight"][ids]
        places = tables["embeddings.position_embeddings.weight"][: ids.shape[1]]
        kind = tables["embeddings.token_type_embeddings.weight"][0]
        return self._normal(words + places + kind, "embeddings.LayerNorm")

    def _layer(self, states: Numbers, bias: Numbers, name: str) -> Numbers:
        attended = self._linear(
            self._attention(states, bias, f"{name}attention.self."),
            f"{name}attention.output.dense",
        )
        states = self._normal(states + attended, f"{name}attention.output.LayerNorm")
        inner = _gelu(self._linear(states, f"{name}intermediate.dense"))
        return self._normal(
            states + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm"
        )

    def _attention(self, states: Numbers, bias: Numbers, name: str) -> Numbers:
        rows, length, width = states.shape

        def part(which: str) -> Numbers:
            heads = self._linear(states, name + which).reshape(rows, length, _HEADS, -1)
            turned: Numbers = heads.transpose(0, 2, 1, 3)
            return turned

        query, key, value = part("query"), part("key"), part("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(width / _HEADS)) + bias
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed: Numbers = (shares @ value).transpose(0, 2, 1, 3).reshape(rows, length, width)
        return mixed

    def _linear(self, states: Numbers, name: str) -> Numbers:
        flat = states.reshape(-1, states.shape[-1])  # one large product instead of many small ones
        out = flat @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        shaped: Numbers = out.reshape(*states.shape[:-1], -1)
        return shaped

    def _normal(self, states: Numbers, name: str) -> Numbers:
        centred = states - states.mean(-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + _EPSILON)
        normal = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        narrow: Numbers = normal.astype(np.float32)
        return narrow


def _gelu(values: Numbers) -> Numbers:
    """The activation; the error function by Abramowitz and Stegun 7.1.26, within 1.5e-7."""
    scaled = np.abs(values) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * scaled)
    series = np.float32(1.061405429) * t - np.float32(1.453152027)
    for factor in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(factor)
    error = np.copysign(1 - series * t * np.exp(-scaled * scaled), values)
    active: Numbers = (values * np.float32(0.5) * (1 + error)).astype(np.float32)
    return active


def _tensors(raw: bytes) -> dict[str, Numbers]:
    """The tables of a safetensors file: a length, a head in JSON, then the numbers."""
    length = int.from_bytes(raw[:8], "little")
    tables: dict[str, Numbers] = {}
    for name, about in json.loads(raw[8 : 8 + length]).items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        begin, end = about["data_offsets"]
        flat = np.frombuffer(raw, np.float32, (end - begin) // 4, 8 + length + begin)
        tables[name] = flat.reshape(about["shape"])
    return tables
