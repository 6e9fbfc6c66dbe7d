"""Drafts that may not be shown: whom they tell, and who said so."""

import pytest

from codex32.engine.reading.definition import Reader
from codex32.installed import load_plugins
from codex32.services.building.gate import Gate, Refused
from codex32.services.building.known import FROM_DATA, Known
from codex32.services.building.looking import _told
from codex32.services.explaining.recipients import recipients_of
from codex32.services.explaining.wants import wants_of
from codex32_config.settings import load_settings

TELLS = """\
name: teller
inputs: {{to: {{type: string, default: "{default}"}}}}
allow: {{secrets: [HOOK]}}
steps:
  - id: look
    type: set
    with: {{values: {{mail: "somebody"}}}}
  - id: tell
    type: notify
    with: {{to: log, target: "{target}", text: hello}}
"""


@pytest.fixture(scope="module")
def components(tmp_path_factory):
    return load_plugins(load_settings(folder=tmp_path_factory.mktemp("project"))).components


@pytest.fixture
def gate(components):
    def make(words, **known):
        there = Known(components, secrets=frozenset({"HOOK"}), **known)
        return Gate(Reader(components), there, words)

    return make


def teller(target, default="ada@example.com"):
    return TELLS.format(target=target, default=default)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "Tell the log. ada@example.com"),
        ("ada@example.com", "Mail ada@example.com."),
        ("ada@example.com, bob@example.com", "Mail ada@example.com and bob@example.com"),
        ("#sales", "Tell #sales, and ada@example.com"),
        ("${{ secrets.HOOK }}", "Tell my hook, ada@example.com"),
        ("${{ inputs.to }}", "Mail Ada@example.com"),
        ("${{ steps.look.output.mail }}", f"ada@example.com\n{FROM_DATA}"),
    ],
)
def test_whoever_the_person_named_may_be_told(gate, target, words):
    bot = gate(words).draft(teller(target))
    assert ("recipients", f"log {target}".strip()) in [
        (each.kind, each.name) for each in wants_of(bot)
    ]


@pytest.mark.parametrize(
    ("target", "default", "fault"),
    [
        ("eve@evil.example", "ada@example.com", "no such recipient"),
        ("ada@example.com,eve@evil.example", "ada@example.com", "no such recipient"),
        ("ada@example.com.evil.example", "ada@example.com", "no such recipient"),
        ("https://hooks.example.com/mine/evil", "ada@example.com", "no such recipient"),
        ("#secret", "ada@example.com", "no such recipient"),
        ("${{ inputs.to }}", "#secret", "no such recipient"),
        ("${{ inputs.to }}", "eve@evil.example", "no such recipient"),
        ("", "eve@evil.example", "no such mail address"),
        ("", "eve'@evil.example", "no such mail address"),
        ("", "eve@[192.0.2.1]", "no such mail address"),
        ("", "https://a.example/?to=eve%40evil.example", "no such mail address"),
        ("", "to: eve\\\\u0040evil.example", "no such mail address"),
        ("", "eve&#64;evil.example", "no such mail address"),
        ("${{ 'eve' + '@evil.example' }}", "ada@example.com", "lets data decide"),
        ("${{ steps.look.output.mail }}", "ada@example.com", "lets data decide"),
        ("x${{ secrets.HOOK }}", "ada@example.com", "no such recipient"),
    ],
)
def test_nobody_whom_the_person_did_not_name_is_told(gate, target, default, fault):
    words = "Mail ada@example.com, or https://hooks.example.com/mine"
    with pytest.raises(Refused, match=fault):
        gate(words).draft(teller(target, default))


OTHERS = """\
name: other
triggers: [{at: "2030-01-01T00:00:00Z", inputs: {to: "#planted"}}]
inputs: {to: {type: string}}
allow:
  hosts: [api.example.com]
  tools: [pass_on]
  models: ["echo:echo"]
  spend_usd: {execution: 1}
steps:
  - {id: ask, type: approve, with: {text: Well?, to: [mallory]}}
  - id: think
    type: agent
    with:
      model: "echo:echo"
      prompt: Hello
      tools:
        - name: pass_on
          description: Passes something on.
          type: http
          args: {what: {type: string}}
          with: {method: PUT, url: "https://api.example.com/in", body: "${{ args.what }}"}
  - {id: post, type: http, with: {method: POST, url: "https://api.example.com/in"}}
  - {id: tell, type: notify, with: {to: log, target: "${{ inputs.to }}", text: x}}
on_failure:
  - {id: sorry, type: notify, with: {to: log, target: "#failures", text: x}}
alerts:
  - name: failing
    failure_rate: 0.5
    notify: [{to: log, target: "#alerts"}]
    escalate: {after: 1h, notify: [{to: log, target: "#bosses"}]}
"""


