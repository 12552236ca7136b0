"""What must not be shown or recorded, and how texts are rid of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.targets import Target
from micropie_benchlib.core.values import Headers

HIDDEN = "***"  # in place of a secret


# Names of headers, and of parameters in a URL's query, whose values are secrets: those that
# have one of the first anywhere in them, or one of those after (?<![a-z]) as a whole word.
PRIVATE_NAME = (
    r"(?:auth(?!ors?\b)|cookie|credential|csrf|jwt|(?<!mon)key(?!board|file|word)|passphrase|passw"
    r"|secret|session|signature|token|xsrf"
    r"|(?<![a-z])(?:dsn|otp|pass|pat|pin|pwd|sid|sig)(?![a-z]))"
)
PARAMETER = re.compile(r"[?&]([^=&#\s]*)(=?)")  # it ends where no other can begin: linear
# The punctuation of a sentence behind the URL is not of the value.
PARAMETER_VALUE = re.compile(r"[^&#\s]*[^&#\s;,.:'\")]")
USER_IN_URL = re.compile(r"(?<=//)(?:[^/?#@:\s]*+:)?([^/?#\s]*)@")
# A value with its name in a command, a variable or a body.
NAMED_VALUE = re.compile(
    rf"""
    (?<![\w.-]) (?=[\w.-]*{PRIVATE_NAME})  # each run of a name's characters once: linear
    (?: \w[\w.-]*+ : [ ]+ (?P<line>[^"'\\\n]+)  # X-Key: all that is in the line
      | (?: -[\w.-]++ (?: = | \s+(?![\s-]) )  # --api-key=VALUE, --token VALUE
          | \w[\w.-]*+ (?: = | \\?["']\s*:\s* )  # DB_PASSWORD=VALUE, "password": "VALUE"
        )
        (?P<quote>\\?["'])?
        (?!\{{(?:host|port|python|workers)\}})
        (?P<value>(?(quote)(?:(?!(?P=quote)).)*|[^\s"'&;]+))
    )
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
MAX_SEARCHED = 1 << 16  # characters of a body
MIN_SECRET = 6  # characters: a shorter text stands in many places that are not secret
SECRET_PART = re.compile(r"[^\s;,=]{12,}")  # a token within a header's value, or a cookie's


def has_secret_name(name: str) -> bool:
    return re.search(PRIVATE_NAME, name, re.IGNORECASE) is not None


def secret_parameters(text: str) -> Iterator[re.Match[str]]:
    """Yield the values of parameters in a URL's query that are secret by name."""
    end = 0
    for parameter in PARAMETER.finditer(text):
        name, equals = parameter.groups()
        if parameter.start() < end or not equals or not has_secret_name(name):
            continue
        value = PARAMETER_VALUE.match(text, parameter.end())
        if value:
            end = value.end()
            yield value


def without_url_secrets(text: str) -> str:
    text = USER_IN_URL.sub(f"{HIDDEN}@", text)
    return without_spans(text, [value.span() for value in secret_parameters(text)])


def without_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts, end = [], 0
    for start, next_end in spans:
        parts += [text[end:start], HIDDEN]
        end = next_end
    return "".join([*parts, text[end:]])


def without_named_secrets(text: str) -> str:
    text = without_url_secrets(text)
    spans = [match.span(match.lastgroup or 0) for match in NAMED_VALUE.finditer(text)]
    return without_spans(text, spans)


def secrets_in(text: str) -> Iterator[str]:
    for user in USER_IN_URL.finditer(text):
        yield user[1]
    for parameter in secret_parameters(text):
        yield parameter[0]
    for match in NAMED_VALUE.finditer(text):
        yield (match["line"] or match["value"]).strip()


def is_secret_value(name: str, value: str) -> bool:
    if name == "--body":
        return not value.startswith("@")
    return bool(re.fullmatch(r"[\w.-]+", name)) and has_secret_name(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets that a run sends; `variables`, from the environment, are among the `values`."""

    values: tuple[str, ...]
    variables: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, workloads: Iterable[Workload], targets: Iterable[Target], variables: Iterable[str] = ()
    ) -> Secrets:
        values = set(variables)
        texts: list[str] = []
        for target in targets:
            texts += target.texts
            values |= {value for name, value in target.env if has_secret_name(name)}
        for workload in workloads:
            texts += [workload.path, workload.body[:MAX_SEARCHED].decode(errors="replace")]
            for name, value in workload.headers:
                if has_secret_name(name):
                    values |= {value, *SECRET_PART.findall(value)}
        for text in texts:
            values.update(secrets_in(text))
        longest_first = sorted(values - {""}, key=lambda value: (-len(value), value))
        return cls(values=tuple(longest_first), variables=tuple(variables))

    def hide(self, text: str) -> str:
        """Short ones are hidden only where a URL has them."""
        text = without_url_secrets(text)
        for value in self.values:
            if len(value) >= MIN_SECRET:
                text = text.replace(value, HIDDEN)
        return text

    def hide_whole_words(self, text: str) -> str:
        """Short variables are hidden only where they are words."""
        text = self.hide(text)
        for value in filter(None, self.variables):
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text)
        return text

    def hide_in_headers(self, headers: Headers) -> Headers:
        shown = []
        for name, value in headers:
            is_secret = has_secret_name(name)
            shown.append((name, HIDDEN if is_secret else self.hide_whole_words(value)))
        return tuple(shown)

    def hide_in_words(self, words: Iterable[str]) -> list[str]:
        shown = []
        option = ""  # before the word, if one is
        for word in words:
            name, equals, value = word.partition("=")
            if option and not word.startswith("-") and is_secret_value(option, word):
                shown.append(HIDDEN)
            elif equals and is_secret_value(name, value):
                shown.append(f"{name}={HIDDEN}")
            else:
                shown.append(self._hide_in_word(word))
            option = word if word.startswith("-") else ""
        return shown

    def _hide_in_word(self, word: str) -> str:
        shown = without_named_secrets(self.hide_whole_words(word))
        if not has_secret_name(shown):
            return shown
        for value in self.values:
            if shown.rstrip().endswith(value):
                shown = shown.rstrip().removesuffix(value) + HIDDEN
        return shown


NO_SECRETS = Secrets(values=())
