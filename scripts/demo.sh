#!/usr/bin/env bash
# tagfs from the first mount to the last byte, as a person would type it. Every step is checked: the exit code is 0
# only when each did what it says.
#
#   scripts/demo.sh             from a local web server with files made for the occasion
#   scripts/demo.sh URL...      the same with downloads of yours
set -euo pipefail

PATH=$PATH:/usr/sbin
demo=$(mktemp -d "${TMPDIR:-/tmp}/tagfs-demo.XXXXXX")
server=
cd "$demo"
# A daemon of its own, with its own settings, whatever the user has.
export TAGFS_STATE=$demo/state TAGFS_CONFIG=$demo/config.toml
unset XDG_RUNTIME_DIR
: >config.toml

clean_up() {
    local code=$?
    tagfs umount -z >/dev/null 2>&1 || true
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if ((code)); then
        printf '\nThe demo failed. What the daemon said:\n' >&2
        tail -n 40 state/daemon.log >&2 2>/dev/null || true
    fi
    cd /
    rm -rf "$demo"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

title() { printf '\n\033[1m# %s\033[0m\n' "$*"; }

# Run a command line, shown as typed; its output is shown and kept in $out.
run() {
    printf '$ %s\n' "$1"
    local code=0
    out=$(eval "$1" 2>&1) || code=$?
    [[ -z $out ]] || printf '%s\n' "$out"
    ((code == 0)) || fail "exit code $code"
}

# The same on the terminal itself, for what moves.
run_live() {
    printf '$ %s\n' "$1"
    eval "$1" || fail "exit code $?"
}

fail() {
    printf 'The demo expected something else: %s\n' "$*" >&2
    exit 1
}

# Check $out: that it is exactly these lines, or that it has this in it.
expect() { [[ $out == "$(printf '%s\n' "$@")" ]] || fail "$(printf '%s; ' "$@")"; }
expect_in() { [[ $out == *"$1"* ]] || fail "$1"; }

serve() {
    command -v nginx >/dev/null || fail "nginx is not installed; make venv installs it."
    mkdir -p www/slow
    local name
    for name in alien-1979-1080p.mkv brazil-1985-2160p.mkv solaris-1972-1080p.mkv; do
        head -c 2M /dev/urandom >"www/$name"
    done
    printf 'buy popcorn\n' >www/notes.txt
    head -c 48M /dev/urandom >www/slow/debian-13.iso
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    local user=
    [[ $(id -u) != 0 ]] || user='user root;'
    cat >nginx.conf <<NGINX
daemon off; $user pid nginx.pid; error_log stderr;
events {}
http {
    access_log access.log;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    server {
        listen 127.0.0.1:$port;
        root www;
        location /slow/ { limit_rate 4m; }
    }
}
NGINX
    nginx -p "$demo" -c nginx.conf -e stderr &
    server=$!
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || fail "nginx did not start"
        sleep 0.1
    done
    web=http://127.0.0.1:$port
}

local_downloads() {
    title "Mount. Everything below is ordinary commands on ordinary files."
    run 'mkdir T && tagfs mount T'
    run 'ls T'
    for name in blobs files inbox queries tags trash; do expect_in "$name"; done

    title "A download is a file: make a link to a URL. It is there at once, with its tag."
    run 'mkdir T/tags/linux'
    run "ln -s $web/slow/debian-13.iso T/tags/linux/"
    run 'ls T/tags/linux'
    expect debian-13.iso
    title "Or several from the command line."
    run "tagfs add -t movie $web/alien-1979-1080p.mkv $web/brazil-1985-2160p.mkv $web/solaris-1972-1080p.mkv"
    title "Or drop a file of links, a Metalink or a torrent into /inbox: it goes once its items are there."
    run "mkdir T/inbox/todo && echo $web/notes.txt > T/inbox/todo/links.txt"
    run 'while [[ -e T/inbox/todo/links.txt ]]; do sleep 0.1; done; ls T/tags/todo'
    expect notes.txt

    title "Read a file while it arrives: the last megabyte first, at 4 MB/s for the rest."
    local wanted
    wanted=$(tail -c 1M www/slow/debian-13.iso | sha256sum)
    run 'tail -c 1M T/tags/linux/debian-13.iso | sha256sum'
    expect "$wanted"
    run 'getfattr --only-values -n user.tagfs.state T/tags/linux/debian-13.iso; echo'
    expect downloading
    run 'tagfs status'
    expect_in debian-13.iso
    run 'tagfs status -f alien-1979-1080p.mkv brazil-1985-2160p.mkv solaris-1972-1080p.mkv notes.txt'

    title "Tag files: with setfattr, cp, ln, or a file manager."
    run 'setfattr -n user.xdg.tags -v movie,1080p,year:1979 T/files/alien-1979-1080p.mkv'
    run 'setfattr -n user.xdg.tags -v movie,2160p,year:1985 T/files/brazil-1985-2160p.mkv'
    run 'setfattr -n user.tags -v +1080p,+year:1972 T/files/solaris-1972-1080p.mkv'
    run 'tagfs tag T/tags/movie/solaris-*.mkv -t watched'
    run 'tagfs tags'
    expect_in "3  movie"

    title "A path is a query: movie AND 1080p; 1080p OR 2160p; movie and NOT watched; a range."
    run 'ls T/tags/movie/1080p/'
    expect alien-1979-1080p.mkv solaris-1972-1080p.mkv
    run 'ls T/tags/1080p/+/2160p/'
    expect alien-1979-1080p.mkv brazil-1985-2160p.mkv solaris-1972-1080p.mkv
    run 'ls T/tags/movie/-/watched/'
    expect alien-1979-1080p.mkv brazil-1985-2160p.mkv
    run 'ls T/tags/year:1975..1989/'
    expect alien-1979-1080p.mkv brazil-1985-2160p.mkv
    run "tagfs ls 'movie and (1080p or 2160p) and not watched'"
    expect alien-1979-1080p.mkv brazil-1985-2160p.mkv

    title "Globs, and every tool that there is, see each item once."
    run 'wc -c T/tags/1080p/+/2160p/*.mkv'
    expect_in "6291456 total"
    run 'md5sum T/tags/movie/-/watched/*.mkv'
    [[ $out == *"$(md5sum <www/alien-1979-1080p.mkv | cut -c1-32)"* ]] || fail "the server's bytes"
    run 'find T/tags/movie/ -name "*.mkv" | wc -l'
    expect 3

    title "rm below /tags takes the tag off, and nothing else."
    run 'rm T/tags/watched/solaris-1972-1080p.mkv && ls T/tags/movie/-/watched/'
    expect alien-1979-1080p.mkv brazil-1985-2160p.mkv solaris-1972-1080p.mkv

    title "The iso goes on arriving. When it is whole, it is the server's, bit by bit."
    run_live 'tagfs status -f debian-13.iso'
    run 'sha256sum T/files/debian-13.iso'
    local sum
    sum=$(sha256sum <www/slow/debian-13.iso | cut -c1-64)
    expect_in "$sum"
    run 'getfattr -d T/files/debian-13.iso'
    expect_in 'user.tagfs.progress="1"'
    expect_in "user.tagfs.sha256=\"$sum\""
    expect_in 'user.xdg.tags="linux"'
    run 'tagfs verify --data'
    expect_in "no faults"
}

downloads_of() {
    title "Mount, and download: one link a URL."
    run 'mkdir T && tagfs mount T && mkdir T/tags/demo'
    local url
    for url in "$@"; do run "ln -s $(printf %q "$url") T/tags/demo/"; done
    run 'ls T/tags/demo'
    [[ -n $out ]] || fail "a file a URL"
    title "Read while it arrives."
    run 'for file in T/tags/demo/*; do head -c 16 "$file" | od -A x -t x1z; done'
    run_live 'tagfs status -f T/tags/demo/*'
    title "Tag, ask, look."
    run 'for file in T/tags/demo/*; do setfattr -n user.tags -v +whole "$file"; done'
    run 'ls -l T/tags/demo/whole/'
    run 'ls T/tags/demo/-/whole/'
    expect ''
    run 'sha256sum T/tags/demo/+/whole/*'
    run 'getfattr -d T/tags/demo/*'
    expect_in 'user.tagfs.progress="1"'
}

if (($#)); then
    downloads_of "$@"
else
    serve
    local_downloads
fi
title "Done."
run 'tagfs umount'
[[ -z $(ls -A T) ]] || fail "an empty mount point"
printf '\nThat was tagfs: README.md and docs/ go on from here.\n'
