"""Parse expressions: a small precedence parser.

    or  <  and  <  not  <  == != < <= > >= in  <  + -  <  * /  <  -x  <  numbers, names, calls, ( … )

Python's `eval` and `ast` are not used: durations are bare words, nesting is limited, and every error has a position.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from edge_gateway.rules.language import advice
from edge_gateway.rules.language.functions import FUNCTIONS, KEYWORDS, UNSUPPORTED
from edge_gateway.rules.language.tokens import ExpressionError, Token, constant, duration_ms, tokens
from fleet_config.problems import suggest
from fleet_wire.telemetry import is_metric_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DEPTH: Final = 32
MAX_OPTIONS: Final = 256


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Duration:
    ms: int
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class MetricRef:
    name: str
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class TagRef:
    name: str
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`op` is `-` or `not`."""

    op: str
    operand: Node
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """`op` is one of `+ - * / and or`."""

    op: str
    left: Node
    right: Node
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """`first op node op node …`: every neighbouring pair must hold."""

    first: Node
    rest: tuple[tuple[str, Node], ...]
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class OneOf:
    operand: Node
    options: tuple[Number | Text, ...]
    negated: bool
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    args: tuple[Node, ...]
    at: int = field(compare=False)


Node: TypeAlias = Number | Duration | Text | MetricRef | TagRef | Unary | Binary | Compare | OneOf | Call


