"""Of each failure a command makes one text and an exit status; a traceback only where it is asked for."""

from collections.abc import Callable

import pytest

from fleet_console.command_line import Explained, carry_out, make_app

Run = Callable[..., tuple[int, str, str]]


def explain(error: Exception) -> Explained | None:
    return Explained(["known: " + str(error), "do this"], 3) if isinstance(error, LookupError) else None


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    app = make_app("tool", "What it is for.")

    @app.command()
    def act(what: str) -> None:
        raise {"known": LookupError("x"), "pipe": BrokenPipeError(), "stop": KeyboardInterrupt()}.get(
            what, RuntimeError("a\x1bb")
        )

    @app.command()
    def rest() -> None:
        pass

    def carried(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            carry_out(app, arguments, explain)
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return carried


def test_a_known_failure_is_its_texts_and_status(run: Run) -> None:
    assert run("act", "known") == (3, "", "known: x\ndo this\n")


def test_an_unknown_failure_is_one_line_without_a_traceback(run: Run) -> None:
    status, out, err = run("act", "odd")
    assert (status, out) == (1, "")
    assert err == "unexpected: RuntimeError: a\\x1bb (run again with --debug to see where)\n"


def test_with_debug_there_is_a_traceback(run: Run) -> None:
    assert "Traceback" in run("act", "odd", "--debug")[2]


def test_a_reader_that_leaves_is_no_failure_and_an_interrupt_is_130(run: Run) -> None:
    assert run("act", "pipe") == (0, "", "")
    assert run("act", "stop")[0] == 130


def test_bad_usage_is_2_and_the_version_and_a_success_are_0(run: Run) -> None:
    assert run("act")[0] == 2
    assert run("rest")[0] == 0
    status, out, _ = run("--version")
    assert status == 0
    assert out.startswith("tool ")