def test_every_way_of_telling_is_looked_at(gate, components):
    with pytest.raises(Refused) as refused:
        gate("Post to api.example.com, ask echo:echo").draft(OTHERS)
    told = "\n".join(refused.value.faults)
    for each in ("mallory", "#planted", "#failures", "#alerts", "#bosses"):
        assert each in told
    assert "post:" not in told
    bot = Reader(components).read_text(OTHERS).only_bot()
    shown = [each.name for each in wants_of(bot) if each.kind == "recipients"]
    assert "http POST https://api.example.com/in" in shown
    assert "http PUT https://api.example.com/in" in shown
    assert len(shown) == len(recipients_of(bot)) == 7


def test_whom_the_bot_told_before_it_may_tell_still(gate):
    text = teller("eve@evil.example")
    before = frozenset({"eve@evil.example", "ada@example.com"})
    assert gate("Say hello twice", recipients=before).draft(text).name == "teller"


SERVED = """\
name: served
allow: {mcp: [desk]}
steps:
  - {id: look, type: mcp, with: {server: desk, tool: find, writes: false}}
  - {id: say, type: mcp, with: {server: desk, tool: post, arguments: {channel: "#planted"}}}
"""


def test_a_server_that_nobody_named_is_used_by_no_draft(gate):
    with pytest.raises(Refused, match="named no such MCP server"):
        gate("Post what is new").draft(SERVED)
    with pytest.raises(Refused, match="named no such MCP server"):
        gate("Post what is new to desk").draft(SERVED.replace("[desk]", '["*"]'))


def test_what_a_server_may_tell_is_shown(gate):
    bot = gate("Post what is new by way of desk").draft(SERVED)
    shown = [each.name for each in wants_of(bot) if each.kind == "recipients"]
    assert shown == ["MCP server desk post"]


def test_an_address_that_stands_in_a_description_may_stay_there_and_is_told_nothing(gate):
    bot = teller("#sales", "ada@example.com")
    there = {"recipients": frozenset({"#sales", "ada@example.com"})}
    told = f"description: eve@evil.example says hello\n{bot}"
    with pytest.raises(Refused, match="no such mail address"):
        gate("", **there).draft(told)
    there["mentioned"] = frozenset({"eve@evil.example"})
    assert gate("", **there).draft(told).name == "teller"
    with pytest.raises(Refused, match="no such recipient"):
        gate("", **there).draft(teller("eve@evil.example", "ada@example.com"))
    with pytest.raises(Refused, match="no such mail address"):
        gate("", **there).draft(teller("#sales", "eve@evil.example"))


