"""Golden cases: `tests/cases/fold/<name>/` holds a configuration, an input and the output that is due, all of it data.

    gateway.yaml    what differs from `BASE`; may be missing
    rules.yaml      may be missing
    input.yaml      steps of `at` (ms after `START`) and `messages`, or a `silence` of some `match` that `lasts` so
                    many ms; a step with neither is a tick
    expected.yaml   `lines` for InfluxDB, messages `sent`, and what went into `quarantine`

A message has a `topic`, and a `msgpack` content or the `hex` of its bytes; `START` is added to a `ts` of its content.
`python -m tests.golden NAME` prints what a case leads to.
"""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgpack
import msgspec
import yaml

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import AddSilence, Batch, Input, Moment, Reload, Tick
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.startup import store_settings
from edge_gateway.rules.files.load import load_rules
from edge_gateway.store.database import Store

CASES: Final = Path(__file__).with_name("cases") / "fold"
START: Final = 1_760_000_000_000
BASE: Final = {
    "mqtt": {"url": "mqtt://localhost"},
    "influx": {"url": "http://localhost:8086", "org": "o", "token": "env:EDGE_FLEET_NO_TOKEN"},
    "windows": [
        {"every": "10s", "bucket": "fine", "keep": "30d"},
        {"every": "1m", "bucket": "coarse", "keep": "60d"},
    ],
    "time": {"allowed_lateness": "1s", "idle_close": "3s"},
}


@dataclass(slots=True)
class Outcome:
    """What a case led to, in the form of its `expected.yaml`."""

    lines: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    quarantine: list[dict[str, str]] = field(default_factory=list)


def names() -> list[str]:
    return sorted(path.name for path in CASES.iterdir() if path.is_dir())


def expected(case: Path) -> Outcome:
    return Outcome(**_read(case / "expected.yaml", {}))


def played(case: Path, work: Path) -> Outcome:
    """Fold a case's input into a store in `work`, and collect what comes out."""
    config = GatewayConfig.model_validate_json(msgspec.json.encode(BASE | _read(case / "gateway.yaml", {})))
    pipeline = build_pipeline("gw", fold_settings(config))
    series_names = SeriesNames(pipeline.registry)
    store = Store.open(work / "store.sqlite", store_settings(config), floor=0, at=START)
    outcome = Outcome()
    try:
        for number, given in enumerate(_inputs(case)):
            effects = pipeline.fold(given, number=number)
            outcome.sent += _sent(effects)
            outcome.quarantine += [{"topic": one.topic, "reason": one.reason} for one in effects.quarantined]
            store.apply([(number, [effects.for_store(series_names)])])
        while store.run_late():
            pass
        outcome.lines = _lines(store)
    finally:
        store.close()
    return outcome


def _inputs(case: Path) -> list[Input]:
    inputs: list[Input] = []
    if (case / "rules.yaml").exists():
        inputs.append(Reload(_moment(0), load_rules(case / "rules.yaml").to_plain()))
    for step in _read(case / "input.yaml", []):
        messages = step.get("messages", [])
        moment = _moment(step["at"])
        batch = Batch(moment, [one["topic"] for one in messages], [_payload(one) for one in messages])
        if "silence" in step:
            inputs.append(_silence(moment, **step["silence"]))
        else:
            inputs.append(batch if messages else Tick(moment))
    return inputs


def _silence(
    moment: Moment, match: dict[str, list[str]], lasts: int, *, commands: bool = False
) -> AddSilence:
    until = moment.wall + lasts
    return AddSilence(moment, match, until, lasts, f"{lasts}ms", commands, "operator", "reason")


def _moment(ms: int) -> Moment:
    return Moment(START + ms, ms, monotonic=ms)


def _payload(message: dict[str, Any]) -> bytes:
    if "hex" in message:
        return bytes.fromhex(message["hex"])
    content = message["msgpack"]
    if isinstance(content, dict) and isinstance(content.get("ts"), int):
        content = content | {"ts": START + content["ts"]}
    return bytes(msgpack.packb(content))


def _sent(effects: Effects) -> list[dict[str, Any]]:
    """Messages as they leave; an empty payload, which clears a retained one, is null."""
    return [
        {
            "topic": one.topic,
            "retain": one.retain,
            "content": msgpack.unpackb(one.payload) if one.payload else None,
        }
        for one in effects.outgoing
    ]


def _lines(store: Store) -> list[str]:
    """Every line in the outbox, in the order of sending, with its bucket in front."""
    lines: list[str] = []
    while (parcel := store.take("influx")) is not None:
        lines += [f"{parcel.bucket}: {line}" for line in parcel.body.decode().splitlines()]
        store.done(parcel)
    return lines


def _read(file: Path, otherwise: Any) -> Any:
    return yaml.safe_load(file.read_text()) if file.exists() else otherwise


def main() -> None:
    """Print what the named cases, or all, lead to: read it, and if it is right keep it as their `expected.yaml`."""
    for name in sys.argv[1:] or names():
        with TemporaryDirectory() as work:
            print(f"# {name}\n{written(played(CASES / name, Path(work)))}")


def written(outcome: Outcome) -> str:
    filled = {name: rows for name, rows in asdict(outcome).items() if rows}
    return yaml.safe_dump(filled, sort_keys=False, width=200)


if __name__ == "__main__":
    main()
