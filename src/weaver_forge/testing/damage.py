"""Damaged copies of well-formed files: cut off, with bytes flipped, doubled, swapped or replaced by hostile words.

What a decoder must survive. Every copy is told by its seed, so that a failure can be made again.
"""

import random

_WORDS = (
    b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
    b"&x;",
    b"&#0;",
    b"]]>",
    b"<testcase",
    b"</testsuite>",
    b"<testsuites>",
    b'"',
    b"'",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"1e999",
    b"-1",
    b"NaN",
    b"null",
    b"{" * 300,
    b"[" * 300,
    b"<a>" * 300,
    b'{"Action":"run"}\n',
    b"9" * 400,
)


def damaged(data: bytes, seed: int) -> bytes:
    """Damage a file in one to four places.

    Args:
        data: The file as it should be.
        seed: Which damage; the same seed does the same.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(chance.randint(1, 4)):
        data = _once(data, chance)
    return data


def _once(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((1, 1, 4, 30, 500)))
    match chance.randrange(6):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + chance.randbytes(end - start) + data[end:]
        case 2:
            return data[:end] + data[start:]
        case 3:
            return data[:start] + data[end:]
        case 4:
            return data[:start] + chance.choice(_WORDS) + data[start:]
        case _:
            return data[:start] + chance.choice(_WORDS) + data[end:]