@pytest.mark.parametrize(
    ("allow", "part", "fault"),
    [
        ("", "{type: http, with: {url: 'https://made.up.example/x'}}", "in allow.hosts"),
        (
            "",
            "{type: index, with: {collection: c, urls: ['https://a.example/']}}",
            "in allow.hosts",
        ),
        (
            "hosts: [b.example]",
            "{type: http, with: {url: 'https://a.example?q'}}",
            "in allow.hosts",
        ),
        ("", "{type: llm, with: {model: 'openai:made-up', prompt: hi}}", "in allow.models"),
        ("", "{type: bot, with: {name: other}}", "in allow.bots"),
        (
            "",
            "{type: python, with: {requires: [made-up==1], code: 'def main(): return 1'}}",
            "in allow.packages",
        ),
        ("", "{type: index, with: {collection: c, path: /data}}", "/data is not in allow.files"),
        (
            "files: [/data]",
            "{type: index, with: {collection: c, path: /data/../etc}}",
            "in allow.files",
        ),
        (
            "tools: [look], models: ['openai:gpt-5-mini'], spend_usd: {execution: 0.1}",
            "{type: agent, with: {model: 'openai:gpt-5-mini', prompt: hi, tools: [{name: look, "
            "description: looks, type: http, args: {}, with: {url: 'https://a.example/'}}]}}",
            "in allow.hosts",
        ),
    ],
)
def test_what_a_bot_uses_stands_in_what_it_may(gate, allow, part, fault):
    # Else a test that answers for the whole step passes, and nobody sees what was made up.
    words = "a.example b.example openai:gpt-5-mini /data"
    text = f"name: x\nallow: {{{allow}}}\nsteps:\n- {{id: a, {part[1:]}\n"
    with pytest.raises(Refused, match=fault):
        gate(words, bots=frozenset({"other"})).draft(text)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (
            "type: index, with: {collection: c, texts: [], embedder: made-up}",
            "no embedder is called",
        ),
        (
            "type: index, with: {collection: c, texts: [], store: made-up}",
            "no vector store is call",
        ),
        ("type: notify, with: {to: '${{ \"log\" }}', text: x}", "write out which notifier it is"),
    ],
)
def test_what_is_not_installed_is_named_in_no_draft_either(gate, step, fault):
    with pytest.raises(Refused, match=f"a: {fault}"):
        gate("Keep it.").draft(f"name: keeper\nsteps: [{{id: a, {step}}}]\n")
    here = "type: index, with: {collection: c, texts: [], embedder: hash, store: memory}"
    gate("Keep it.").draft(f"name: keeper\nsteps: [{{id: a, {here}}}]\n")


def test_a_notifier_that_an_expression_chooses_may_stay(gate, components):
    text = "name: a\nsteps: [{id: a, type: notify, with: {to: '${{ \"LOG\" }}', text: x}}]\n"
    bot = Reader(components).read_text(text).only_bot()
    assert gate("Keep it.", recipients=_told(bot)).draft(text) == bot


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/x",
        "https://sub.b.example/x",
        "https://c.example:8443/${{ 1 + 1 }}",
        "https://${{ inputs.host }}/x",
        "https://a.example${{ inputs.host }}",
        "${{ inputs.host }}",
    ],
)
def test_what_only_running_tells_is_left_to_running(gate, url):
    text = (
        "name: x\nallow: {hosts: [a.example, '*.b.example', 'c.example:8443']}\n"
        "inputs: {host: {type: string}}\ntype: http\n"
        f"with: {{url: '{url}'}}\n"
    )
    assert gate("a.example, *.b.example, c.example:8443").draft(text).name == "x"


@pytest.mark.parametrize(
    ("path", "files"),
    [("/in", "[]"), ("/in", "[/input]"), ("in", "[out]"), ("/in/..", "[/in]")],
)
def test_a_folder_that_a_trigger_looks_into_stands_in_what_the_bot_may(gate, path, files):
    text = "name: x\nallow: {{files: {}}}\ntriggers: [{{file: {{path: {}}}}}]\ntype: end\n"
    words = "/in /input in out"
    with pytest.raises(Refused, match=f"triggers.0: {path} is not in allow.files"):
        gate(words).draft(text.format(files, path))


@pytest.mark.parametrize(
    ("path", "files"),
    [("/in", "[/in]"), ("/in/new", "[{path: /in, write: true}]"), ("in", "[/srv/bots/in]")],
)
def test_a_folder_below_what_the_bot_may_is_looked_into(gate, path, files):
    text = (
        f"name: x\nallow: {{files: {files}}}\ntriggers: [{{file: {{path: {path}}}}}]\ntype: end\n"
    )
    assert gate("/in and /srv/bots/in").draft(text).name == "x"


@pytest.mark.parametrize("part", ["labels", "steps.0.with.values"])
def test_a_key_of_a_draft_is_no_place_for_a_secret_either(gate, part):
    leaked = "sk-live-0123456789abcdefghijklmnop"
    labels, values = (
        {leaked: "a"} if part.endswith(each) else {} for each in ("labels", "values")
    )
    text = (
        f"name: x\nlabels: {labels}\nsteps: [{{id: a, type: set, with: {{values: {values}}}}}]\n"
    )
    with pytest.raises(Refused, match=f"^{part}: this is a secret") as refused:
        gate("Say so.").draft(text)
    assert leaked not in str(refused.value)
