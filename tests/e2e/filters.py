"""CloudWatch's filter patterns for JSON, as far as its documentation describes them: what a metric filter would count.

    { ($.fields.outcome = "failed") || ($.fields.outcome = "rolled_back") }

A `*` begins or ends a text, or stands for any value; `&&` binds more tightly than `||`.
"""

import re
from collections.abc import Callable

Line = dict
Test = Callable[[Line], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>&&|\|\||[(){}]|!=|>=|<=|[=<>])|(?P<path>\$(?:\.[A-Za-z0-9_@-]+)+)|"""
    r""""(?P<text>(?:[^"\\]|\\.)*)"|(?P<number>-?\d+(?:\.\d+)?)|(?P<any>\*)|(?P<word>IS|NOT|EXISTS|NULL|TRUE|FALSE))""",
)


class Unreadable(ValueError):
    """CloudWatch would refuse it."""


def compile_filter(pattern: str) -> Test:
    """Whether a line is counted."""
    reader = _Reader(pattern)
    reader.take("mark", "{")
    test = reader.any_of()
    reader.take("mark", "}")
    reader.end()
    return test


class _Reader:
    def __init__(self, pattern: str):
        self._tokens: list[tuple[str, str]] = []
        at = 0
        pattern = pattern.rstrip()
        while at < len(pattern):
            found = _TOKEN.match(pattern, at)
            if not found or not found.lastgroup:
                raise Unreadable(f"{pattern!r} at {pattern[at:]!r}")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def peek(self) -> tuple[str, str]:
        return self._tokens[0] if self._tokens else ("end", "")

    def take(self, kind: str, value: str | None = None) -> str:
        found = self.peek()
        if found[0] != kind or value not in (None, found[1]):
            raise Unreadable(f"{value or kind} was expected, and {found[1]!r} found")
        return self._tokens.pop(0)[1]

    def end(self) -> None:
        if self._tokens:
            raise Unreadable(f"{self._tokens} is left over")

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self.peek() == ("mark", "||"):
            self.take("mark")
            tests.append(self._all_of())
        return lambda line: any(test(line) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self.peek() == ("mark", "&&"):
            self.take("mark")
            tests.append(self._one())
        return lambda line: all(test(line) for test in tests)

    def _one(self) -> Test:
        if self.peek() == ("mark", "("):
            self.take("mark")
            test = self.any_of()
            self.take("mark", ")")
            return test
        path = self.take("path")
        if self.peek()[0] == "word":
            return self._state(path)
        return _comparison(path, self.take("mark"), *self._tokens.pop(0))

    def _state(self, path: str) -> Test:
        words = ""
        while self.peek()[0] == "word":
            words += f" {self.take('word')}"
        states = {
            " IS NULL": lambda found, value: found and value is None,
            " IS TRUE": lambda found, value: found and value is True,
            " IS FALSE": lambda found, value: found and value is False,
            " NOT EXISTS": lambda found, _: not found,
        }
        if words not in states:
            raise Unreadable(f"{path}{words}")
        return lambda line: states[words](*value_at(line, path))


def _comparison(path: str, sign: str, kind: str, wanted: str) -> Test:
    if kind == "text" and sign in ("=", "!="):
        inner = wanted[1:-1] if len(wanted) > 1 else ""
        if "*" in inner:
            raise Unreadable(f"a * within {wanted!r}: it begins or ends a text")
        whole = re.compile(".*".join(re.escape(part) for part in wanted.split("*")), re.DOTALL)
        holds: Callable[[object], bool] = lambda value: isinstance(value, str) and bool(whole.fullmatch(value))
    elif kind == "any" and sign in ("=", "!="):
        holds = lambda value: isinstance(value, (int, float))
    elif kind == "number" and sign in ("=", "!="):
        holds = lambda value: isinstance(value, (int, float)) and value == float(wanted)
    elif kind == "number":
        compare = {">": float.__gt__, "<": float.__lt__, ">=": float.__ge__, "<=": float.__le__}[sign]
        holds = lambda value: isinstance(value, (int, float)) and compare(float(value), float(wanted))
    else:
        raise Unreadable(f"{path} {sign} {wanted}")

    def test(line: Line) -> bool:
        found, value = value_at(line, path)
        return found and holds(value) != (sign == "!=")

    return test


def value_at(line: Line, path: str) -> tuple[bool, object]:
    """Whether a line has something there, and what."""
    value: object = line
    for key in path.split(".")[1:]:
        if not isinstance(value, dict) or key not in value:
            return False, None
        value = value[key]
    return True, value
