from functools import partial

from codex32.builtin.bot_types.set import SetBotType
from codex32.builtin.triggers.webhook import WebhookTrigger
from codex32.engine.reading.definition import Reader
from codex32.engine.reading.policies import unsigned_webhooks
from codex32.kernel.components import Components

TEXT = """\
allow: {secrets: [S]}
triggers:
  - webhook: {path: signed, auth: {scheme: github, secret: S}}
  - webhook: {path: open, auth: {scheme: none}}
type: set
with: {values: {}}
"""


def test_an_installation_may_forbid_webhooks_that_let_everybody_in():
    components = Components.of(bot_types=[SetBotType()], trigger_types=[WebhookTrigger()])
    assert not Reader(components).read_text(TEXT, default_name="b").problems
    check = partial(unsigned_webhooks, types=components.trigger_types)
    (problem,) = Reader(components, [check]).read_text(TEXT, default_name="b").problems
    assert (problem.line, problem.path) == (4, "triggers.1.webhook.auth.scheme")
    assert (problem.code, "bots.unsigned_webhooks" in problem.message) == ("not-allowed", True)


def test_faults_of_webhooks_are_told_at_their_places():
    components = Components.of(bot_types=[SetBotType()], trigger_types=[WebhookTrigger()])
    text = TEXT.replace("secret: S}", "secret: LOST}").replace("path: open", "path: signed")
    text += "name: b\n"
    problems = Reader(components).read_text(text).problems
    assert [(each.line, each.path, each.code) for each in problems] == [
        (3, "triggers.0.webhook.auth.secret", "capability"),
        (4, "triggers.1.webhook.path", "duplicate"),
    ]
    assert "LOST is not in allow.secrets" in problems[0].message
    (missing,) = (
        Reader(components)
        .read_text("name: b\n" + TEXT.replace(", auth: {scheme: none}", ""))
        .problems
    )
    assert (missing.line, "auth" in missing.message) == (5, True)
