"""Request bodies as they were sent -> the bytes of the message, never more of them than allowed.

Put here what undoes a ``Content-Encoding``. A body may unpack to a thousand times its size, so that unpacking stops
at the limit, whatever the body announces.
"""

import gzip
import zlib
from typing import Any

import zstandard

ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate", "zstd")
"""What ``unpacked`` takes; the first two mean as it is."""

_STEP = 1024 * 1024
_ZSTD_RATIO = 128 * 1024 // 4
"""A zstd block takes at least 4 bytes and unpacks to at most 128 KiB."""

_GZIP_PIECE_MIN, _GZIP_PIECE_MAX = 1024, 1024 * 1024
"""Of one gzip member, bytes unpacked first and at most at once: each piece is twice as large as the one before."""

_ZSTD_PIECE = 64
_ZSTD_WINDOW = 2**27
"""Memory that one zstd frame may ask for: what the reference tool takes by default."""


class BodyTooLarge(ValueError):  # noqa: N818
    """It unpacks to more than allowed."""


class BodyUnreadable(ValueError):  # noqa: N818
    """It is not in the encoding that it says it is in."""


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the encoding, one of ``ENCODINGS``.

    Args:
        body: As sent.
        encoding: In lower case.
        limit: The most bytes that may come out.

    Raises:
        BodyTooLarge: If there are more; at most twice as many were unpacked.
        BodyUnreadable: If it cannot be unpacked, or is cut off, or something follows it.
    """
    if encoding in {"", "identity"}:
        if len(body) > limit:
            raise BodyTooLarge
        return body
    try:
        if encoding == "zstd":
            return _zstd(body, limit)
        if encoding == "deflate":
            # The name means zlib's format, but some senders leave its two bytes out.
            return _inflated(body, _zlib_or_raw(body), limit)
        return _gunzipped(body, limit)
    except (zlib.error, zstandard.ZstdError, gzip.BadGzipFile, EOFError) as error:
        raise BodyUnreadable(f"the body is not {encoding}: {error}") from error


def _gunzipped(body: bytes, limit: int) -> bytes:
    """One or more gzip members, one after the other.

    An inflater copies what it was given and did not use, so that it is never given much: else a body of many small
    members would be copied once for each of them.
    """
    if not body:
        raise EOFError("it is empty")
    parts: list[bytes] = []
    at, left = 0, limit
    while at < len(body):
        inflater: Any = zlib.decompressobj(zlib.MAX_WBITS | 16)
        size = _GZIP_PIECE_MIN
        while not inflater.eof:
            piece = body[at : at + size]
            part = inflater.decompress(piece, min(_STEP, left + 1))
            at += len(piece) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
            left -= len(part)
            if left < 0:
                raise BodyTooLarge
            if not part and not piece and not inflater.eof:
                raise EOFError("it is cut off")
            parts += [part] if part else []
            size = min(2 * size, _GZIP_PIECE_MAX)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflated(body: bytes, inflater: Any, limit: int) -> bytes:
    data = _all_of(inflater, body, limit)
    if inflater.unused_data:
        raise zlib.error("something follows it")
    return data


def _all_of(inflater: Any, body: bytes, limit: int) -> bytes:
    first: bytes = inflater.decompress(body, min(_STEP, limit + 1))
    if inflater.eof and len(first) <= limit:
        return first
    parts, size = [first], len(first)
    while size <= limit and not inflater.eof:
        part = inflater.decompress(inflater.unconsumed_tail, _STEP)
        if not part and not inflater.eof:
            raise EOFError("it is cut off")
        parts.append(part)
        size += len(part)
    if size > limit:
        raise BodyTooLarge
    return b"".join(parts)


def _zlib_or_raw(body: bytes) -> Any:
    is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)


def _zstd(body: bytes, limit: int) -> bytes:
    """One or more frames; this library has no bound on what one call returns, so what goes in is bounded instead."""
    if zstandard.frame_content_size(body) > limit:
        raise BodyTooLarge
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    inflater = unpacker.decompressobj()
    parts: list[bytes] = []
    at, left = 0, limit
    while True:
        piece = body[at : at + max(_ZSTD_PIECE, left // _ZSTD_RATIO)]
        part = inflater.decompress(piece)
        at += len(piece)
        left -= len(part)
        if left < 0:
            raise BodyTooLarge
        parts.append(part)
        if inflater.eof:
            at -= len(inflater.unused_data)
            if at >= len(body):
                return b"".join(parts)
            inflater = unpacker.decompressobj()
        elif at >= len(body):
            raise EOFError("it is cut off")
