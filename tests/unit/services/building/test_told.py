"""Secrets that somebody wrote where the name of one belongs, and what only speaks of secrets."""

from dataclasses import replace

import pytest

from codex32.engine.reading.document import dotted, read_documents
from codex32.kernel.components import Components
from codex32.kernel.masking import Masker
from codex32.services.building.known import Known
from codex32.services.building.session import Question
from codex32.services.building.told import unsaid, unsaid_code, unsaid_value, written_in


def found(text, **more):
    (document,) = read_documents(text)
    return [
        (dotted(each.path), document.problem(each.path, "", offset=each.offset).line)
        for each in written_in(document.value, **more)
    ]


@pytest.mark.parametrize(
    "step",
    [
        "with: {auth: {basic: {username: ann, password: swordfish}}}",
        "with: {auth: {bearer: swordfish}}",
        "with: {headers: {X-Api-Key: swordfish}}",
        "with: {headers: {Authorization: Token swordfish}}",
        "with: {headers: [{name: X-Auth-Token, value: swordfish}]}",
        "with: {headers: {Cookie: 'sid=swordfish'}}",
        "with: {json: {user: ann, smtpPassword: swordfish}}",
        "with: {json: {pin: 123456}}",
        "with: {json: {credentials: [ann, swordfish]}}",
        "with: {body: 'Cookie: sid=swordfish'}",
        "with: {url: 'https://ann:swordfish@shop.example.com/'}",
        "with: {url: 'https://shop.example.com/?user=ann&token=swordfish'}",
        "with: {url: 'https://hooks.slack.com/services/T0/B0/swordfish'}",
        "with: {dsn: 'host=db user=ann password=fish'}",
        """with: {body: '{"user": "ann", "password": "swordfish"}'}""",
        "with: {body: 'user=${{ inputs.user }}&password=swordfish'}",
        "with: {prompt: 'Sign in as ann. The password is sw0rdfish.'}",
        "with: {prompt: 'Sign in as ann, password sw0rdfish.'}",
        "with: {body: '${{ inputs.user }} sk-0123456789abcdefghij'}",
        "with: {body: 'correct-horse'}",
        "with: {json: {password: SWORDFISH}}",
        "with: {headers: {X-Api-Key: ABCDEF0123456789}}",
        "with: {json: {passwords: [swordfish]}}",
        "with: {headers: {Ocp-Apim-Subscription-Key: swordfish}}",
        "with: {body: '<user>ann</user><password>swordfish</password>'}",
    ],
)
def test_a_secret_that_is_written_out_is_found_by_what_it_is_called(step):
    masker = Masker()
    masker.add("correct-horse")
    mask = Known(Components(), masker=masker).masked
    assert len(found(f"type: http\n{step}", mask=mask)) == 1


@pytest.mark.parametrize(
    "part",
    [
        "with: {auth: {basic: {username: ann, password: '${{ secrets.SHOP }}'}}}",
        "with: {headers: {Authorization: 'Bearer ${{ secrets.SHOP }}'}}",
        "with: {headers: {X-Api-Key: '${{ secrets.A }}:${{ secrets.B }}'}}",
        "with: {url: 'https://ann:${{ secrets.SHOP }}@shop.example.com/?token=${{ secrets.B }}'}",
        "with: {url: 'https://x.example.com/?token=${{ secrets.B }}&user=annabella'}",
        "with: {dsn: 'user=ann password=${{ secrets.SHOP }} host=db.example.com'}",
        "with: {max_tokens: 50000, token_budget: 500, password_file: /run/x/password}",
        "with: {token: null, secret: true, pin: 12}",
        "with: {prompt: 'Say token by token why a password is needed, and pass 1000 items on.'}",
        "with: {prompt: 'Tell whose token is expired, and reset the password of 3 accounts.'}",
        """with: {prompt: 'Answer {"token": string, "password": null}; password: required'}""",
        "with: {schema: {type: object, properties: {token: {type: string}}, required: [token]}}",
        "with: {body: '<password>${{ secrets.A }}</password><token>string</token>'}",
        "inputs: {password: {type: string, secret: true, description: Of the shop}}",
        "inputs: {token: {type: string, default: SHOP_TOKEN}}",
        "triggers: [{webhook: {path: x, auth: {scheme: github, secret: shop_hook}}}]",
        "steps: [{id: token, type: http}, {id: b, type: set, needs: [token]}]",
        "tests: [{inputs: {password: made-up}, mocks: {login: {output: {token: made-up}}}}]",
    ],
)
def test_what_only_speaks_of_secrets_holds_none(part):
    assert found(part, names=frozenset({"shop_hook"})) == []


