"""A seeded, endless source of messages no device should send.

topic ─┬─ of a hostile device ─┬─ telemetry: odd values, odd envelopes, far apart samples, repeats, noise
       │                       ├─ status:    births with odd tags, wills, noise
       │                       └─ ack:       of commands nobody sent, noise
       └─ of no device: other versions, other sites, unicode, wildcards, `$`, too long
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from tests.proofs.hostile import fuzz_bytes as raw
from tests.proofs.hostile.fuzz_bytes import Pair, real, row, table, text, whole

METRICS = ("heat", "level", "door", "p", "q_", "m" * 64)
BAD_NAMES = ("", "Heat", "9heat", "heat ", "hé", "m" * 65, "heat\n", "a.b", "_a", "__proto__", "*")
COUNTERS = (0, 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 2, 2**63 - 1)
BAD_COUNTERS = (whole(-1), whole(2**63), whole(2**64 - 1), real(1.0), b"\xc0", text("1"), b"\xc3")
TIMES = (0, 1, -1, 2**31, 4_102_444_800_000, 1_577_836_799_999, 1_577_836_800_000, -(2**63), -(2**63) + 1)
BAD_TIMES = (whole(4_102_444_800_001), whole(2**63 - 1), whole(2**64 - 1), real(1e18), raw.NAN, text("now"))
KINDS = ("telemetry",) * 8 + ("status", "ack")
VERSIONS = (whole(0), whole(2), whole(255), text("1"), real(1.0), b"\xc0", b"\xc3", whole(-1))
FAR = 2**40
_is_status_or_ack = re.compile(r"fleet/v1/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,64}/(?:status|ack)").fullmatch


class Hostile(NamedTuple):
    """A delivery; `kind` names what is wrong with it."""

    topic: str
    payload: bytes
    kind: str
    qos: int = 1


def counts_as_telemetry(topic: str) -> bool:
    """Whether the message counters count a delivery: all do, except births, wills and acks."""
    return _is_status_or_ack(topic) is None


class Fuzz:
    """A source of hostile messages from some hundred devices of one site; `now` is the wall clock, ms."""

    def __init__(self, chance: random.Random, site: str, devices: int = 200) -> None:
        self._chance = chance
        self._site = site
        self._names = [f"evil-{number:03d}" for number in range(devices)]
        self._boot = dict.fromkeys(self._names, 1)
        self._seq = dict.fromkeys(self._names, 0)
        self._sent: list[tuple[str, bytes]] = [(self._topic("evil-000", "telemetry"), b"\x80")]
        self._now = 0
        kinds: dict[str, tuple[float, Callable[[], Hostile]]] = {
            "odd values": (24, self._odd_values),
            "odd envelope": (14, self._odd_envelope),
            "mutated": (22, self._mutated),
            "nonsense": (8, self._nonsense),
            "noise": (8, self._noise),
            "repeat": (8, self._repeat),
            "clock": (4, self._clock),
            "samples": (3, self._samples),
            "birth": (1.5, self._birth),
            "other status": (0.7, self._other_status),
            "ack": (1, self._ack),
            "topic": (6, self._odd_topic),
            "new device": (3, self._new_device),
        }
        rare: dict[str, tuple[float, Callable[[], Hostile]]] = {
            "spread samples": (0.1, self._spread_samples),
            "huge": (0.05, self._huge),
            "deep": (0.3, self._deep),
        }
        self._makers = [maker for _, maker in (*kinds.values(), *rare.values())]
        self._weights = list(accumulate(weight for weight, _ in (*kinds.values(), *rare.values())))

    def message(self, now: int) -> Hostile:
        """Return the next message at time `now`."""
        self._now = now
        (maker,) = self._chance.choices(self._makers, cum_weights=self._weights)
        made = maker()
        if len(self._sent) < 500:
            self._sent.append(made[:2])
        elif self._chance.random() < 0.2:
            self._sent[self._chance.randrange(500)] = made[:2]
        return made

    # --- readings

    def _topic(self, device: str, kind: str) -> str:
        return f"fleet/v1/{self._site}/{device}/{kind}"

    def _envelope(self, device: str) -> dict[str, bytes]:
        """Return the keys of a good message, the next one of its device."""
        seq = self._seq[device]
        self._seq[device] = seq + (1 if self._chance.random() < 0.9 else self._chance.randrange(2, 9))
        late = 0 if self._chance.random() < 0.9 else self._chance.randrange(100_000)
        return {
            "v": whole(1),
            "boot": whole(self._boot[device]),
            "seq": whole(seq),
            "ts": whole(self._now - late),
            "m": table([(text("heat"), real(self._chance.uniform(-10, 10)))]),
        }

    def _of(self, device: str, keys: dict[str, bytes], kind: str) -> Hostile:
        payload = table([(text(key), value) for key, value in keys.items()])
        return Hostile(self._topic(device, "telemetry"), payload, kind, int(self._chance.random() < 0.95))

    def _device(self) -> str:
        return self._chance.choice(self._names)

    def _values(self, most: int = 5) -> bytes:
        """Return metrics with good and bad names, some twice, with values of any type."""
        pairs: list[Pair] = []
        for _ in range(self._chance.randrange(1, most)):
            name = self._chance.choice(METRICS if self._chance.random() < 0.9 else BAD_NAMES)
            pairs.append((text(name), self._value()))
        return table(pairs)

    def _value(self) -> bytes:
        match self._chance.randrange(8):
            case 0 | 1:
                return self._chance.choice(raw.ODD_NUMBERS)
            case 2:
                return text(self._chance.choice(raw.ODD_TEXTS))
            case 3:
                return text(f"state-{self._chance.randrange(5_000)}")
            case 4:
                return self._chance.choice((b"\xc0", b"\xc2", b"\xc3"))
            case 5:
                return raw.anything(self._chance, 2)
            case _:
                return real(self._chance.gauss(0, 1e3))

    def _odd_values(self) -> Hostile:
        device = self._device()
        keys = self._envelope(device)
        keys["m"] = self._values()
        if self._chance.random() < 0.3:
            said = [(text(name), self._chance.choice((real(0.9), *raw.ODD_NUMBERS))) for name in METRICS[:2]]
            keys["q"] = table(said)
        return self._of(device, keys, "odd values")

    def _odd_envelope(self) -> Hostile:
        device = self._device()
        keys = self._envelope(device)
        name = self._chance.choice(("v", "boot", "seq", "ts", "floor", "m", "q", "s", "x", ""))
        odd: dict[str, Callable[[], bytes]] = {
            "v": lambda: self._chance.choice(VERSIONS),
            "boot": self._counter,
            "seq": self._counter,
            "floor": self._counter,
            "ts": lambda: self._chance.choice((*map(whole, TIMES), *BAD_TIMES)),
        }
        keys[name] = odd.get(name, lambda: raw.anything(self._chance))()
        if self._chance.random() < 0.2:
            del keys[self._chance.choice(list(keys))]
        if self._chance.random() < 0.1:
            pairs = [(text(key), value) for key, value in keys.items()]
            payload = table([*pairs, (text("seq"), whole(self._seq[device]))])
            return Hostile(self._topic(device, "telemetry"), payload, "odd envelope")
        return self._of(device, keys, "odd envelope")

    def _counter(self) -> bytes:
        if self._chance.random() < 0.4:
            return self._chance.choice(BAD_COUNTERS)
        return whole(
            self._chance.choice((*COUNTERS, self._chance.getrandbits(63), self._chance.randrange(200)))
        )

    def _clock(self) -> Hostile:
        """Make a message whose clock stepped, is absent or far off, or one of a new boot."""
        device = self._device()
        if self._chance.random() < 0.2:
            self._boot[device], self._seq[device] = self._chance.getrandbits(63), 0
        keys = self._envelope(device)
        step = self._chance.choice((-(10**10), -(10**7), -60_000, 60_000, 299_000, 301_000, 10**9))
        keys["ts"] = whole(max(0, self._now + step))
        if self._chance.random() < 0.2:
            del keys["ts"]
        return self._of(device, keys, "clock")

    def _samples(self) -> Hostile:
        device = self._device()
        keys = self._envelope(device)
        steps = [
            whole(self._chance.choice((0, 0, 1, 10, 999, 60_000, FAR, FAR + 1, 2**63))) if self._chance.random() < 0.3
            else whole(at) for at in range(self._chance.randrange(8))
        ]  # fmt: skip
        found = [row([step, self._values()]) for step in steps]
        if self._chance.random() < 0.2:
            found.append(raw.anything(self._chance))
        keys["s"] = row(found)
        return self._of(device, keys, "samples")

    def _spread_samples(self) -> Hostile:
        """Make a message of a thousand samples spread over years, which opens as many windows."""
        device = self._device()
        keys = self._envelope(device)
        first = self._now - FAR // 4
        keys["ts"] = whole(first)
        steps = sorted(self._chance.randrange(FAR // 4) for _ in range(1_000))
        one = table([(text("heat"), real(1.0))])
        keys["s"] = row([row([whole(step), one]) for step in steps])
        return self._of(device, keys, "spread samples")

    # --- no readings at all

    def _mutated(self) -> Hostile:
        topic, good = self._chance.choice(self._sent)
        if self._chance.random() < 0.5:
            topic, good = self._odd_values()[:2]
        other = self._chance.choice(self._sent)[1] or b"\x00"
        return Hostile(topic, raw.mutated(self._chance, good or b"\x80", other), "mutated")

    def _nonsense(self) -> Hostile:
        topic = self._topic(self._device(), self._chance.choice(KINDS))
        return Hostile(topic, raw.anything(self._chance, 4), "nonsense")

    def _noise(self) -> Hostile:
        topic = self._topic(self._device(), self._chance.choice(KINDS))
        return Hostile(topic, self._chance.randbytes(self._chance.randrange(80)), "noise")

    def _repeat(self) -> Hostile:
        return Hostile(*self._chance.choice(self._sent), "repeat")

    def _huge(self) -> Hostile:
        """Make a message near the largest payload or beyond it, or with more of something than is allowed."""
        device = self._device()
        keys = self._envelope(device)
        match self._chance.randrange(5):
            case 0:
                keys["m"] = table(
                    [
                        (text(f"m{number}"), whole(number % 100))
                        for number in range(self._chance.choice((256, 257, 5_000)))
                    ]
                )
            case 1:
                keys["s"] = row([row([whole(0), table([])])] * self._chance.choice((1_000, 1_001)))
            case 2:
                keys["x"] = raw.blob(bytes(self._chance.choice((65_000, 65_400, 65_535))))
            case 3:
                keys["m"] = table([(text("door"), b"\xda\xff\x00" + b"x" * 0xFF00)])
            case _:
                wide = table([(text(f"w{number}"), whole(1)) for number in range(60)])
                keys["s"] = row([row([whole(at), wide]) for at in range(160)])
        return self._of(device, keys, "huge")

    def _deep(self) -> Hostile:
        device = self._device()
        keys = self._envelope(device)
        nested = raw.deep(self._chance)
        if self._chance.random() < 0.3:
            kind = self._chance.choice(("telemetry", "status", "ack"))
            return Hostile(self._topic(device, kind), nested, "deep")
        if self._chance.random() < 0.5:
            keys["m"] = table([(text("heat"), nested)])
        else:
            keys["x"] = nested
        return self._of(device, keys, "deep")

    # --- statuses and acks

    def _birth(self) -> Hostile:
        names = (*METRICS[:3], "region", "zone", *BAD_NAMES[:4], "m" * 64)
        texts = self._chance.choices(raw.ODD_TEXTS, k=3)
        tags = [(text(self._chance.choice(names)), text(value)) for value in texts]
        device = self._device()
        keys = {
            "state": text("online"),
            "type": text(self._chance.choice((*raw.ODD_TEXTS, "probe", "probe"))),
            "tags": table(tags if self._chance.random() < 0.8 else []),
            "boot": whole(self._boot[device]),
            "next": whole(self._seq[device]),
            "floor": whole(self._chance.choice((0, self._seq[device], *COUNTERS))),
            "ts": whole(self._now + self._chance.choice((0, 0, -(10**9), 10**9))),
        }
        if self._chance.random() < 0.3:
            keys[self._chance.choice(list(keys))] = raw.anything(self._chance)
        payload = table([(text(key), value) for key, value in keys.items()])
        return Hostile(self._topic(device, "status"), payload, "birth")

    def _other_status(self) -> Hostile:
        payload = self._chance.choice(
            (b"", table([(text("state"), text("offline"))]), table([(text("state"), b"\xc0")]))
        )
        return Hostile(self._topic(self._device(), "status"), payload, "other status")

    def _ack(self) -> Hostile:
        pairs = [
            (text("id"), text(self._chance.choice(("0123456789abcdef", "", "x" * 129, "\x00")))),
            (text("outcome"), text(self._chance.choice(("done", "failed", "rejected", "maybe", "")))),
            (text("detail"), text(self._chance.choice(raw.ODD_TEXTS))),
            (text("ts"), self._chance.choice((whole(self._now), *BAD_TIMES))),
        ]
        return Hostile(self._topic(self._device(), "ack"), table(pairs[: self._chance.randrange(5)]), "ack")

    # --- topics

    def _odd_topic(self) -> Hostile:
        device = self._device()
        good = table([(text(key), value) for key, value in self._envelope(device).items()])
        odd = self._chance.choice(raw.ODD_TEXTS)
        place = self._chance.choice(
            (
                *(f"fleet/v2/{self._site}/{device}/telemetry", f"fleet/v1/{self._site}/{device}/telemetry/"),
                *(
                    f"fleet/v1/{self._site}/{odd}/telemetry",
                    f"fleet/v1/{odd}/{device}/telemetry",
                    f"{odd}telemetry",
                ),
                *(
                    f"fleet/v1/elsewhere/{device}/telemetry",
                    f"fleet/v1/elsewhere/{device}/status",
                    f"{odd}/status",
                ),
                *(
                    f"$SYS/{odd}",
                    f"$share/g/fleet/v1/{self._site}/{device}/telemetry",
                    f"fleet/v1/+/{device}/telemetry",
                ),
                *(
                    f"fleet/v1/{self._site}/#",
                    f"fleet/v1/{self._site}/{device}/command",
                    f"edge/v1/{odd}/status",
                ),
                *(
                    f"fleet/v1/{self._site}/{'x' * 65}/telemetry",
                    f"fleet/v1/{self._site}//telemetry",
                    "/" * 50,
                    odd,
                ),
                *("x" * 65_000, f"fleet/v1/{self._site}/{odd}/ack", f"fleet/v1/{self._site}/{odd}/status"),
            )
        )
        return Hostile(place, good, "topic")

    def _new_device(self) -> Hostile:
        """Make a message of a new device, until the limit of devices is reached."""
        name = f"many-{self._chance.randrange(100_000)}"
        keys = {"boot": whole(1), "seq": whole(0), "ts": whole(self._now), "m": self._values()}
        return self._of(name, keys, "new device")


def count_kinds(messages: list[Hostile]) -> Counter[str]:
    """Count messages by kind."""
    return Counter(message.kind for message in messages)
