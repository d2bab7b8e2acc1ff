"""The verbs in the order of `tagfs --help`, and that page. Pure; imports no verb, and nothing that takes time."""

from __future__ import annotations

from collections import namedtuple

# `module` is the file in tagfs/cli that implements the verb. All are texts. A dataclass would double the time of
# `tagfs --help`: that module imports inspect.
Entry = namedtuple("Entry", "name module usage summary")


GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "The mount",
        (
            Entry("mount", "mount", "DIR", "start the daemon and mount it at DIR"),
            Entry("umount", "umount", "[DIR]", "unmount and end the daemon"),
        ),
    ),
    (
        "Downloads",
        (
            Entry("add", "add", "WHAT... [-t TAG]", "start downloads: URLs, magnets, torrents, lists"),
            Entry("status", "status", "[ITEM...]", "what is arriving, how far it is; -f follows"),
            Entry("watch", "watch", "[QUERY]", "what happens, as JSON, one event a line"),
            Entry("pause", "pause", "ITEM...|--all", "hold downloads"),
            Entry("resume", "pause", "ITEM...|--all", "go on with them; also tries failed ones again"),
        ),
    ),
    (
        "Items and tags",
        (
            Entry("ls", "ls", "[QUERY]", "list the items that match"),
            Entry("tag", "tag", "ITEM... -t TAG", "put tags on items"),
            Entry("untag", "tag", "ITEM... -t TAG", "take tags off items"),
            Entry("tags", "tags", "[QUERY]", "list tags with their counts; make, rename, delete tags"),
            Entry("relation", "relation", "[add A implies B]", "what tags say about each other: list, add, rm"),
            Entry("queries", "saved", "[--save NAME QUERY]", "list saved queries; save, rename, delete them"),
            Entry("suggest", "suggest", "[ITEM...]", "what names and contents suggest; accept or refuse it"),
            Entry("rules", "rules", "", "rules of the config file; --apply them to what is there"),
            Entry("rm", "rm", "ITEM...", "move items to the trash; --purge ends them for good"),
        ),
    ),
    (
        "History",
        (
            Entry("log", "log", "[ITEM...]", "what was changed, when, and by whom"),
            Entry("undo", "undo", "[CHANGE]", "take the last change back, or the one named"),
            Entry("redo", "undo", "", "take the last undo back"),
            Entry("trash", "trash", "[restore|empty]", "what was removed; take it out, or end it for good"),
        ),
    ),
    (
        "Content",
        (
            Entry("import", "import_", "PATH... [-t TAG]", "copy files and folders in"),
            Entry("export", "export", "[FILE]", "write the whole catalogue as JSON lines"),
            Entry("get", "get", "ITEM [DEST]", "copy an item out, waiting until it is whole"),
            Entry("verify", "verify", "[--repair]", "check catalogue and store; --data reads every byte"),
            Entry("backup", "backup", "DIR", "a second copy of everything; again: of what is new"),
            Entry("restore", "backup", "DIR", "back from such a copy, where no daemon runs"),
        ),
    ),
    (
        "Settings",
        (
            Entry("config", "config", "[path]", "what is set, and where each value comes from"),
            Entry("doctor", "doctor", "", "what keeps tagfs from working here, and what to do"),
            Entry("unit", "unit", "", "print a systemd user unit that mounts when you log in"),
            Entry("completion", "completion", "SHELL", "print the completion of bash, zsh or fish"),
        ),
    ),
)

ENTRIES = {entry.name: entry for _title, entries in GROUPS for entry in entries}

_HEAD = """\
tagfs - downloads are files, files carry tags, paths are queries

Usage:  tagfs VERB [ARGUMENT...]          tagfs VERB --help explains a verb
"""

_TAIL = """
An ITEM is a path inside the mount, a name, or id:ID (also ~ID). A QUERY is an expression, 'movie and not watched',
or, with a slash, a path as below /tags: movie/-/watched.

Examples:
  tagfs mount ~/T                                     mount; everything below works without the mount's path, too
  ln -s https://example.org/debian.iso ~/T/tags/linux/     a download is a file, there at once
  tagfs add https://example.org/debian.iso -t linux,iso    the same from the command line
  tagfs status -f                                     watch it arrive
  ls ~/T/tags/linux/-/seen/                           linux and not seen
  tagfs ls --ids 'linux and not seen' | xargs -r tagfs tag -t seen
  tagfs umount

Options:
  --state DIR    the state directory, of every verb; else $TAGFS_STATE, else see tagfs config
  --version      print the version
  -h, --help     print this page

Exit codes: 0 done; 1 failed, the reason is on standard error; 2 wrong usage or configuration; 3 no daemon runs;
4 no such item, tag or file, or an ambiguous name; 5 verify found faults; 6 it has mended all; 130 interrupted.
"""


def page() -> str:
    """The first page of the manual."""
    lines = [_HEAD]
    for title, entries in GROUPS:
        lines.append(f"{title}:")
        lines += [f"  {f'{entry.name} {entry.usage}':<30}{entry.summary}" for entry in entries]
        lines.append("")
    return "\n".join(lines) + _TAIL
