from edge_gateway.service.cadence import Cadence


def test_it_is_due_once_an_interval_and_later_after_a_pause() -> None:
    every = Cadence(1_000)
    times = [0, 999, 1_000, 1_500, 2_400, 3_300, 3_400]
    assert [at for at in times if every.is_due(at)] == [1_000, 2_400, 3_400]
