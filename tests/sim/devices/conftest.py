import pytest

from tests.wire.scripted_broker import Recorder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
