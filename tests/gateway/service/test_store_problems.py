"""Every event of the store thread has a problem."""

import inspect
import re

from edge_gateway.service.store_problems import STORE_PROBLEMS
from edge_gateway.store import store_thread


def test_every_event_but_the_end_of_a_stall_has_a_problem() -> None:
    told = set(re.findall(r'self\._on_event, "(\w+)"', inspect.getsource(store_thread)))
    assert told == {*STORE_PROBLEMS, "store_resumed"}
