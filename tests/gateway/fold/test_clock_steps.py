"""Devices whose clocks step, as a fold sees them: what rules do with their readings, and what windows hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import Input, Moment, Reload, Tick
from edge_gateway.rules.files.load import load_rules
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fold.given import HOUR, START, batch, moment, settings
from tests.proofs.ground.inside import Inside, configuration

RULES = """
version: 1
groups:
- name: g
  rules:
  - {alert: Hot, expr: t, above: 10, for: 10s, no_data: {after: 20s, state: no_data}}
  - {alert: HotNow, expr: t, above: 10}
  - {alert: Average, expr: "avg_over_time(t, 1m)", above: 10, clear: 5}
  - {alert: Silent, no_data: {after: 20s, metric: t}}
"""
MINUTE = 60_000
Told = list[tuple[str, str]]


class Site:
    """A fold, and one device of it; times in ms since its start."""

    def __init__(self, place: Path) -> None:
        file = place / "rules.yaml"
        file.write_text(RULES)
        self.pipeline: Pipeline = build_pipeline("gw", settings())
        self.pipeline.fold(Reload(moment(0), load_rules(file).to_plain()))
        self.now = 0
        self.seq: Counter[int] = Counter()
        self.effects: list[Effects] = []

    def fold(self, given: Input) -> Effects:
        self.effects.append(self.pipeline.fold(given))
        return self.effects[-1]

    def birth(self, boot: int, ts: int | None = None) -> None:
        told = control_messages.Birth(type="probe", boot=boot, ts=None if ts is None else START + ts)
        status = topics.device_topic("berlin", "d", topics.STATUS)
        assert not self.fold(batch(self.now, (status, control_messages.encode_birth(told)))).quarantined

    def send(self, boot: int, *readings: tuple[int, float]) -> Told:
        """Send readings (time, value) in one batch; (rule, cause) of the transitions."""
        topic, messages = topics.device_topic("berlin", "d", topics.TELEMETRY), []
        for at, value in readings:
            messages.append((topic, encode_telemetry(boot, self.seq[boot], START + at, {"t": value})))
            self.seq[boot] += 1
        return told(self.fold(batch(self.now, *messages)))

    def send_together(self, boot: int, *readings: tuple[int, float]) -> Effects:
        """Send readings (time, value) in one message, the oldest first."""
        first, values = readings[0][0], [{"t": value} for _, value in readings]
        further = [(at - first, sample) for (at, _), sample in zip(readings, values, strict=True)][1:]
        told = encode_telemetry(boot, self.seq[boot], START + first, values[0], s=further)
        self.seq[boot] += 1
        return self.fold(batch(self.now, (topics.device_topic("berlin", "d", topics.TELEMETRY), told)))

    def live(self, boot: int, seconds: int, value: float, *, behind: int = 0) -> Told:
        """Send a reading a second, by a clock that is behind."""
        found: Told = []
        for _ in range(seconds):
            self.now += 1000
            found += self.send(boot, (self.now - behind, value))
        return found

    def silence(self, seconds: int) -> Told:
        found: Told = []
        for _ in range(seconds):
            self.now += 1000
            found += told(self.fold(Tick(moment(self.now))))
        return found

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.pipeline.admission.describe(0)["counters"]
        return counters


def told(effects: Effects) -> Told:
    return [(alert.rule, alert.event) for alert in effects.alerts]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# --- a boot with a clock that is behind


@pytest.mark.parametrize("behind", [4 * MINUTE, HOUR])
@pytest.mark.parametrize("born", ["no birth", "birth without a time", "birth"])
def test_a_device_that_reboots_with_its_clock_behind_is_judged_within_seconds(
    site: Site, behind: int, born: str
) -> None:
    if born != "no birth":
        site.birth(1)
    site.live(1, 20, 0.0)
    if born != "no birth":
        site.birth(2, site.now - behind if born == "birth" else None)
    assert ("HotNow", "firing") in site.live(2, 3, 50.0, behind=behind)
    assert ("Hot", "firing") in site.live(2, 10, 50.0, behind=behind)
    assert site.counters()["clock_steps"] == 1
    assert ("HotNow", "resolved") in site.live(2, 1, 0.0, behind=behind)


def test_a_birth_with_an_older_time_is_believed_with_the_first_reading(site: Site) -> None:
    site.birth(1)
    site.live(1, 20, 0.0)
    site.birth(2, site.now - HOUR)
    assert ("HotNow", "firing") in site.live(2, 1, 50.0, behind=HOUR)


def test_a_device_silent_after_such_a_birth_is_found_silent(site: Site) -> None:
    site.birth(1)
    site.live(1, 20, 0.0)
    site.birth(2, site.now - HOUR)
    assert ("Silent", "firing") in site.silence(21)


def test_a_device_that_was_erased_and_says_its_older_time_is_believed_with_the_first_reading_that_counts(
    site: Site,
) -> None:
    site.birth(1)
    site.live(1, 3, 0.0)
    site.birth(1, site.now - HOUR)
    site.seq[1] = 0
    assert ("HotNow", "firing") in site.live(1, 1, 50.0, behind=HOUR)
    assert site.counters()["clock_steps"] == 1


def test_one_whose_clock_came_back_to_a_time_of_its_earlier_readings_may_repeat_them(site: Site) -> None:
    site.birth(1)
    site.live(1, 20, 0.0)
    site.birth(1, site.now - 10_000)
    site.seq[1] = 0
    assert site.live(1, 3, 50.0, behind=10_000) == [], "whether these came before is not known"
    assert ("HotNow", "firing") in site.live(1, 20, 50.0, behind=10_000)


def test_a_device_that_was_erased_and_goes_on_by_its_old_clock_makes_no_step(site: Site) -> None:
    site.birth(1)
    site.live(1, 3, 0.0)
    site.birth(1, site.now)
    site.seq[1] = 0
    assert ("HotNow", "firing") in site.live(1, 1, 50.0)
    site.live(1, 5, 50.0)
    assert site.counters()["clock_steps"] == 0


def test_the_same_boot_whose_clock_goes_back_an_hour_is_judged_within_seconds(site: Site) -> None:
    site.live(1, 20, 0.0)
    assert ("HotNow", "firing") in site.live(1, 3, 50.0, behind=HOUR)


def test_what_waits_and_what_fires_goes_on_over_a_step_with_its_durations(site: Site) -> None:
    site.live(1, 20, 0.0)
    assert ("Hot", "pending") in site.live(1, 5, 50.0)
    found = site.live(1, 5, 50.0, behind=HOUR)
    assert ("Hot", "firing") not in found
    assert ("Hot", "resolved") not in found
    assert site.live(1, 1, 50.0, behind=HOUR) == [("Hot", "firing")], "ten seconds after it began"
    firing = {alert.rule: alert.id for alert in site.pipeline.rules.firing()}
    site.live(1, 5, 50.0, behind=2 * HOUR)
    assert {alert.rule: alert.id for alert in site.pipeline.rules.firing()} == firing
    assert ("Silent", "firing") in site.silence(20)


def test_what_came_before_a_step_stays_before_every_sample_of_the_message_that_steps(site: Site) -> None:
    site.birth(1)
    site.live(1, 20, 0.0)
    assert ("HotNow", "firing") in site.live(1, 1, 50.0)
    (fired,) = [alert for alert in site.pipeline.rules.firing() if alert.rule == "HotNow"]
    site.now += 100
    now = site.now - HOUR
    site.birth(2, now)
    effects = site.send_together(2, (now - 1_400, 0.0), (now - 700, 50.0), (now, 0.0))
    told = [alert for alert in effects.alerts if alert.rule == "HotNow"]
    assert [alert.event for alert in told] == ["resolved", "firing", "resolved"]
    assert [alert.at - fired.at for alert in told] == [1, 2, 3], "later than what was told before the step"


# --- what is no step


@pytest.mark.parametrize("births", [True, False])
@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("together", [1, 100])
def test_the_buffer_of_an_earlier_boot_is_no_clock_step_and_fires_nothing(
    site: Site, births: bool, seen: bool, together: int
) -> None:
    if births:
        site.birth(1)
    site.live(1, 20, 0.0)
    offline, earlier = site.now, 1 if seen else 2
    site.now += 5 * HOUR
    if births:
        site.birth(3)
    found = site.live(3, 5, 0.0)
    buffer = [(offline + second * 300_000, 50.0) for second in range(60)]
    for first in range(0, len(buffer), together):
        site.now += 100
        found += site.send(earlier, *buffer[first : first + together])
        if not first % 20:
            found += site.live(3, 1, 0.0)
    assert found == []
    assert site.counters()["clock_steps"] == 0
    assert ("HotNow", "firing") in site.live(3, 4, 50.0), "its live readings count as before"


def test_a_buffer_that_comes_as_slowly_as_live_readings_is_no_step_where_there_are_births(site: Site) -> None:
    site.birth(1)
    site.live(1, 20, 0.0)
    site.birth(2)
    site.live(2, 20, 0.0)
    assert site.live(1, 60, 50.0, behind=HOUR) == []
    assert site.counters()["clock_steps"] == 0


def test_without_births_a_buffer_that_came_first_does_not_silence_the_boot_that_is_alive(site: Site) -> None:
    site.live(1, 20, 0.0)
    site.now += HOUR
    site.live(3, 5, 0.0)
    site.send(2, *[(30_000 + at * 1000, 50.0) for at in range(600)])
    assert ("HotNow", "firing") in site.live(3, 4, 50.0)


def test_one_reading_that_comes_late_with_a_fresh_sequence_changes_no_alert(site: Site) -> None:
    site.live(1, 20, 50.0)
    assert site.send(1, (site.now - 30_000, 0.0)) == []
    assert site.live(1, 20, 50.0) == []
    assert site.counters()["clock_steps"] == 0


def test_a_few_kept_readings_with_fresh_sequences_at_once_are_no_step(site: Site) -> None:
    site.live(1, 20, 50.0)
    assert site.send(1, *[(site.now - 30_000 + at, 0.0) for at in range(0, 100, 10)]) == []
    assert site.live(1, 20, 50.0) == []


# --- small steps


def test_readings_a_millisecond_older_than_the_last_do_not_stop_a_wait(site: Site) -> None:
    found = []
    for second in range(36):
        site.now = second * 1000
        found += site.send(1, (second * 1000 if second % 4 != 3 else (second - 1) * 1000 - 1, 50.0))
    assert ("Hot", "firing") in found
    assert not [one for one in found if one[1] in {"inactive", "resolved"}]
    assert site.counters()["small_clock_steps"] == 9


def test_silence_after_a_small_step_is_found(site: Site) -> None:
    site.live(1, 20, 0.0)
    site.send(1, (site.now - 1, 0.0))
    assert ("Silent", "firing") in site.silence(21)


def test_a_range_goes_on_over_small_steps(site: Site) -> None:
    site.live(1, 30, 50.0)
    assert [one for one in site.send(1, (site.now - 1, 0.0)) if one[0] == "Average"] == []
    assert [one for one in site.live(1, 5, 0.0) if one[0] == "Average"] == []


def test_a_value_read_a_small_step_back_counts(site: Site) -> None:
    site.live(1, 5, 0.0)
    assert ("HotNow", "firing") in site.send(1, (site.now - 3_000, 50.0))
    assert ("HotNow", "resolved") in site.live(1, 1, 0.0, behind=3_000)


def test_steps_of_four_seconds_do_not_creep(site: Site) -> None:
    site.live(1, 20, 0.0)
    assert ("HotNow", "firing") in site.send(1, (site.now - 4_000, 50.0))
    assert site.send(1, (site.now - 8_000, 0.0)) == [], "eight seconds older than the newest: late"


def test_windows_take_the_time_a_reading_has_itself(site: Site) -> None:
    site.live(1, 20, 1.0)
    site.send(1, (site.now - 4_000, 100.0))
    closed = site.pipeline.windows.drain().numbers
    (row,) = [row for one in closed for row in one.rows if one.tier == 0 and row["start"] == START + 15_000]
    assert row["max"] == 100.0


def test_a_device_without_a_clock_goes_on_when_the_clock_it_had_was_ahead(site: Site) -> None:
    site.live(1, 5, 0.0, behind=-4 * MINUTE)
    topic = topics.device_topic("berlin", "d", topics.TELEMETRY)
    site.now += 1000
    stampless = encode_telemetry(1, 5, None, {"t": 50.0})
    assert ("HotNow", "firing") in told(site.fold(batch(site.now, (topic, stampless))))


def test_readings_of_one_time_are_applied_one_after_another(site: Site) -> None:
    site.live(1, 5, 0.0)
    assert ("HotNow", "firing") in site.send(1, (site.now, 50.0))
    assert ("HotNow", "resolved") in site.send(1, (site.now, 0.0))


# --- windows of a buffer


@pytest.mark.parametrize("together", [1, 7, 1000])
@pytest.mark.parametrize("live", [1, 20])
def test_each_window_of_a_buffer_that_comes_after_live_readings_is_closed_once_and_whole(
    site: Site, together: int, live: int
) -> None:
    """Late readings could only be merged into windows the history still holds."""
    site.birth(1)
    site.live(1, 20, 0.0)
    back = 5 * HOUR
    buffer = [(at, 50.0) for at in range(25_000, 25_000 + 600_000, 2_000)]
    buffer += [(at, 50.0) for at in range(back - 60_000, back - 10_000, 2_000)]
    site.now = back
    site.birth(2)
    site.live(2, live, 0.0)
    for first in range(0, len(buffer), together):
        site.now += 20
        site.send(1, *buffer[first : first + together])
    site.now = (site.now // 1000 + 1) * 1000
    site.live(2, 20, 0.0)
    site.silence(30)
    assert all(one.late is None for one in site.effects)
    base, coarse = closed_windows(site, 0), closed_windows(site, 1)
    kept = Counter(at - at % 5_000 for at, _ in buffer)
    assert [(start, count) for start, count in base if start in kept] == sorted(kept.items())
    assert len(base) == len(dict(base)), "no window twice"
    kept = Counter(at - at % 10_000 for at in (20_000, *(at for at, _ in buffer)))
    merged: Counter[int] = Counter()
    for start, count in coarse:
        merged[start] += count if start in kept else 0
    assert +merged == kept
    within = [start for start, _ in coarse if 30_000 <= start < 620_000]
    assert len(within) == len(set(within)), "nor a coarser one, though live windows close meanwhile"


def closed_windows(site: Site, tier: int) -> list[tuple[int, int]]:
    """(start, count) of each row of the tier, in order of time."""
    parts = [closed for one in site.effects for closed in one.windows if closed.tier == tier]
    return sorted((int(row["start"]) - START, int(row["count"])) for part in parts for row in part.rows)


def test_a_history_of_an_hour_loses_nothing_of_a_buffer_of_five(tmp_path: Path) -> None:
    sections = {
        "windows": [
            {"every": "10s", "bucket": "a", "keep": "30d"},
            {"every": "1m", "bucket": "b", "keep": "30d"},
        ],
        "history": {"keep": "1h"},
    }
    gateway = Inside(tmp_path / "spool", configuration(tmp_path / "spool", **sections), START)
    topic, now = topics.device_topic("berlin", "d", topics.TELEMETRY), START
    seq: Counter[int] = Counter()

    def send(boot: int, at: int) -> None:
        seq[boot] += 1
        told = (topic, encode_telemetry(boot, seq[boot], at, {"t": 1.0}))
        gateway.deliver(Moment(now, now - START), [told])

    for _ in range(30):
        now += 1_000
        send(1, now)
    offline = gateway.settle(Moment(now, now - START)).wall
    now = START + 5 * HOUR
    gateway.trim(Moment(now, now - START))
    buffer = range(offline // MINUTE * MINUTE + MINUTE, now - MINUTE, 5_000)
    for number, at in enumerate(buffer):
        if not number % 10:
            now += 1_000
            send(2, now)
            gateway.trim(Moment(now, now - START))
            gateway.late()
        send(1, at)
    gateway.settle(Moment(now, now - START))
    counters = gateway.store.facts().counters
    gateway.close()
    assert gateway.pipeline.admission.accounting.totals()["too_late"] == 0
    assert {name: counters.get(name, 0) for name in ("late_too_late", "windows_refused")} == {
        "late_too_late": 0,
        "windows_refused": 0,
    }
