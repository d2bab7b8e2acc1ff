"""`tagfs`: from arguments to an exit code. The only place that turns errors into words.

Only the verb that is asked for is imported: `tagfs ls` pays for no other.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from tagfs import __version__
from tagfs.cli import exits, table

TYPE_CHECKING = False  # as in typing, which takes 4 ms to import
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from tagfs.cli.verb import Verb

_NAMED = ("WHAT", "ITEM", "PATH", "FILE", "DIR", "[DIR]", "DEST")


def main() -> int:
    """The console script. Ends by SIGINT itself when interrupted, so that a calling shell loop stops as well."""
    _stand_in()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIOWrapper outside of tests
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return exits.INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return exits.BROKEN_PIPE
    except OSError as error:  # what the page of help, or the last lines, could not be written to
        from tagfs.cli.output import warn

        _drop_output()
        warn(f"standard output: {error.strerror or error}.")
        return exits.FAILED


def _stand_in() -> None:
    """For streams that the caller has closed, so that no file which is opened later takes their place: what is written
    or read there fails, as it would."""
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # the lowest that is free
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 -- it stays open, as do the others
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _drop_output() -> None:
    """What Python flushes at the exit goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str]) -> int:
    """Run one command. Raises KeyboardInterrupt, OSErrors of standard output, and SystemExit out of argparse."""
    state, rest = _leading_state(list(arguments))
    if not rest or rest[0] in ("-h", "--help") or rest == ["help"]:
        print(table.page(), end="")
        return exits.OK if arguments else exits.USAGE
    if rest[0] == "--version":
        print(f"tagfs {__version__}")
        return exits.OK
    if rest[0] == "help":
        rest = [rest[1], "--help"]
    if rest[0] == "complete":  # for scripts only, so it stands in no table
        from tagfs.cli import complete

        return complete.run(rest[1:])
    if rest[0] not in table.ENTRIES:
        return _unknown(rest[0])
    return _run_verb(rest[0], rest[1:], state)


def find(name: str) -> Verb:
    """The implementation of a verb of the table."""
    module = import_module(f"tagfs.cli.{table.ENTRIES[name].module}")
    found: Verb = module.VERBS[name]
    return found


def parser(name: str) -> argparse.ArgumentParser:
    """The argument parser of a verb of the table, with its help."""
    import argparse
    import textwrap

    from tagfs.escape import tame

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:  # it quotes arguments, which may be names from outside
            super().error(tame(message))

        def _parse_optional(self, arg_string: str) -> Any:  # None is a positional; argparse offers no other way
            return None if arg_string.startswith("-/") else super()._parse_optional(arg_string)  # the path -/watched

    class Once(argparse.Action):
        """What stores one value, as argparse does; the second of two would win without a word. An empty one for a file
        would be the working directory, and is a slip: a variable of the shell that is not set."""

        def __call__(
            self, parser: argparse.ArgumentParser, namespace: object, values: object, option_string: str | None = None
        ) -> None:
            if option_string is not None and getattr(namespace, self.dest) is not self.default:
                raise argparse.ArgumentError(self, "it is given twice, and takes one value")
            if self.metavar in _NAMED and "" in (values if isinstance(values, list) else [values]):
                raise argparse.ArgumentError(self, "an empty word names nothing")
            setattr(namespace, self.dest, values)

    verb, entry = find(name), table.ENTRIES[name]
    made = Parser(
        prog=f"tagfs {name}",
        description=f"{entry.summary[0].upper()}{entry.summary[1:]}.\n\n{textwrap.fill(verb.about, 78)}",
        epilog="examples:\n" + "\n".join(f"  {example}" for example in verb.examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.register("action", None, Once)
    made.register("action", "store", Once)
    verb.declare(made)
    made.add_argument("--state", metavar="DIR", help="state directory; default: $TAGFS_STATE, else see tagfs config")
    return made


def _leading_state(arguments: list[str]) -> tuple[str | None, list[str]]:
    """`tagfs --state DIR VERB` is the same as `tagfs VERB --state DIR`."""
    if arguments and arguments[0].startswith("--state="):
        return arguments[0].removeprefix("--state="), arguments[1:]
    if len(arguments) > 1 and arguments[0] == "--state":
        return arguments[1], arguments[2:]
    return None, arguments


def _run_verb(name: str, arguments: list[str], state: str | None) -> int:
    from tagfs.cli.output import warn
    from tagfs.cli.session import Session
    from tagfs.cli.verb import NotFound, UsageError
    from tagfs.config.errors import ConfigError
    from tagfs.control.client import NoDaemon
    from tagfs.control.errors import Code, VerbError
    from tagfs.daemon.errors import StartError

    options = parser(name).parse_args(find(name).reword(arguments))
    try:
        return find(name).run(options, Session(options.state or state, os.environ))
    except VerbError as error:
        hint = " Restart it: it runs another version." if error.code is Code.UNKNOWN_METHOD else ""
        warn(error.message + hint)
        return exits.of(error.code)
    except NoDaemon as error:
        warn(str(error))
        return exits.NO_DAEMON
    except (UsageError, ConfigError) as error:
        warn(str(error))
        return exits.USAGE
    except NotFound as error:
        warn(str(error))
        return exits.NOT_FOUND
    except StartError as error:
        warn(str(error))
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        warn(f"{where}{error.strerror or error}.")
        return exits.NOT_FOUND if isinstance(error, FileNotFoundError) else exits.FAILED


def _unknown(word: str) -> int:
    import difflib

    from tagfs.cli.output import warn
    from tagfs.escape import escape

    near = difflib.get_close_matches(word, table.ENTRIES, n=1)
    hint = f"did you mean {near[0]}?" if near else "tagfs --help lists them."
    warn(f"{escape(word)} is no verb of tagfs; {hint}")
    return exits.USAGE
