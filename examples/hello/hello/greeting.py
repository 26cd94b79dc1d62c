"""Which greeting a visitor gets: names made presentable, languages negotiated as RFC 9110 section 12.5.4 says."""

import json
from pathlib import Path

GREETINGS = json.loads((Path(__file__).parent / "greetings.json").read_text(encoding="utf-8"))
FALLBACK = "en"
LONGEST_NAME = 40


def wanted_languages(accept_language):
    """The languages a client asks for, most wanted first; those of weight 0 and malformed ones are left out."""
    wanted = []
    for position, item in enumerate(accept_language.lower().split(",")):
        language, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if language and 0.0 < weight <= 1.0:
            wanted.append((-weight, position, language))
    return [language for _, _, language in sorted(wanted)]


def pick_language(accept_language, known=GREETINGS):
    """The best language we have: an exact match, else the plain language of a regional one (`de` for `de-AT`)."""
    for language in wanted_languages(accept_language or ""):
        if language == "*":
            return FALLBACK
        while language:
            if language in known:
                return language
            language = language.rpartition("-")[0]
    return FALLBACK


def presentable(name):
    """A visitor's name on one line, without what does not belong in one, at most 40 characters long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name or "")
    words = " ".join(printable.split())
    if len(words) > LONGEST_NAME:
        words = words[: LONGEST_NAME - 1].rstrip() + "…"
    return words or "world"


def greet(name=None, accept_language=None):
    """The language that was picked, and the greeting in it."""
    language = pick_language(accept_language)
    return language, GREETINGS[language].format(name=presentable(name))
