# Functions shared by ./test, ./bench, ./demo, ./prove, ./mutate, ./package and the scripts in setup/. Sourced by POSIX
# sh, never run; the script that sources it sets $here to the checkout.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/edge-fleet

say() { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 3; }
refuse() { say "$(basename "$0"): $*; see $0 --help"; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }

# one_of WORD WORD…: whether the first word is among the others.
one_of() {
    wanted=$1
    shift
    for word in "$@"; do
        [ "$word" = "$wanted" ] && return
    done
    return 1
}

# in_usage OPTION [value]: whether the script's usage names the option; with a second word, whether it shows a value.
in_usage() {
    usage | tr '[]' '  ' | awk -v option="$1" -v valued="${2:-}" '
        { for (at = 1; at <= NF; at++) if ($at == option && (valued == "" || $(at + 1) ~ /^[A-Z0-9]/)) found = 1 }
        END { exit !found }'
}

# check_arguments NAMES ARGUMENT…: before anything is set up, exits with 2 at an argument that is neither one of the
# names nor an option that the script's usage names; prints the usage for --help.
check_arguments() {
    names=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) usage; exit 0 ;;
            -*)
                option=${1%%=*}
                in_usage "$option" || refuse "no option $option"
                if [ "$option" = "$1" ] && in_usage "$option" value; then
                    [ $# -gt 1 ] || refuse "$option needs a value"
                    shift
                fi
                ;;
            *)
                # shellcheck disable=SC2086 # the names are words
                one_of "$1" $names || refuse "no '$1'${names:+; known: $names}"
                ;;
        esac
        shift
    done
}

# Asks on the terminal before packages are installed; not as root or in CI.
agreed() {
    [ "$(id -u)" -eq 0 ] || [ -n "${CI:-}" ] && return 0
    [ -t 0 ] || return 1
    printf '%s? [y/N] ' "$*" >&2
    read -r answer
    case $answer in [yY]*) ;; *) return 1 ;; esac
}

# install_packages NAME…: installs with the system's package manager, by Debian's names; false if that fails.
install_packages() {
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    if have apt-get; then
        installer="$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
        renewer="$sudo apt-get update -q"
    elif have dnf; then
        installer="$sudo dnf install -y -q" renewer=true
    elif have brew; then
        installer="brew install" renewer=true
    else
        return 1
    fi
    agreed "$installer $*" || return 1
    say "installing $*"
    log=$(mktemp)
    # Try with the package lists as they are; if that fails, update them and try again.
    # shellcheck disable=SC2086 # the commands are words
    if $installer "$@" >"$log" 2>&1 || { $renewer >"$log" 2>&1 && $installer "$@" >>"$log" 2>&1; }; then
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

find_uv() {
    command -v uv || { [ -x "$here/.venv/bin/uv" ] && echo "$here/.venv/bin/uv"; }
}

# writable DIRECTORY: whether this user may write there, or make it where it is missing.
writable() { [ -w "$1" ] || { [ ! -e "$1" ] && [ -w "$(dirname "$1")" ]; }; }

# environment LOCK: installs the lock's packages into $here/.venv, hashes checked; sets $python to its Python.
environment() {
    python=$here/.venv/bin/python
    stamp=$here/.venv/$1.installed
    [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(cksum <"$here/$1")" ] && return
    say "environment: .venv from $1"
    uv=$(find_uv) || uv=
    writable "$here/.venv" || fail "$here/.venv cannot be written by $(id -un): run this as the owner of $here, or copy $here to a directory of your own"
    if [ ! -x "$python" ]; then
        system_python=$(find_python) ||
            fail "needs Python 3.11 or newer, and found none (python3, python3.11 … python3.14); set PYTHON to its path"
        if [ -n "$uv" ]; then
            "$uv" venv --quiet --clear --python "$system_python" "$here/.venv" ||
                fail "$uv cannot make a virtual environment with $system_python"
        else
            "$system_python" -m venv --clear "$here/.venv" >/dev/null ||
                { install_packages python3-venv && "$system_python" -m venv --clear "$here/.venv"; } ||
                fail "$system_python cannot make a virtual environment: apt install python3-venv, or install uv"
        fi
    fi
    if [ -n "$uv" ]; then
        "$uv" pip install --quiet --python "$python" --require-hashes -r "$here/$1"
    else
        "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$here/$1"
    fi || fail "the packages of $1 could not be installed"
    commands
    cksum <"$here/$1" >"$stamp"
}

# Puts the checkout on the environment's path, and its commands into the environment's bin.
commands() {
    "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | while read -r site; do
        printf '%s\n' "$here" >"$site/edge-fleet.pth"
    done
    for command in edge-gateway:edge_gateway.cli fleet-sim:fleet_sim.cli fleet_sim:fleet_sim.cli; do
        script=$here/.venv/bin/${command%%:*}
        printf '#!%s\nfrom %s import main\n\nmain()\n' "$python" "${command#*:}" >"$script"
        chmod +x "$script"
    done
}

# Puts mosquitto on the PATH, installing it or using Docker if needed; false if there is none.
mosquitto_ready() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin
    export PATH
    have mosquitto || install_packages mosquitto && have mosquitto && return
    docker_answers && PATH=$PATH:$here/setup/docker
}

docker_answers() { have docker && docker info >/dev/null 2>&1; }

# go_at_least VERSION: whether the installed Go is at least that new.
go_at_least() {
    have go && [ "$(printf '%s\n' "go$1" "$(go env GOVERSION)" | sort -V | head -n 1)" = "go$1" ]
}

# Finds an InfluxDB 2 for the tests: given, installed, in Docker, or built now; false if there is none.
influxdb_ready() {
    [ -n "${INFLUX_URL:-}" ] && return
    have influxd && influxd version 2>/dev/null | grep -q 'InfluxDB v2' && return
    docker_answers && return
    "$here/setup/influxd/build" >/dev/null
}
