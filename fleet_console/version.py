"""The version of the programs: they are installed together."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The installed version, or "unreleased" where it runs from a checkout."""
    try:
        return version("edge-fleet")
    except PackageNotFoundError:
        return "unreleased"
