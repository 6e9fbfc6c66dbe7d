"""``codex32 usage`` and its forecast, from nothing to small sums."""

from __future__ import annotations

import re

BOT = """\
name: greet
allow: {models: ["openai:*"], spend_usd: {day: 0.002}}
steps:
  - {id: ask, type: llm, with: {model: "openai:gpt-5-mini", prompt: hello, max_tokens: 100}}
"""


def test_what_was_spent_is_told_however_little_it_is(codex32, project, model) -> None:
    assert "no model was asked" in codex32("usage").err
    assert "expected: 0.00 USD; the limit is 100.00 USD" in codex32("usage", "forecast").out
    (project / "bots").mkdir(exist_ok=True)
    (project / "bots" / "greet.yaml").write_text(BOT)
    assert codex32("run", "greet").code == 0
    spent = f"{model.billed() / 1e9:.6f}"
    assert float(spent) > 0
    told = codex32("usage").out
    assert re.search(rf"^bot:greet \d{{4}}-\d\d-\d\d: {spent} USD of 0.002000 USD$", told, re.M)
    assert f": {spent} USD of 100.00 USD" in told
    assert "expected: 0.00 USD" not in codex32("usage", "forecast").out
