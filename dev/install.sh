#!/bin/sh
# install.sh GROUP…: makes .venv and installs the dependency groups of pyproject.toml into it. Does nothing, and opens no
# socket, when that was done for the same lock in the same folder.
set -eu
cd "$(dirname "$0")/.."
venv=$PWD/.venv

fail() { echo "cairn: $1" >&2; exit 1; }

# The distribution's own Python comes first: it is built with profile-guided optimisation, and takes two thirds of the time
# that one takes which a version manager compiled without. PYTHON=… chooses another.
python=
unready=
for name in ${PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
  "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
  if "$name" -c 'import venv, ensurepip' 2>/dev/null; then python=$(command -v "$name"); break; fi
  unready=${unready:-$name}
done
if [ -z "$python" ] && [ -n "$unready" ]; then
  fail "Python's venv is missing: apt install $("$unready" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
fi
[ -n "$python" ] || fail "Python 3.11 or later is missing${PYTHON:+ ($PYTHON is none)}: apt install python3 python3-venv (Debian 12, Ubuntu 24.04 or later), or brew install python"

# The folder counts, since our own packages are installed as links to it.
state=$(cat requirements.lock pyproject.toml ./*/*/pyproject.toml dev/install.sh dev/requirements.py | cksum)
built_for="$PWD $python $("$python" -V)"
state="$built_for $state"
missing=
for group in "$@"; do
  [ "$(cat "$venv/.installed-$group" 2>/dev/null)" = "$state" ] || missing="$missing $group"
done
[ -n "$missing" ] || exit 0

say() { printf 'cairn: %s\n' "$*"; }

export UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null || [ "$(cat "$venv/.python" 2>/dev/null)" != "$built_for" ]; then
  say "making .venv with $("$python" -V)"
  "$python" -m venv --clear "$venv"
  echo "$built_for" > "$venv/.python"
fi
# uv itself is held to its hashes in the same lock.
sed -n '/^uv==/,/[^\\]$/p' requirements.lock > "$venv/uv.txt"
uv_version=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$venv/uv.txt")
[ -n "$uv_version" ] || fail "requirements.lock does not name uv"
if ! "$venv/bin/uv" --version 2>/dev/null | grep -q "^uv $uv_version\b"; then
  say "installing uv $uv_version"
  "$venv/bin/python" -m pip install --quiet --no-deps --require-hashes -r "$venv/uv.txt"
fi
# uv does not read pip's configuration, where a site names its own index.
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
  index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
  if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
fi

say "installing:$missing"
# Every file that comes in, also for what is needed indirectly, must have a hash in the lock.
# shellcheck disable=SC2086 # a list of words
"$python" dev/requirements.py pinned build $missing > "$venv/wanted.txt"
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r "$venv/wanted.txt" -c requirements.lock
# shellcheck disable=SC2086
"$python" dev/requirements.py workspace $missing | sed 's/^/-e /' > "$venv/ours.txt"
[ ! -s "$venv/ours.txt" ] ||
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --offline --no-deps --no-build-isolation -r "$venv/ours.txt"
for group in $missing; do echo "$state" > "$venv/.installed-$group"; done