CODE = """\
type: python
with:
  code: |
    import os

    def main(token, password=None):
        password = password or os.environ["PASSWORD"]
        fields = {"password": "password", "token": token, "kind": "secret"}
        headers = {"Authorization": f"Bearer {token}", "Cookie": "sid=" + token}
        headers["Authorization"] = "Bearer " + token  # Authorization: Bearer tokens are renewed
        request.add_header("Authorization", "Bearer " + token)
        httpx.get(url, auth=("ann", password), headers=dict(Authorization=f"Bearer {token}"))
        run(f"curl -u ann:{password} -H 'Authorization: Bearer {token}' -b 'sid={token}'")
        url = f"postgres://{fields}:{password}@db/%s"
        token: str = token.strip("abcdef")
        if not re.match(r"token=([^&]+)", token):  # an invalid token: nothing to pass 1000 times
            raise ValueError("bad token: expected three parts, password={password!r} :token")
        return main(token=token, key=f"token={token}")

    class Token:
        \"\"\"Who has the password of the shop is let in.\"\"\"
"""


def test_in_a_program_names_are_none_and_what_is_written_out_is_found_in_its_line():
    assert found(CODE) == []
    for line in (
        'password = "swordfish"',
        "API_KEY: str = 'swordfish'",
        'd["token"] = "swordfish"',
        'password: Final[str] = """swordfish"""',
        'password = os.environ.get("SHOP_PASSWORD", "swordfish")',
        "# password: swordfish",
        'dsn = "host=db password=swordfish"',
        'headers = {"Authorization": "swordfish"}',
        'headers["Cookie"] = "sid=swordfish"',
        'headers["Authorization"] = "Bearer " + "swordfish"',
        'headers = dict(Authorization="swordfish")',
        'request.add_header("Authorization", "Basic swordfish")',
        'os.environ.setdefault("API_TOKEN", "swordfish")',
        'httpx.get(url, auth=("ann", "swordfish"))',
        'auth = HTTPBasicAuth(user, "swordfish")',
        'smtp.login("ann", "swordfish")',
        'run(["curl", "-u", "ann:swordfish"])',
        'run("curl -u ann:swordfish")',
        "run(\"curl -H 'Authorization: Token swordfish'\")",
        '"""Cookie: sid=swordfish"""',
    ):
        code = CODE.replace("    import os", f"    import os\n    {line}")
        assert found(code) == [("with.code", 5)]
        assert "swordfish" not in unsaid_code(code)
    assert found(CODE.replace('strip("abcdef")', 'login(url, {"password": "swordfish"})')) == [
        ("with.code", 15)
    ]


def test_tests_make_their_passwords_up_but_hold_no_key():
    case = "tests: [{inputs: {password: swordfish, key: sk-0123456789abcdefghij}}]"
    assert found(case) == [("tests.0.inputs.key", 1)]


def test_recorded_data_are_masked_by_their_keys_and_by_what_they_say():
    data = {
        "body": {"access_token": "swordfish", "items": [{"pin": 123456, "count": 123456}]},
        "text": 'answered {"user": "ann", "password": "swordfish"}',
        "asked": {"Authorization": "${{ secrets.SHOP }}", "tokens": 5000},
        "told": {"token": "SWORDFISH", "pass": "SHOP_PASSWORD"},
    }
    assert unsaid_value(data) == {
        "body": {"access_token": "***", "items": [{"pin": "***", "count": 123456}]},
        "text": 'answered {"user": "ann", "password": ***}',
        "asked": {"Authorization": "${{ secrets.SHOP }}", "tokens": 5000},
        "told": {"token": "***", "pass": "SHOP_PASSWORD"},
    }


