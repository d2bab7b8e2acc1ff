"""Sizes, times, columns; bars with names that would be markup or worse."""

import io

import pytest
from rich.console import Console

from tagfs.cli import display
from tagfs.cli.live import shown
from tagfs.control.views import DownloadView, StatusView


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1024**2 - 1, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"), (3 * 1024**4, "3.0 TiB"), (2 * 1024**5, "2.0 PiB"), (5000 * 1024**5, "5000.0 PiB"),
    ],
)  # fmt: skip
def test_sizes(count: int | None, text: str) -> None:
    assert display.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.4, "0s"),
        (59.9, "59s"),
        (200, "3m20s"),
        (3600 * 5 + 420, "5h07m"),
        (86400 * 12 + 3600 * 3, "12d3h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert display.duration(seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "text"), [(0, None, "-"), (0, 0, "100%"), (999, 1000, "99%"), (1000, 1000, "100%")]
)
def test_percent_is_100_only_when_all_is_here(done: int, total: int | None, text: str) -> None:
    assert display.percent(done, total) == text


def test_columns_are_aligned_but_for_the_last() -> None:
    assert display.columns([]) == []
    assert display.columns([("a", "1", "name"), ("bbb", "22", "n")], right=[1]) == ["a     1  name", "bbb  22  n"]


def test_bars_show_names_as_they_are_and_harmless() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, height=10, highlight=False, color_system=None)
    names = ["[bold red]x[/].iso", "e\x1b]0;evil\x07", *map(str, range(20))]
    downloads = tuple(
        DownloadView(4096 + at, name, "downloading", 512, 1024, 100.0, 5.0, 1, None, None, None)
        for at, name in enumerate(names)
    )
    status = StatusView("0.1.0", 1, "/mnt", "/state", 5.0, 3, 0, {"downloading": 3}, downloads, 4, 0, None, 100.0)
    with shown(console) as show:
        show(status)
        show(status)
    text = screen.getvalue()
    assert "[bold red]x[/].iso" in text
    assert "e\\x1b]0;evil\\x07" in text and "\x1b]0" not in text
    assert "50%" in text and "1.0 KiB" in text and "5s" in text
    assert "... and 19 more" in text  # 15 that do not fit and 4 beyond the limit
