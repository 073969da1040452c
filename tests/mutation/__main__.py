"""`./mutate`: draw mutants in rooms, run the rooms' tests against them, print what survived."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final, NoReturn

from tests.mutation.room import ROOMS, RoomFailed, Verdict, try_room

LEAST_KILLED: Final = 0.95
TOO_FEW, USAGE, NOT_RUN = 1, 2, 3


def main() -> int:
    """Exit status: 0 enough was killed, 1 too little, 2 usage, 3 a room could not be run."""
    parser = argparse.ArgumentParser(prog="./mutate", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"{', '.join(ROOMS)}; without a name, all")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.rooms) - ROOMS.keys():
        parser.error(f"no room {', '.join(sorted(unknown))}: there are {', '.join(ROOMS)}")
    signal.signal(signal.SIGTERM, _terminated)
    print(f"seed {options.seed}", flush=True)
    statuses = [run(room, options.count, options.seed, keep=options.keep) for room in options.rooms or ROOMS]
    return max(statuses)


def run(room: str, count: int, seed: int, *, keep: bool) -> int:
    """Try one room and print what came of it; its exit status."""
    work = Path(tempfile.mkdtemp(prefix=f"mutate-{room}-"))
    try:
        verdict = try_room(room, count, seed, work)
    except RoomFailed as error:
        print(f"{room}: {error}", flush=True)
        return NOT_RUN
    finally:
        if keep:
            print(f"{room}: {work}")
        else:
            shutil.rmtree(work)
    print(in_words(room, verdict), flush=True)
    return 0 if verdict.share_killed >= LEAST_KILLED else TOO_FEW


def _terminated(number: int, _: object) -> NoReturn:
    """End like an interrupt, so that the copies go and mutmut with them."""
    sys.exit(128 + number)


def in_words(room: str, verdict: Verdict) -> str:
    killed = verdict.sampled - len(verdict.survivors)
    head = f"{room}: {killed} of {verdict.sampled} killed ({verdict.share_killed:.0%}), of {verdict.mutants} mutants"
    lines = [
        line for one in verdict.survivors for line in (f"  {one.place}", *(f"    {x}" for x in one.change))
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    sys.exit(main())