@pytest.mark.parametrize(
    "text",
    [
        *(" " * 50_000, "a" * 50_000, "password" * 5_000, "a_" * 25_000),
        *(">x" + " " * 50_000, "<password>" * 5_000, "1a " * 20_000),
    ],
)
def test_long_texts_of_strangers_are_read_once(text):
    # From each blank to the end of the blanks, this took minutes.
    assert unsaid(f"password{text}") == f"password{text}"
    assert unsaid_code(f"password{text}") == f"password{text}"
    assert found(f"type: http\nwith: {{x: 'password{text}'}}") == []


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Sign in with the password (swordfish).", "Sign in with the password (***)."),
        ('The password ("sword fish") is old.', "The password (***) is old."),
        ("password → swordfish", "password → ***"),
        ("token -> fish, then go on", "token -> ***, then go on"),
        ("The passwords are swordfish and catfish.", "The passwords are ***"),
        ("API keys: apple, pear and plum", "API keys: ***"),
        ("run it with --password swordfish -v", "run it with --password *** -v"),
        ("Set the password to sw0rdfish.", "Set the password to ***"),
        ("Use sw0rdfish as the admin password.", "Use *** as the admin password."),
        ("the password \u201csword fish\u201d", "the password ***"),
        ("passphrase: correct horse battery", "passphrase: ***"),
        ("The password is swordfish. Type swordfish.", "The password is *** Type ***."),
        ("<Password>sword fish</Password>", "<Password>***</Password>"),
        ("<x:password a='b'>swordfish</x:password>", "<x:password a='b'>***</x:password>"),
        ('<add key="Db.Password" value="swordfish"/>', '<add key="Db.Password" value="***"/>'),
        (r"{\"password\": \"sword fish\"}", r"{\"password\": ***}"),
        ("curl -H 'Authorization: sw0rdfish' x", "curl -H 'Authorization: ***' x"),
        ("curl -H 'Authorization: Token swordfish'", "curl -H 'Authorization: Token ***'"),
        ("Cookie: sid=swordfish; b=catfish", "Cookie: ***"),
        ("curl -u ann:swordfish x", "curl -u ann:*** x"),
        ("curl -su ann:swordfish x", "curl -su ann:*** x"),
        ("curl -uann:swordfish x", "curl -uann:*** x"),
        ("curl --user 'ann:sword fish' x", "curl --user 'ann:***' x"),
        (r"{\"cmd\": \"curl -u 'ann:sword fish'\"}", r"{\"cmd\": \"curl -u 'ann:***'\"}"),
        ("curl --proxy-user ann:swordfish", "curl --proxy-user ann:***"),
        ("curl -b 'sid=swordfish' x", "curl -b '***' x"),
        ("Authorization: Api-Key swordfish", "Authorization: Api-Key ***"),
        ("Authorization: Shop sw0rdfish", "Authorization: ***"),
        ('Authorization: Digest user="ann", response="fish"', "Authorization: Digest ***"),
        ('{"Authorization": "Negotiate swordfish"}', '{"Authorization": "Negotiate ***"}'),
        (r"{\"cookie\": \"sid=swordfish\"}", r"{\"cookie\": \"***\"}"),
        ("Sign in as ann with password swordfish.", "Sign in as ann with password ***"),
        ("user ann, password swordfish", "user ann, password ***"),
        ("the password `sword fish` here", "the password *** here"),
        ("| password | sw0rdfish |", "| password | *** |"),
        ("password=fish", "password=***"),
        ("Le mot de passe : swordfish", "Le mot de passe : ***"),
        ("contraseña: swordfish", "contraseña: ***"),
        ("пароль: swordfish", "пароль: ***"),
        ("密码\uff1aswordfish", "密码\uff1a***"),
        ("The password is swordfish. Swordfish!", "The password is *** ***!"),
        ("password: s&ordfish1, so ?p=s%26ordfish1", "password: ***, so ?p=***"),
    ],
)
def test_what_people_put_between_a_word_and_its_secret(said, heard):
    assert unsaid(said) == heard


