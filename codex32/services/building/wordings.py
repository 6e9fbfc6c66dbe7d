"""Wordings that give a secret away: of people, of a bot's texts, and of programs.

What gives it away is the word, the header or the markup before it. The first group of each is
that, and the second the secret.
"""

from __future__ import annotations

import re
from typing import Final

#: The word in other languages.
_ELSEWHERE: Final = (
    "mots? de passe|contraseñas?|senhas?|wachtwoord(?:en)?|lösenord|adgangskode|salasana|hasło"
    "|heslo|jelszó|şifre|парол[ья]|密码|密碼|パスワード|비밀번호"
)
#: Where a word begins, also within a longer name.
_BEGINS: Final = r"(?:(?<![A-Za-z0-9])|(?<=[a-z0-9])(?=[A-Z]))"
#: What people call their secrets, also at the end of a longer name (``smtp_password``).
CALLED: Final = (
    rf"{_BEGINS}(?i:{_ELSEWHERE}|pass(?:words?|wd|phrases?|codes?|wort)?|kennwort|pwd?|pin|token"
    r"|secret"
    r"|(?:api|access|private|secret|signing|subscription|encryption|auth)[ _-]?keys?|credentials?)"
    # Forms ask for it once more, and for a new one.
    r"(?:[_-]?(?:\d{1,2}|(?i:confirm(?:ation|ed)?|again|repeat(?:ed)?|new|old)))?\b"
)
#: Of those, the words that mean nothing else.
_SURELY: Final = (
    rf"{_BEGINS}(?i:{_ELSEWHERE}|pass(?:words?|wd|phrases?|codes?|wort)|kennwort|pwd"
    r"|(?:api|access|private)[ _-]?keys?)\b"
)
#: Keys whose values are secrets, though nobody says so of them in a sentence.
KEYS: Final = re.compile(
    rf".*(?:{CALLED}|(?<![A-Za-z0-9])(?i:authorization|bearer|cookie))", re.DOTALL
)
#: The quote behind a key may be escaped, where JSON stands in a text of JSON.
_IS: Final = r"\s*(?:\b(?i:is|ist|lautet)\b\s*:?|(?:\\{0,8}[\"']\s*)?[:=\uff1a](?!//))\s*"
#: What people draw instead.
_ARROW: Final = r"\s*(?:→|⇒|[-=]>)\s*"
_SET: Final = r"(?:\\{0,8}[\"'])?[ \t]*[:=\uff1a](?!//)[ \t]*"
QUOTED: Final = (
    r"\\{0,8}\"[^\"\n]{4,}\"|'[^'\n]{4,}'|[\u201c\u201e][^\u201c-\u201e\n]{4,}[\u201c\u201d]"
)
#: A name in capitals is a name where it is of several words, as passwords may have capitals, too;
#: an address is no password, nor is what stands for one, nor the word for a kind of value.
_NONE: Final = (
    r"[A-Z][A-Z0-9]*_[A-Z0-9_]*\b|https?://|\*\*\*"
    r"|(?:string|number|integer|boolean|required|optional|none|null|true|false)\b"
    # What becomes of one is said in the same words as one is told.
    r"|(?<=\bis )(?:expired|expiring|stored|hashed|encrypted|missing|invalid|rejected"
    r"|revoked|rotated|refreshed|renewed|changed|refused|accepted|needed|generated|created)"
    r"(?=[\s,;.?!)]|$)(?![.?!]\w)"
)
VALUE: Final = rf"(?![\"'\\\u201c\u201e]{{0,9}}(?:{_NONE}))"
#: A word with a digit in it, as few words have that mean something.
_ODD: Final = r"(?=[^\s,;]*\d)[^\s,;]{4,}"
_PLAIN: Final = r"[^\s,;]{6,}"
#: Between one password and the next.
AND: Final = r"(?:\s*,\s*(?:and\s|und\s|&)?|\s(?:and|und|&)\s)\s*"
_EACH: Final = rf"(?:{QUOTED}|[^\s,;()]{{3,}})"
#: What people call several of their secrets.
MANY: Final = (
    r"(?<![A-Za-z0-9])(?i:pass(?:words|phrases|codes)|passwörter|kennwörter|credentials"
    r"|(?:api|access|private|secret)[ _-]?keys)\b"
)


def _shapes(*shapes: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(each) for each in shapes)


