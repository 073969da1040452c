"""A machine that nobody has used yet, inside namespaces: its first process, which runs one command after another.

    unshare --mount --net --pid --uts --fork --mount-proc python machine.py CHECKOUT PYTHON SITE_PACKAGES SHIMS

Changes stay in memory: /etc, /opt, /var, /root, /home and the like are overlays, or empty. The network is its own, so
that ports are those of the page. Programs are the machine's, but for those in SHIMS. Each line on standard input is a
request, {user, text, input}; the answer is {status, out, err}.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

HOST = "pi"
ACCOUNT = "pi"
OVERLAYS = ("/etc", "/var", "/usr/local", "/root")
EMPTY = ("/mnt", "/run", "/home", "/opt", "/tmp")
PATIENCE = 150
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def put(sources: dict[str, str]) -> None:
    """Make directories of the real machine visible under /mnt, whatever hides them later."""
    mount("-t", "tmpfs", "-o", "mode=755", "none", "/mnt")
    for name, source in sources.items():
        place = Path("/mnt", name)
        place.mkdir()
        mount("--bind", source, str(place))


def clean() -> None:
    """Hide what this machine has been used for."""
    layers = Path("/mnt/layers")
    layers.mkdir(mode=0o700)
    for place in OVERLAYS:
        upper, work = layers / place.replace("/", "-"), layers / f"work{place.replace('/', '-')}"
        upper.mkdir(mode=Path(place).stat().st_mode & 0o7777)
        work.mkdir()
        options = f"lowerdir={place},upperdir={upper},workdir={work}"
        mount("-t", "overlay", "-o", options, "overlay", place)
    for place in EMPTY[1:]:
        mount("-t", "tmpfs", "-o", "mode=1777" if place == "/tmp" else "mode=755", "none", place)
    used = ["/etc/edge-gateway", "/var/lib/edge-gateway", "/var/lib/mosquitto", "/etc/mosquitto/passwords"]
    used += [f"/usr/local/bin/{name}" for name in ("edge-gateway", "fleet-sim")]
    subprocess.run(["rm", "-rf", *used], check=True)
    for user in ("edge-gateway", ACCOUNT):
        subprocess.run(["userdel", user], check=False, capture_output=True)
    subprocess.run(["install", "-d", "-o", "mosquitto", "/var/lib/mosquitto"], check=True)
    subprocess.run(["useradd", "--create-home", ACCOUNT], check=True)


def reachable(python: Path) -> None:
    """Python where it was built for, too, and for every user: it may be in somebody's home."""
    changed = [Path(place) for place in (*OVERLAYS, *EMPTY)]
    if not any(python.is_relative_to(place) for place in changed):
        return
    python.mkdir(parents=True, exist_ok=True)
    mount("--bind", "/mnt/python", str(python))
    for parent in python.parents:
        if any(parent.is_relative_to(place) for place in changed):
            parent.chmod(parent.stat().st_mode | 0o111)


def name_it() -> None:
    socket.sethostname(HOST)
    Path("/etc/hosts").write_text(f"127.0.0.1 localhost {HOST} {HOST}.local\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def run(request: dict[str, str]) -> dict[str, object]:
    """What a shell of this user makes of the text, with umask and environment of a login."""
    user = request["user"]
    home = {"root": "/root", ACCOUNT: f"/home/{ACCOUNT}"}.get(user, "/")
    done = subprocess.run(
        ["runuser", "-u", user, "--", "bash", "-euo", "pipefail", "-c", request["text"]],
        cwd="/mnt/checkout" if user == "root" else home,
        env={"PATH": f"/mnt/shims:{PATH}", "HOME": home, "LANG": "C.UTF-8", "COLUMNS": "160"},
        input=request["input"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        umask=0o022,
        check=False,
    )
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}


def main() -> None:
    checkout, python, packages, shims = sys.argv[1:]
    put({"checkout": checkout, "python": python, "packages": packages, "shims": shims})
    os.chdir("/mnt/checkout")
    clean()
    reachable(Path(python))
    name_it()
    subprocess.run(["/mnt/shims/systemctl", "daemon-reload"], check=True)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