def test_what_is_once_called_a_password_is_none_the_less_one_where_nothing_calls_it_so():
    data = {
        "inputs": {"password": "swordfish", "status": "failed", "swordfish": 1},
        "form": {"password2": "goldfish", "passwordConfirm": "goldfish"},
        "failure": "ann/swordfish was refused: token: expired, as is the card (expired)",
        "output": ["swordfish", "swordfishes"],
        "store": {"Name": "/db/password", "Value": "catfish"},
        "soap": {"Password": {"#text": "dogfish"}},
        "passwords": {"ann": "sunfish"},
    }
    assert unsaid_value(data) == {
        "inputs": {"password": "***", "status": "failed", "***": 1},
        "form": {"password2": "***", "passwordConfirm": "***"},
        "failure": "ann/*** was refused: token: ***, as is the card (expired)",
        "output": ["***", "swordfishes"],
        "store": {"Name": "/db/password", "Value": "***"},
        "soap": {"Password": {"#text": "***"}},
        "passwords": {"ann": "***"},
    }
    code = 'PASSWORD = "swordfish"\nassert sent == "ann:swordfish"\n'
    assert unsaid_code(code) == 'PASSWORD = ***\nassert sent == "ann:***"\n'


def test_what_people_say_about_their_passwords_is_kept():
    for said in (
        "If the credentials are wrong, mail me; reset the password (if there is any).",
        "Mail each user and password manager, and each user with password expired in May.",
        "Send Authorization: Bearer <token>, and -u $USER:$PASSWORD.",
        "The passwords are PAYROLL and shop_hook.",
    ):
        assert unsaid(said, frozenset({"PAYROLL", "shop_hook"})) == said


def test_capitals_make_no_name_but_the_workspace_s_own_are_names():
    said = "The password is SWORDFISH, the token: PAYROLL."
    assert unsaid(said, frozenset({"PAYROLL"})) == "The password is ***, the token: PAYROLL."
    assert unsaid("The token is SHOP_TOKEN.") == "The token is SHOP_TOKEN."


CREDENTIAL = Question("q", "credential", "Where does it come from?", "nowhere", ("the vault",))


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Zx81-qpw-77", "***"),
        ("swordfish", "***"),
        ("it is hunter2.", "it is ***"),
        ("'correct horse'", "***"),
        ("correct-horse-battery-staple", "***"),
        ("4711", "***"),
        ("p@ssw0rd", "***"),
    ],
)
def test_whoever_is_asked_for_a_secret_needs_no_word_to_tell_it(said, heard):
    known = Known(Components(), secrets=frozenset({"KNOWN"}))
    assert known.heard_answer(said, CREDENTIAL) == heard
    for asks in ("What is the API key?", "Which password?", "Whose token?"):
        question = replace(CREDENTIAL, about="host", question=asks)
        assert known.heard_answer(said, question) == heard


@pytest.mark.parametrize(
    "said",
    [
        *("yes", "none", "KNOWN", "use SHOP_TOKEN", "shop_token", "the vault"),
        *("no key is needed", "the one of the shop, please; don't ask", "the admin's"),
        *("https://vault.example.com/x", "ann@example.com"),
    ],
)
def test_what_is_no_secret_is_an_answer(said):
    known = Known(Components(), secrets=frozenset({"KNOWN"}))
    assert known.heard_answer(said, CREDENTIAL) == said
    assert known.heard_answer("swordfish", Question("q", "host", "Which?", "none")) == "swordfish"


@pytest.mark.parametrize(
    "said",
    [
        "If a user's token is expired, refresh it.",
        "The password is stored hashed, so compare hashes only.",
        "The access key is rotated each month; tell ops when the API key is missing.",
    ],
)
def test_what_becomes_of_a_secret_is_none(said):
    assert unsaid(said) == said


def test_a_secret_that_begins_so_is_one():
    assert "4711" not in unsaid("The password is expired-4711.")
