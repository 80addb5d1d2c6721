"""The console entry: standard library only, so that even a broken dependency ends in a code that is no verdict.

Exit codes: 0 and 3 and an enforced deny's 1 come from commands alone; 2 usage; 4, 5 as the error says; 70 for
whatever escapes. Put nothing else here.
"""

import sys
from collections.abc import Sequence

INTERNAL = 70
USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing escapes but an interrupt's own code."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 must not break a gate
    try:
        from weaver_forge.cli.ahead import started_ahead

        with started_ahead(words):
            from weaver_forge.cli.app import run

            code = run(words)
        sys.stdout.flush()
    except SystemExit as stop:
        return _foreign(stop.code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; say nothing more, not even at interpreter exit.
        sys.stdout = sys.stderr
        return INTERNAL
    except BaseException as error:  # noqa: BLE001 - the last line of defence: a crash must never exit with 1
        return _escaped(error)
    return code


def _foreign(code: object) -> int:
    """A library that exits by itself must not be able to say 1, which is a deny."""
    if code is None or code == 0:
        return 0
    return USAGE if code == USAGE else INTERNAL


def _escaped(error: BaseException) -> int:
    """One line and an exit code; the whole trace where WEAVER_FORGE_DEBUG asks for it."""
    code = getattr(error, "exit_code", None)
    ours = type(error).__module__ == "weaver_forge.errors" and isinstance(code, int)
    if ours:
        sys.stderr.write(f"error: {error}\n")
    else:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stderr.write(f"error: internal: {line}. Set WEAVER_FORGE_DEBUG=1 for the trace, and please report it\n")
    if _debug():
        import traceback

        traceback.print_exception(error)
    return code if ours and code is not None else INTERNAL


def _debug() -> bool:
    try:
        from weaver_forge.settings import variable
    except Exception:  # noqa: BLE001 - reporting an error must not fail on another one
        return False
    return variable("WEAVER_FORGE_DEBUG") is not None


if __name__ == "__main__":
    sys.exit(main())
