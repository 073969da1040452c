"""Entries of the catalogue of problems that are alike."""

from __future__ import annotations

from edge_gateway.status.problem import Clears, Entry, Gravity, Lasts, Latches


def failure(text: str, raised: str, over: Clears | Latches, action: str) -> Entry:
    return Entry((Gravity.FAILURE,), text, raised, over, action)


def warning(text: str, raised: str, over: Clears | Latches | Lasts, action: str) -> Entry:
    return Entry((Gravity.WARNING,), text, raised, over, action)


def bound(limit: str, action: str, *, lost: str = "") -> Entry:
    """A limit: a warning from four fifths on; a failure once it is full, if something is `lost` then."""
    raised = f"four fifths of {limit} are used" + (
        f" (a warning), or all of it (a failure: {lost})" if lost else ""
    )
    gravities = (Gravity.WARNING, Gravity.FAILURE) if lost else (Gravity.WARNING,)
    return Entry(gravities, "{}", raised, Clears("less than four fifths of it are used"), action)


def device(raised: str, over: str, action: str) -> Entry:
    """Something wrong with devices: the text names five of them."""
    return warning("{}", raised, Clears(over), action)


def refused(kind: str, entry: Gravity, action: str) -> Entry:
    """The broker answers with a refusal to one kind of message."""
    over = Clears(f"the broker accepts {kind} on those topics, or has accepted others for a minute")
    return Entry((entry,), f"the broker refuses {kind}: {{}}", f"the broker refuses {kind}", over, action)


def maintenance(what: str) -> Entry:
    """A periodic job of the gateway that the disk or the store refused."""
    over = Clears("the next try succeeds", of_process=True)
    return failure("{}; it is tried again", f"{what} failed", over, "see the text; the gateway keeps trying")


def part(what: str) -> Entry:
    """A part of the gateway that failed and was started again."""
    over = Clears("it has worked for 30 s", of_process=True)
    action = "fix what the text names (a certificate, a secret, open files), or report a defect"
    return failure("{}; it was restarted", f"{what} failed and was restarted", over, action)