_FOR: Final = (
    rf"({CALLED}\s+(?i:for|of|to|at|für)\s[^\n.;:=]{{1,60}}?{_IS})({VALUE}(?:{QUOTED}|{_ODD}))"
)
#: Behind a user's name the word alone tells it, but where it belongs to the next one.
_WITH: Final = (
    r"((?<!\w)(?i:user(?:name)?|login|account|as)\s+(?!(?i:name)\b)[^\s,;:]{1,60}"
    r"(?:\s*[,/]\s*|\s+)(?i:(?:and|und|with|mit)\s+)?(?i:(?:the|a)\s+)?(?i:password|passwort)\s+)"
    r"(?!(?i:is|are|was|has|must|should|and|or|in|of|for|from|to|on|at|by|with|that|which|if|when"
    r"|reset|recovery|change|changes|protect\w*|manager|policy|field|fields|file|files|list|hash"
    r"|hashes|expir\w*|rotation|prompt|rules?|strength|length|storage|again|twice)\b)"
    rf"({VALUE}[^\s,;]{{4,}})"
)
#: Elements and attributes of XML and of pages.
_MARKED: Final = (
    rf"(<[\w.:-]{{0,60}}?{CALLED}(?:\s[^<>]{{0,200}})?>\s*+)({VALUE}[^<>]{{4,}}+)(?=</)",
    rf"(\b(?i:name|key|id)=\\{{0,8}}[\"'][\w.:-]{{0,60}}?{CALLED}\\{{0,8}}[\"'][^<>]{{0,200}}?"
    rf"\b(?i:value)=\\{{0,8}}[\"'])({VALUE}[^\"'<>]{{4,}})",
)
_SCHEMES: Final = (
    r"(?i:basic|bearer|token|api-?key|digest|negotiate|ntlm|oauth|hawk|hmac|jwt|key|signature"
    r"|aws4-hmac-sha256)"
)
#: Between the name of a header and its value, in JSON within a text, too.
_HEADER: Final = r"(?:\\{0,8}[\"'])?[ \t]*[:=][ \t]*(?:\\{0,8}[\"'])?"
_AUTHORIZATION: Final = rf"\b(?i:authorization){_HEADER}"
#: What stands for a secret there, and what only speaks of it.
_SPEAKS: Final = rf"(?![(\[{{\\<%:$@?]){VALUE}"
_OF_IT: Final = r"(?!(?i:tokens?|headers?|credentials?|auth\w*|schemes?)\b)"
#: Several, each by its name, as in a digest; or one.
_CREDENTIALS: Final = (
    r"(?:(?:[\w-]{1,40}=(?:\\{0,8}\"[^\"\n]{1,500}\"|[^\s,;\"'\\]{4,500})(?:,[ \t]*(?=[\w-]+=))?)+"
    r"|[^\s,;\"'\\]{6,})"
)
_BY_SCHEME: Final = (
    rf"({_AUTHORIZATION}{_SCHEMES}[ \t]+)({_SPEAKS}{_OF_IT}{_CREDENTIALS})",
    rf"({_AUTHORIZATION})({_SPEAKS}(?!{_SCHEMES}[ \t])(?:[\w-]{{2,40}}[ \t]+)?{_OF_IT}"
    r"(?=[^\s,;\"'\\]*\d)[^\s,;\"'\\]{6,})",
)
_COOKIES: Final = rf"({_SPEAKS}(?:[\w.-]{{1,60}}=(?!\*)[^\s;\"'\\]{{4,}}(?:;[ \t]*)?)+)"
_COOKIE: Final = rf"(\b(?i:cookie){_HEADER}){_COOKIES}"
_USER: Final = r"\s(?:-[A-Za-z]{0,5}u[ =]|-u(?=[^\s:])|--(?:proxy-)?user[ =])"
#: Users with their passwords, and cookies, as commands have them.
_COMMANDS: Final = (
    rf"({_USER}\\{{0,8}}\"[^\s:\"'\\]{{1,60}}:)([^\"\n*${{\\]{{4,}})(?=\\{{0,8}}\")",
    rf"({_USER}'[^\s:\"']{{1,60}}:)([^'\n*${{]{{4,}})(?=')",
    rf"({_USER}[^\s:\"'\\]{{1,60}}:)([^\s\"'*${{\\]{{4,}})",
    rf"(\s(?:-b|--cookie)[ =](?:\\{{0,8}}[\"'])?){_COOKIES}",
)
#: Headers within texts, as commands and records of requests have them.
_HEADERS: Final = (
    *_BY_SCHEME,
    rf"({_AUTHORIZATION})({_SPEAKS}(?!{_SCHEMES}(?:[^\w=-]|$))[^\s,;\"'\\]{{6,}})",
    _COOKIE,
    *_COMMANDS,
)
#: What people write when they give a secret away, from what is plain to what is likely.
SAID: Final = _shapes(
    rf"((?<!\w)(?i:passphrase|(?:seed|recovery) phrase){_IS})({VALUE}\w+(?:[ -]\w+){{2,}})",
    rf"({MANY}(?:{_IS}|{_ARROW}))({VALUE}{_EACH}(?:{AND}{_EACH})+)",
    # What follows a comma may be what is to be done: "if the credentials are wrong, mail me".
    rf"({MANY}\s+(?i:are|sind)\s*:?\s+)({VALUE}{_EACH}\s(?:and|und|&)\s+{_EACH})",
    rf"({CALLED}{_IS})({VALUE}(?:{QUOTED}|{_PLAIN}))",
    rf"({CALLED}(?:{_ARROW}|\s*\(\s*(?=(?:{QUOTED}|[^\s()]+)\s*\))))({VALUE}{_EACH})",
    _FOR,
    rf"({CALLED}(?:{_IS}|\s+))({VALUE}(?:{QUOTED}|{_ODD}))",
    rf"((?<!\S)--[\w-]{{0,60}}?{CALLED}[ \t]+)({VALUE}[^\s-]\S{{3,}})",
    rf"((?i:\b(?:set|change|reset)\b)[^\n.;:=]{{0,40}}?{CALLED}\s+to\s+)"
    rf"({VALUE}(?:{QUOTED}|{_ODD}))",
    # One may stand before its word.
    rf"((?<!\S))({VALUE}(?:{QUOTED}|{_ODD}))"
    rf"(?=\s+(?i:is|as|ist|als)\s+(?:\w+\s+){{0,2}}{_SURELY})",
    rf"({CALLED}(?:{_IS}|\s+))(`[^`\n]{{4,}}`)",
    rf"({CALLED}=)({_SPEAKS}[^\s,;&\"'<>]{{4,}})",
    rf"({_SURELY}[ \t]*\|[ \t]*)({VALUE}{_ODD})",
    _WITH,
    *_HEADERS,
    *_MARKED,
)
#: The same in the texts of a bot, which speak of tokens that are expired, and pass 1000 items on.
WRITTEN: Final = _shapes(
    rf"({CALLED}{_SET})({VALUE}(?:{QUOTED}|{_PLAIN}))",
    rf"({CALLED}=)({VALUE}[^\s,;&\"'<>]{{4,}})",
    _FOR,
    rf"({CALLED}{_IS})({VALUE}(?:{QUOTED}|{_ODD}))",
    rf"({_SURELY}\s+)({VALUE}(?:{QUOTED}|{_ODD}))",
    *_HEADERS,
    *_MARKED,
)
#: A text in a program, after what may stand before its last quotes.
_TEXT: Final = (
    r"[ \t]*(?:\(\s*)?[rbufRBUF]{0,2}(?:\"\"(?=\")|''(?='))?)"
    rf"({VALUE}(?![\"'][\w-]*{CALLED}[\"'])(?:{QUOTED}))"
)
#: What sets something by its name, or takes what is given behind it.
_GIVES: Final = r"(?:getenv|environ\.get|setdefault|putenv|setenv|(?:add|set|put)_?[hH]eader)"
#: In a program only what is written out is a secret, and the rest are names, as are those in
#: ``{"password": "user_password"}``.
LITERAL: Final = _shapes(
    rf"({CALLED}[\"']?\]?[ \t]*(?::[ \t]*[\w.\[\]]{{1,60}}[ \t]*)?[=:]=?{_TEXT}",
    # What ends with one of these signs is put together with the secret.
    r"(\b(?i:authorization|cookie)[\"']\]?[ \t]*[:=][ \t]*[rbufRBUF]{0,2})"
    r"([\"'][^\"'\n{}%*$<]{4,}(?<![= :])[\"'])",
    r"(\b(?i:authorization)[ \t]*=[ \t]*[rbufRBUF]{0,2})"
    rf"({VALUE}[\"'][^\"'\n{{}}%*$<]{{4,}}(?<![= :])[\"'])",
    rf"([\"']{_SCHEMES} [\"'][ \t]*\+{_TEXT}",
    rf"({_GIVES}\(\s*[\"'][\w-]{{0,60}}{CALLED}[\"']\s*,{_TEXT}",
    rf"({_GIVES}\(\s*[\"'][\w-]{{0,60}}(?i:authorization|cookie)[\"']\s*,[ \t]*)"
    r"([\"'][^\"'\n{}%*$<]{4,}(?<![= :])[\"'])",
    # A user and the password, one after the other.
    rf"((?:\bauth[ \t]*=[ \t]*[\w.]{{0,60}}|\b\w{{0,40}}(?:Basic|Digest|Proxy)Auth)"
    rf"\([^,()\n]{{1,100}},{_TEXT}",
    r"(\.login\(\s*(?:[\"'][^\"'\n]{1,100}[\"']|\w{0,40}(?i:user|mail|login|name)\w{0,40})\s*,"
    rf"{_TEXT}",
    r"([\"'](?:-[A-Za-z]{0,5}u|--(?:proxy-)?user)[\"']\s*,\s*[rb]?[\"'][^\s:\"']{1,60}:)"
    r"([^\"'\n{}%*$]{4,})(?=[\"'])",
)
#: Comments and texts of a program speak of tokens more than they tell any, and hold patterns.
SPOKEN: Final = _shapes(
    rf"({_SURELY}{_SET})({_SPEAKS}(?:{QUOTED}|{_PLAIN}))",
    rf"({CALLED}=)({_SPEAKS}[^\s,;&\"'<>]{{4,}})",
    rf"({CALLED}{_IS})({_SPEAKS}(?:{QUOTED}|{_ODD}))",
    rf"({_SURELY}\s+)({_SPEAKS}(?:{QUOTED}|{_ODD}))",
    *_BY_SCHEME,
    _COOKIE,
    *_COMMANDS,
    *_MARKED,
)
#: A comment or a text of a program.
PROSE: Final = re.compile(
    r"\"{3}.*?\"{3}|'{3}.*?'{3}|\"(?:\\.|[^\"\\\n])*+\"?|'(?:\\.|[^'\\\n])*+'?|\#[^\n]*",
    re.DOTALL,
)
