"""Man pages out of docs/*.md, which tests hold to the program: what is written once cannot drift.

    tagfs(1)  docs/cli.md            tagfs-queries(7)  docs/query-language.md
    tagfs(5)  docs/configuration.md  mount.tagfs(8)    a section of docs/integration.md

`pages(root)` gives them as {"man1/tagfs.1": text}; `python scripts/man.py DIR` writes them. Knows the Markdown that
those documents use: headings, paragraphs, lists, tables, code, and inline code, stress and links. The output is that
of man(7), which groff and mandoc both read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)]+)\)")
CELL = re.compile(r"(?<!\\)\|")


SPECIAL = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga"})
HEADINGS = (".SH", ".SS")
NAMES = {"cli.md": "tagfs(1)", "configuration.md": "tagfs(5)", "query-language.md": "tagfs-queries(7)"}


@dataclass(frozen=True)
class Page:
    name: str
    section: int
    source: str
    summary: str
    synopsis: tuple[str, ...]
    chapter: str | None = None  # of the source; None: all of it
    see: tuple[str, ...] = ()


PAGES = (
    Page(
        "tagfs", 1, "cli.md", "downloads are files, files carry tags, paths are queries",
        ("tagfs VERB [ARGUMENT...]", "tagfs VERB --help"), see=("tagfs(5)", "tagfs-queries(7)", "mount.tagfs(8)"),
    ),
    Page(
        "tagfs", 5, "configuration.md", "configuration of tagfs",
        ("~/.config/tagfs/config.toml",), see=("tagfs(1)",),
    ),
    Page(
        "tagfs-queries", 7, "query-language.md", "queries of tagfs, as paths and as expressions",
        ("/tags/movie/1080p/-/watched", "movie and 1080p and not watched"), see=("tagfs(1)",),
    ),
    Page(
        "mount.tagfs", 8, "integration.md", "mount a tagfs by mount(8) and /etc/fstab",
        ("mount -t tagfs DEVICE DIR [-o OPTION,...]", "mount.tagfs DEVICE DIR [-sfnv] [-o OPTION,...]"),
        chapter="/etc/fstab", see=("tagfs(1)", "mount(8)", "fstab(5)"),
    ),
)  # fmt: skip


def pages(root: Path) -> dict[str, str]:
    return {
        f"man{page.section}/{page.name}.{page.section}": render(page, (root / "docs" / page.source).read_text("utf-8"))
        for page in PAGES
    }


def render(page: Page, markdown: str) -> str:
    head = [
        f'.TH {page.name.upper()} {page.section} "" tagfs',
        ".SH NAME",
        f"{_text(page.name)} \\- {_text(page.summary)}",
    ]
    head += [".SH SYNOPSIS", ".nf", *(f"\\fB{_text(line)}\\fR" for line in page.synopsis), ".fi", ".SH DESCRIPTION"]
    body = list(_blocks(_lines(page, markdown)))
    # Headings begin a paragraph by themselves.
    body = [
        line for last, line in zip([head[-1], *body], body, strict=False) if line != ".PP" or last[:3] not in HEADINGS
    ]
    see = [".SH SEE ALSO", ", ".join(f"\\fB{_text(name)}\\fR" for name in page.see)]
    return "\n".join([*head, *body, *see]) + "\n"


def _lines(page: Page, markdown: str) -> list[str]:
    """Below the title, or the chapter alone."""
    if page.chapter is None:
        return markdown.splitlines()[1:]
    return re.split(rf"^## {re.escape(page.chapter)}\n", markdown, flags=re.MULTILINE)[1].split("\n## ")[0].splitlines()


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        start = at
        at += 1
        if line.startswith("#"):
            hashes, _, title = line.partition(" ")
            yield f".{'SH' if len(hashes) == 2 else 'SS'} {_argument(title.upper() if len(hashes) == 2 else title)}"
        elif line.startswith("```"):
            while not lines[at].startswith("```"):
                at += 1
            yield from _code(lines[start + 1 : at])
            at += 1
        elif line.startswith("    "):
            while at < len(lines) and (lines[at].startswith("    ") or (not lines[at] and _indented(lines, at + 1))):
                at += 1
            yield from _code([text[4:] for text in lines[start:at]])
        elif line.startswith("|"):
            while at < len(lines) and lines[at].startswith("|"):
                at += 1
            yield from _table([_cells(text) for text in lines[start:at]])
        elif line.startswith("- "):
            while at < len(lines) and lines[at].startswith("  "):
                at += 1
            yield from (".IP \\(bu 2", *_filled([line[2:], *lines[start + 1 : at]]))
        elif line.strip():
            while at < len(lines) and lines[at].strip() and not lines[at].startswith(("#", "|", "- ", "```")):
                at += 1
            yield from (".PP", *_filled(lines[start:at]))


def _indented(lines: Sequence[str], at: int) -> bool:
    return at < len(lines) and lines[at].startswith("    ")


def _code(lines: Sequence[str]) -> list[str]:
    return [".PP", ".RS 4", ".nf", *(_guarded(_text(line)) for line in lines), ".fi", ".RE"]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column is what is explained, the last one explains it; those between are facts about it."""
    header, _rule, *body = rows
    for first, *facts, last in body:
        yield ".TP"
        yield _guarded(_inline(first) or "\\&")
        told = "; ".join(f"{name}: {fact}" for name, fact in zip(header[1:-1], facts, strict=True) if fact)
        texts = [text for text in (last, f"({told})" if told else "") if text]
        yield from _filled(texts or ["-"])


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in CELL.split(line.strip())[1:-1]]


def _filled(lines: Sequence[str]) -> list[str]:
    return [_guarded(text) for text in _inline(" ".join(line.strip() for line in lines)).splitlines()]


def _inline(text: str) -> str:
    made, at = "", 0
    for match in INLINE.finditer(text):
        made += _text(text[at : match.start()])
        code, strong, stressed, label, target = match.groups()
        if label is not None:
            made += _inline(NAMES.get(label, label)) + (f" <{_text(target)}>" if "://" in target else "")
        else:
            made += f"\\fI{_text(stressed)}\\fR" if stressed else f"\\fB{_text(code or strong)}\\fR"
        at = match.end()
    return made + _text(text[at:])


def _text(text: str) -> str:
    """Characters that groff would read as its own, or print as others than were meant."""
    return text.translate(SPECIAL)


def _guarded(line: str) -> str:
    return f"\\&{line}" if line.startswith((".", "'")) else line


def _argument(text: str) -> str:
    return '"' + _inline(text).replace('"', "\\(dq") + '"'


if __name__ == "__main__":
    for name, text in pages(Path(__file__).parents[1]).items():
        target = Path(sys.argv[1]) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
