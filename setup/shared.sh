# What ./test, ./bench, ./demo, ./prove and the builds under setup/ have in common. Sourced, never run.
# POSIX sh; $here is the checkout, set by who sources this.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/edge-fleet

say() { printf '%s\n' "$*" >&2; }
fail() { say "$0: $*"; exit 3; }
have() { command -v "$1" >/dev/null 2>&1; }

# As root or in CI packages are installed at once, else only after a yes on the terminal.
install_packages() {
    have apt-get || return 1
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || return 1
        sudo=sudo
        if [ -z "${CI:-}" ]; then
            [ -t 0 ] || return 1
            printf 'Install %s with sudo apt-get? [y/N] ' "$*" >&2
            read -r answer
            case $answer in [yY]*) ;; *) return 1 ;; esac
        fi
    fi
    say "installing $*"
    for attempt in 1 2; do
        # The first try uses the package lists as they are; old or missing lists are renewed for the second.
        if DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "$@" >"${TMPDIR:-/tmp}/edge-fleet-apt.log" 2>&1; then
            return 0
        fi
        [ "$attempt" -eq 1 ] && $sudo apt-get update -q >/dev/null 2>&1
    done
    tail -n 5 "${TMPDIR:-/tmp}/edge-fleet-apt.log" >&2
    return 1
}
