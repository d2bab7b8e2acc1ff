#!/usr/bin/env bash
# Make the virtual environment DIR (default .venv) from requirements.lock, with tagfs itself in it.
#
# What the system lacks for that, and for the demo and the tests, is installed with apt-get (through sudo where we are
# not root). On systems without apt-get the packages are named instead, and nothing is changed.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}

fail() {
    printf 'tagfs: %s\n' "$*" >&2
    exit 1
}

# libtorrent, one of the dependencies, comes ready-made for these and not at all for later ones.
suitable='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c "$suitable" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed, and python3 is $(python3 -V 2>&1 || echo missing)." \
        "On Ubuntu 22.04: apt-get install python3.11 python3.11-venv python3.11-dev"
}

# The Debian packages of which nothing serves the purpose yet: $1 is the python.
missing_packages() {
    local python=$1 flavour=python3 packages=()
    # A distribution's second python (python3.12 beside python3) has packages of its own name.
    [[ $python == /usr/bin/python3.* ]] && flavour=$(basename "$python")
    command -v fusermount3 >/dev/null || packages+=(fuse3)
    command -v pkg-config >/dev/null || packages+=(pkg-config)
    pkg-config --exists fuse3 2>/dev/null || packages+=(libfuse3-dev)
    command -v gcc >/dev/null || packages+=(gcc libc6-dev)
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || packages+=("$flavour-dev")
    "$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=("$flavour-venv")
    "$python" -c 'import ctypes; ctypes.CDLL("libmagic.so.1")' 2>/dev/null || packages+=(libmagic1)
    command -v nginx >/dev/null || packages+=(nginx-light)
    command -v setfattr >/dev/null || packages+=(attr)
    command -v rsync >/dev/null || packages+=(rsync)
    command -v ffprobe >/dev/null || packages+=(ffmpeg)
    command -v unzip >/dev/null || packages+=(unzip)
    command -v curl >/dev/null || packages+=(curl)
    command -v wget >/dev/null || packages+=(wget)
    command -v groff >/dev/null || packages+=(groff-base)
    command -v zsh >/dev/null || packages+=(zsh)
    command -v fish >/dev/null || packages+=(fish)
    command -v gio >/dev/null || packages+=(libglib2.0-bin)
    command -v git >/dev/null || packages+=(git)
    command -v sqlite3 >/dev/null || packages+=(sqlite3)
    command -v mkfs.ext4 >/dev/null || packages+=(e2fsprogs)
    command -v mkfs.xfs >/dev/null || packages+=(xfsprogs)
    command -v strace >/dev/null || packages+=(strace)
    command -v vim >/dev/null || packages+=(vim)
    printf '%s\n' "${packages[@]}"
}

install_packages() {
    local sudo=()
    if ! command -v apt-get >/dev/null; then
        fail "please install what this system calls: $*"
    fi
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null || fail "please run as root: apt-get install $*"
        sudo=(sudo)
    fi
    printf 'Installing %s\n' "$*"
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    # The package starts a web server on port 80, which nobody asked for: the demo and the tests run their own.
    if [[ " $* " == *" nginx-light "* && -d /run/systemd/system ]]; then
        "${sudo[@]}" systemctl disable --now nginx
    fi
}

# Debian keeps nginx where only root's PATH leads.
PATH=$PATH:/usr/sbin:/sbin
[[ $(uname -s) == Linux ]] || fail "tagfs needs Linux."
python=$(find_python)
mapfile -t packages < <(missing_packages "$python" | sed '/^$/d')
if ((${#packages[@]})); then
    install_packages "${packages[@]}"
fi

if ! "$venv/bin/python" -c "import pip; $suitable" 2>/dev/null; then
    "$python" -m venv --clear "$venv"
fi
pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input)
"${pip[@]}" install --quiet --require-hashes --requirement requirements.lock
# hatchling is pinned in the lock, so building ourselves downloads nothing.
"${pip[@]}" install --quiet --no-deps --no-build-isolation --editable .
