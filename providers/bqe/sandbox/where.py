"""The `where` language: tokenizer and parser of a whitelisted SQL predicate."""

from __future__ import annotations

import re

from providers.bqe.sandbox import predicates
from providers.bqe.sandbox.predicates import Node, Value, WhereFieldError, WhereSyntaxError
from providers.bqe.sandbox.schema import Schema

OPTIONAL_OPERATORS = ("is null", "is not null", "like", "in")
MAX_DEPTH = 40

_TOKEN = re.compile(
    r"(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))|\[(?P<bracket>[^\]]*)\]"
    r"|(?P<name>[A-Za-z_][\w.]*)|(?P<op><>|!=|<=|>=|=|<|>)|(?P<punct>[(),])"
)


def parse(
    clause: str,
    schema: Schema,
    *,
    operators: frozenset[str] = frozenset(OPTIONAL_OPERATORS),
    zero_guid_is_null: bool = True,
) -> Node:
    """Compile `clause`; raises one of the three errors of predicates.py."""
    parser = _Parser(_tokens(clause), schema, operators, zero_guid_is_null)
    node = parser.disjunction()
    if parser.peek()[0] != "end":
        raise WhereSyntaxError(f"Incorrect syntax near '{parser.peek()[1]}'.")
    return node


def _tokens(clause: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(clause):
        if clause[at].isspace():
            at += 1
            continue
        match = _TOKEN.match(clause, at)
        if match is None:
            raise WhereSyntaxError(_unreadable(clause[at:]))
        kind = match.lastgroup or ""
        text = match.group(kind)
        found.append(("name" if kind == "bracket" else kind, text))
        at = match.end()
    return [*found, ("end", "")]


def _unreadable(rest: str) -> str:
    if rest.startswith("["):
        return (
            "Expected but did not find a closing square bracket after the identifier "
            f'"{rest[1:40]}.'
        )
    if rest.startswith("'"):
        return f"Unclosed quotation mark after the character string {rest[:40]}."
    return f"Incorrect syntax near '{rest[:1]}'."


class _Parser:
    def __init__(
        self,
        tokens: list[tuple[str, str]],
        schema: Schema,
        operators: frozenset[str],
        zero_guid_is_null: bool,
    ) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._schema = schema
        self._operators = operators
        self._zero_guid_is_null = zero_guid_is_null

    def peek(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def disjunction(self) -> Node:
        nodes = [self._conjunction()]
        while self._word("or"):
            nodes.append(self._conjunction())
        return nodes[0] if len(nodes) == 1 else predicates.any_of(nodes)

    def _conjunction(self) -> Node:
        nodes = [self._negation()]
        while self._word("and"):
            nodes.append(self._negation())
        return nodes[0] if len(nodes) == 1 else predicates.all_of(nodes)

    def _negation(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WhereSyntaxError("The clause is nested too deeply.")
        if self._word("not"):
            node = predicates.inverse(self._negation())
        elif self._take("punct", "("):
            node = self.disjunction()
            self._expect(")")
        else:
            node = self._predicate()
        self._depth -= 1
        return node

    def _predicate(self) -> Node:
        kind, name = self._next()
        if kind != "name":
            raise WhereSyntaxError(f"Incorrect syntax near '{name or 'end of clause'}'.")
        field = self._schema.canonical(name)
        if field is None or field not in self._schema.filterable:
            raise WhereFieldError(name)
        if self._word("is"):
            return self._null(field)
        negated = self._word("not")
        if self._word("like"):
            node = self._like(field)
        elif self._word("in"):
            node = self._in(field)
        elif negated:
            raise WhereSyntaxError("Incorrect syntax near 'not'.")
        else:
            return self._comparison(field)
        return predicates.inverse(node) if negated else node

    def _comparison(self, field: str) -> Node:
        kind, op = self._next()
        if kind != "op":
            raise WhereSyntaxError(f"Incorrect syntax near '{op or 'end of clause'}'.")
        return predicates.comparison(field, self._schema.kinds[field], op, self._literal(field))

    def _null(self, field: str) -> Node:
        negated = self._word("not")
        if not self._word("null"):
            raise WhereSyntaxError(f"Incorrect syntax near '{self.peek()[1]}'.")
        self._allow("is not null" if negated else "is null")
        return predicates.null(
            field,
            self._schema.kinds[field],
            negated=negated,
            zero_guid_is_null=self._zero_guid_is_null,
        )

    def _like(self, field: str) -> Node:
        self._allow("like")
        kind, text = self._next()
        if kind != "string":
            raise WhereSyntaxError("LIKE expects a quoted pattern.")
        return predicates.like(field, text[1:-1].replace("''", "'"))

    def _in(self, field: str) -> Node:
        self._allow("in")
        self._expect("(")
        values = [self._literal(field)]
        while self._take("punct", ","):
            values.append(self._literal(field))
        self._expect(")")
        return predicates.member(field, self._schema.kinds[field], values)

    def _literal(self, field: str) -> Value:
        kind, text = self._next()
        if kind == "string":
            text = text[1:-1].replace("''", "'")
        elif not (kind == "number" or (kind == "name" and text.lower() in ("true", "false"))):
            raise WhereSyntaxError(f"Incorrect syntax near '{text or 'end of clause'}'.")
        return predicates.convert(text, self._schema.kinds[field])

    def _allow(self, name: str) -> None:
        if name not in self._operators:
            raise WhereSyntaxError(f"Operator '{name}' is not supported.")

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        if token[0] != "end":
            self._at += 1
        return token

    def _take(self, kind: str, text: str) -> bool:
        if self.peek() == (kind, text):
            self._at += 1
            return True
        return False

    def _word(self, word: str) -> bool:
        kind, text = self.peek()
        if kind == "name" and text.lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take("punct", text):
            raise WhereSyntaxError(f"Incorrect syntax near '{self.peek()[1] or 'end of clause'}'.")
