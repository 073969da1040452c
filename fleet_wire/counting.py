"""Numbers of things, in the singular or the plural."""


def counted(number: int, thing: str) -> str:
    """Return `1 window`, `2 windows`, `1,000 windows`: for things whose plural only adds an s."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
