#!/usr/bin/env bash
# Builds .venv from requirements.txt with a Python and a JDK that fit; does nothing when it is up to date.
# A missing Python or JDK is installed where that needs no question (root on Debian or Ubuntu), else named.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf 'lakehop: %s\n' "$*" >&2; exit 1; }

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
apt_install() {
  say "Installing $*"
  apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >&2
}

# A pyenv shim answers to a version that is not there, so each candidate has to prove itself.
fits() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != tuple(map(int, sys.argv[1].split("."))))' \
    "$2" 2>/dev/null
}
find_python() {
  local version candidate
  for version in 3.12 3.13; do
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin/python \
      /usr/local/bin/"python$version" /opt/*/bin/"python$version" python3 python; do
      if fits "$candidate" "$version"; then command -v "$candidate"; return; fi
    done
  done
  return 1
}

java_major() {
  local java=java
  [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
  "$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | grep . || echo 0
}

if [ "$(java_major)" -lt 17 ]; then
  can_apt && { apt_install openjdk-17-jre-headless || apt_install default-jre-headless; }
  [ "$(java_major)" -ge 17 ] ||
    fail "a JDK 17 or newer is needed and $(java_major) was found (0: none). Debian or Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17. If one is there, point JAVA_HOME at it."
fi

python=$(find_python) || {
  can_apt && { apt_install python3.12 python3.12-venv || apt_install python3 python3-venv; }
  python=$(find_python) ||
    fail "Python 3.12 or 3.13 with its venv module is needed and none was found. Debian or Ubuntu: apt-get install python3 python3-venv (Debian 13, Ubuntu 24.04 or newer); pyenv: pyenv install 3.12."
}

# The stamp names all that the environment is made of, so that a changed pin or another Python rebuilds it.
want=$({ "$python" -VV; cat requirements.txt pyproject.toml; } | cksum)
[ "$(cat .venv/.lakehop-stamp 2>/dev/null)" != "$want" ] || exit 0

say "Building .venv with $("$python" -V) (about 7.5 GB; minutes on a first run, seconds from a warm cache)"
"$python" -m venv --clear .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep -o '^uv==[^ ]*' requirements.txt)"
# --no-deps: requirements.txt is the whole resolved set, with the overrides that pyproject.toml explains.
.venv/bin/uv pip install --python .venv/bin/python --no-deps --requirement requirements.txt --editable . >&2
printf '%s' "$want" > .venv/.lakehop-stamp