def walk(tree: Node) -> Iterator[Node]:
    """Yield a tree and all its parts, each before its own parts, in the order of the text."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(parts(node))


def parts(node: Node) -> Sequence[Node]:
    """The parts that a tree is made of, in the order of the text."""
    match node:
        case Unary(_, operand) | OneOf(operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Compare(first, rest):
            return (first, *(side for _, side in rest))
        case Call(_, args):
            return args
    return ()


_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def parse(text: str) -> Node:
    """Parse an expression. ExpressionError with the position of the first error."""
    parser = _Parser(tokens(text))
    tree = parser.either()
    parser.expect_end()
    return tree


@lru_cache(maxsize=16_384)
def normal_text(text: str) -> str:
    """The expression with one space between tokens, so that spelling variants compare equal."""
    return " ".join(token.text for token in tokens(text)[:-1])


class _Parser:
    def __init__(self, stream: list[Token]) -> None:
        self._stream = stream
        self._next = 0
        self._depth = 0

    # --- tokens

    @property
    def _token(self) -> Token:
        return self._stream[self._next]

    def _take(self) -> Token:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _take_if(self, *texts: str) -> Token | None:
        token = self._token
        return self._take() if token.kind in ("operator", "name") and token.text in texts else None

    def _expect(self, text: str, why: str) -> Token:
        token = self._take_if(text)
        if token is None:
            cut_off = self._token.kind == "end" and why.startswith("after the ")
            hint = "; within { } quote an expression that contains a comma" if cut_off else self._hint()
            raise ExpressionError(
                self._token.at, f"expected '{text}' {why}, found {_found(self._token)}{hint}"
            )
        return token

    def _hint(self) -> str:
        """What the unexpected token may mean, as `; …`."""
        token = self._token
        if token.kind == "end":
            return ""
        before, after = self._stream[max(self._next - 1, 0)], self._stream[self._next + 1]
        joined = before.at + len(before.text) == token.at and token.at + len(token.text) == after.at
        return advice.of_word(before.text, token.text, after.text, joined=joined)

    def expect_end(self) -> None:
        token = self._token
        if token.kind == "end":
            return
        if token.text == ")":
            raise ExpressionError(token.at, "this ')' has no matching '('")
        raise ExpressionError(
            token.at, f"expected an operator or the end, found {_found(token)}{self._hint()}"
        )

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(token.at, f"nested deeper than {MAX_DEPTH} levels")

    # --- levels of precedence, loosest first

    def either(self) -> Node:
        left = self._both()
        while (token := self._take_if("or")) is not None:
            left = Binary("or", left, self._both(), token.at)
        return left

    def _both(self) -> Node:
        left = self._negation()
        while (token := self._take_if("and")) is not None:
            left = Binary("and", left, self._negation(), token.at)
        return left

    def _negation(self) -> Node:
        token = self._take_if("not")
        if token is None:
            return self._comparison()
        self._enter(token)
        tree = Unary("not", self._negation(), token.at)
        self._depth -= 1
        return tree

    def _comparison(self) -> Node:
        first = self._sum()
        negated = self._token.text == "not" and self._stream[self._next + 1 :][:1]
        if negated and negated[0].text == "in":
            self._take()
            return self._one_of(first, negated=True)
        if self._token.kind == "name" and self._token.text == "in":
            return self._one_of(first, negated=False)
        rest: list[tuple[str, Node]] = []
        at = self._token.at
        while (token := self._take_if(*_COMPARISONS)) is not None:
            rest.append((token.text, self._sum()))
        return Compare(first, tuple(rest), at) if rest else first

    def _one_of(self, operand: Node, *, negated: bool) -> Node:
        at = self._take().at
        self._expect("(", "after 'in'")
        options = [self._option()]
        while self._take_if(",") is not None:
            options.append(self._option())
        self._expect(")", "after the last choice")
        if len(options) > MAX_OPTIONS:
            raise ExpressionError(at, f"'in' takes at most {MAX_OPTIONS} choices, not {len(options)}")
        return OneOf(operand, tuple(options), negated, at)

    def _option(self) -> Number | Text:
        sign = self._take_if("-")
        token = self._take()
        if token.kind == "number":
            number = _number(token)
            return Number(-number.value, token.at) if sign else number
        if token.kind == "text" and sign is None:
            return Text(constant(token), token.at)
        if token.kind == "name" and token.text in ("true", "false") and sign is None:
            return Text(token.text, token.at)
        raise ExpressionError(token.at, f"expected a number or a quoted text, found {_found(token)}")

    def _sum(self) -> Node:
        left = self._product()
        while (token := self._take_if("+", "-")) is not None:
            left = Binary(token.text, left, self._product(), token.at)
        return left

    def _product(self) -> Node:
        left = self._signed()
        while (token := self._take_if("*", "/")) is not None:
            left = Binary(token.text, left, self._signed(), token.at)
        return left

    def _signed(self) -> Node:
        token = self._take_if("-", "+")
        if token is None:
            return self._primary()
        self._enter(token)
        operand = self._signed()
        self._depth -= 1
        if token.text == "+":
            return operand
        return (
            Number(-operand.value, token.at) if isinstance(operand, Number) else Unary("-", operand, token.at)
        )

    def _primary(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return _number(token)
        if token.kind == "duration":
            return Duration(duration_ms(token), token.at)
        if token.kind == "text":
            return Text(constant(token), token.at)
        if token.kind == "name":
            return self._named(token)
        if token.text == "(":
            self._enter(token)
            inner = self.either()
            self._expect(")", "to close the parenthesis")
            self._depth -= 1
            return inner
        raise ExpressionError(token.at, f"expected a value, found {_found(token)}")

    def _named(self, token: Token) -> Node:
        if token.text in ("true", "false"):
            return Text(token.text, token.at)
        if token.text == "tag":
            return self._tag(token)
        if self._token.text == "(":
            return self._call(token)
        return _metric(token)

    def _tag(self, token: Token) -> Node:
        self._expect(".", "after 'tag'")
        name = self._take()
        if name.kind != "name":
            raise ExpressionError(
                name.at, f"expected the name of a tag, as in tag.zone, found {_found(name)}"
            )
        return TagRef(name.text, token.at)

    def _call(self, name: Token) -> Node:
        signature = FUNCTIONS.get(name.text)
        if signature is None:
            raise ExpressionError(name.at, _no_function(name.text))
        self._enter(self._take())
        args = self._arguments()
        self._depth -= 1
        if not signature.least <= len(args) <= signature.most:
            takes = f"{name.text} takes {_arity(signature.least, signature.most)}; write {signature.usage}"
            raise ExpressionError(name.at, takes + advice.of_time(name.text))
        return Call(name.text, args, name.at)

    def _arguments(self) -> tuple[Node, ...]:
        if self._take_if(")") is not None:
            return ()
        args = [self.either()]
        while self._take_if(",") is not None:
            args.append(self.either())
        self._expect(")", "after the arguments")
        return tuple(args)


def _number(token: Token) -> Number:
    value = float(token.text)
    if value == float("inf"):
        raise ExpressionError(token.at, "this number is too large")
    return Number(value, token.at)


def _no_function(name: str) -> str:
    instead = advice.of_function(name)
    if name in UNSUPPORTED:
        return f"`{name}` is not supported in this version{instead}"
    known = ", ".join(sorted(FUNCTIONS))
    nearest = "" if instead else suggest(name, FUNCTIONS)
    offer = f"{nearest} One of {known}" if nearest else f"{instead}; one of {known}"
    return f"there is no function '{name}'{offer}"


def _metric(token: Token) -> MetricRef:
    if token.text in FUNCTIONS:
        usage = FUNCTIONS[token.text].usage
        raise ExpressionError(token.at, f"'{token.text}' is a function, not a metric; write {usage}")
    if token.text in UNSUPPORTED:
        raise ExpressionError(
            token.at, f"'{token.text}' is kept for a function; a metric cannot have this name"
        )
    if token.text in KEYWORDS:
        raise ExpressionError(token.at, f"expected a value, found {_found(token)}")
    if token.text.lower() in ("and", "or", "not", "in"):
        raise ExpressionError(token.at, f"'{token.text}' must be written '{token.text.lower()}'")
    if not is_metric_name(token.text):
        lower = token.text.lower()
        meant = f"; did you mean '{lower}'?" if lower != token.text and is_metric_name(lower) else ""
        raise ExpressionError(
            token.at,
            f"'{token.text}' is not a metric name; use up to 64 lower-case letters, digits and _, "
            f"beginning with a letter{meant}",
        )
    return MetricRef(token.text, token.at)


def _arity(least: int, most: int) -> str:
    if least == most:
        return "1 argument" if least == 1 else f"{least} arguments"
    return f"{least} to {most} arguments"


def _found(token: Token) -> str:
    return "the end of the expression" if token.kind == "end" else f"'{token.text}'"
