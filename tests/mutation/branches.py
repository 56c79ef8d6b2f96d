"""Finds the branches of a module's functions, and makes the function with one of them turned into a no-op.

What a branch is: the body of ``if``, ``else``, ``case``, a loop and ``except``; a condition of ``case`` and of a
comprehension, and each pattern of a ``case`` that has several; each arm of a conditional expression and each operand of
``and`` and ``or``; each ``return``, ``raise``, ``continue`` and ``break`` before the end of its function.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType

Function = ast.FunctionDef | ast.AsyncFunctionDef
Edit = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch, and how to find it again when the lines around it have moved."""

    module: str
    function: str
    """Qualified: ``Exchange.message``."""
    words: str
    """What the branch is, in the words of the source; alike ones of one function are numbered from the second on."""
    lines: range
    """Where it is evaluated: a run that touches none of these lines cannot notice that it is gone."""
    defined: int
    """The line of the function."""
    index: int
    """Which of the function."""

    def __str__(self) -> str:
        return f"{self.module}:{self.lines.start} {self.function}: {self.words}"


@dataclass(frozen=True, slots=True)
class _Site:
    """A place in a syntax tree, and the edit that takes the branch away."""

    words: str
    lines: range
    edit: Edit


def branches(module: str, source: str) -> list[Branch]:
    """Return the branches of a module, in the order of its functions.

    A branch without which a function reads as it does without another one, or as it is, is left out.
    """
    found: list[Branch] = []
    for function, name in _functions(ast.parse(source)):
        seen = {ast.unparse(function)}
        alike: Counter[str] = Counter()
        for index, site in sorted(enumerate(_sites(function)), key=lambda each: each[1].lines.start):
            reads = ast.unparse(_edited(ast.parse(source), function.lineno, index))
            if reads not in seen:
                seen.add(reads)
                alike[site.words] += 1
                words = site.words if alike[site.words] == 1 else f"{site.words} #{alike[site.words]}"
                found.append(Branch(module, name, words, site.lines, function.lineno, index))
    return found


def without(source: str, branch: Branch) -> CodeType:
    """Return the code of the branch's function with the branch turned into a no-op; its lines are those it had."""
    tree = ast.parse(source)
    function = _edited(tree, branch.defined, branch.index)
    code = compile(ast.fix_missing_locations(tree), branch.module, "exec", dont_inherit=True)
    return next(each for each in _codes(code) if _is(each, function))


def live(module: ModuleType, name: str) -> FunctionType:
    """Return the function of a module that a qualified name means, be it a property's or a class method's."""
    found: object = module
    for part in name.split("."):
        found = vars(found)[part]
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    assert isinstance(found, FunctionType), name
    return found


# ---------------------------------------------------------------------------------------------------------- functions


def _functions(tree: ast.Module) -> Iterator[tuple[Function, str]]:
    """Yield the functions of a module and of its classes; what is defined in a function is part of it."""
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        holder, prefix = waiting.pop(0)
        for node in ast.iter_child_nodes(holder):
            if isinstance(node, Function):
                yield node, prefix + node.name
            elif isinstance(node, ast.ClassDef):
                waiting.append((node, f"{prefix}{node.name}."))


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _is(code: CodeType, function: Function) -> bool:
    first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
    return (code.co_name, code.co_firstlineno) == (function.name, first)


def _edited(tree: ast.Module, defined: int, index: int) -> Function:
    """Take one branch away from the function that is defined in this line, and return the function."""
    function = next(each for each, _ in _functions(tree) if each.lineno == defined)
    generates = _yields(function)
    list(_sites(function))[index].edit()
    if generates and not _yields(function):
        function.body[:0] = ast.parse("if False: yield").body  # it is still a generator, one that does less
    return function


def _yields(function: Function) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


# -------------------------------------------------------------------------------------------------------------- sites


def _sites(function: Function) -> Iterator[_Site]:
    """Yield the branches of one function, from the outside to the inside."""
    last = function.body[-1]
    for node in ast.walk(function):
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                yield _body(f"if {ast.unparse(test)}: ...", body)
                if orelse and not (len(orelse) == 1 and isinstance(orelse[0], ast.If)):
                    yield _body(f"else of if {ast.unparse(test)}: ...", orelse)
            case ast.While(test=test, body=body):
                yield _body(f"while {ast.unparse(test)}: ...", body, instead=ast.Break())
            case ast.For(target=target, iter=over, body=body):
                yield _body(f"for {ast.unparse(target)} in {ast.unparse(over)}: ...", body)
            case ast.ExceptHandler(type=kind, body=body):
                yield _body(f"except {ast.unparse(kind) if kind else ''}: ...", body)
            case ast.match_case():
                yield from _case(node)
            case ast.comprehension(ifs=ifs):
                for condition in ifs:
                    yield _Site(f"only if {ast.unparse(condition)}", _lines(condition), _removal(ifs, condition))
        for statements in _blocks(node):
            for statement in statements:
                early = isinstance(statement, ast.Raise) or statement is not last
                if early and isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
                    words = ast.unparse(statement).partition("\n")[0]
                    yield _Site(words, _lines(statement), _replacement(statements, statement))
        for child, replace in _expressions(node):
            yield from _choices(child, replace)


def _body(words: str, body: list[ast.stmt], instead: ast.stmt | None = None) -> _Site:
    """Return the site of a whole body; a loop that would go on for ever ends ``instead``."""

    def edit() -> None:
        body[:] = [ast.copy_location(instead or ast.Pass(), body[0])]

    return _Site(words, _lines(body[0]), edit)


def _case(case: ast.match_case) -> Iterator[_Site]:
    """Yield the body of a ``case``, its condition, and each of several patterns."""
    guard = f" if {ast.unparse(case.guard)}" if case.guard else ""
    words = f"case {ast.unparse(case.pattern)}{guard}"
    yield _body(f"{words}: ...", case.body)
    if case.guard:

        def unguarded() -> None:
            case.guard = None

        yield _Site(f"{words}: its condition", _lines(case.pattern), unguarded)
    if isinstance(case.pattern, ast.MatchOr):
        for pattern in case.pattern.patterns:
            yield _Site(f"{words}: {ast.unparse(pattern)}", _lines(pattern), _without_pattern(case, pattern))


def _without_pattern(case: ast.match_case, pattern: ast.pattern) -> Edit:
    def edit() -> None:
        assert isinstance(case.pattern, ast.MatchOr)
        rest = [each for each in case.pattern.patterns if each is not pattern]
        case.pattern = ast.copy_location(ast.MatchOr(rest), case.pattern) if len(rest) > 1 else rest[0]

    return edit


def _choices(node: ast.expr, replace: Callable[[ast.expr], None]) -> Iterator[_Site]:
    """Yield the arms of a conditional expression, or the operands of ``and`` and ``or``."""
    text = ast.unparse(node)
    if isinstance(node, ast.IfExp):
        yield _Site(f"never {ast.unparse(node.body)} in {text}", _lines(node), lambda: replace(node.orelse))
        yield _Site(f"never {ast.unparse(node.orelse)} in {text}", _lines(node), lambda: replace(node.body))
    if isinstance(node, ast.BoolOp):
        for index, operand in enumerate(node.values):
            others = [each for place, each in enumerate(node.values) if place != index]
            rest = others[0] if len(others) == 1 else ast.copy_location(ast.BoolOp(node.op, others), node)
            yield _Site(f"never {ast.unparse(operand)} in {text}", _lines(node), _given(replace, rest))


def _given(replace: Callable[[ast.expr], None], rest: ast.expr) -> Edit:
    return lambda: replace(rest)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        statements = getattr(node, field, None)
        if isinstance(statements, list):
            yield statements


def _expressions(node: ast.AST) -> Iterator[tuple[ast.expr, Callable[[ast.expr], None]]]:
    """Yield the expressions directly in a node, each with what puts another one in its place."""
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.expr):

            def set_field(new: ast.expr, field: str = field) -> None:
                setattr(node, field, new)

            yield value, set_field
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, ast.expr):

                    def set_item(new: ast.expr, index: int = index, items: list[ast.AST] = value) -> None:
                        items[index] = new

                    yield each, set_item


def _removal(items: list[ast.expr], item: ast.expr) -> Edit:
    def edit() -> None:
        items.remove(item)

    return edit


def _replacement(statements: list[ast.stmt], statement: ast.stmt) -> Edit:
    def edit() -> None:
        statements[statements.index(statement)] = ast.copy_location(ast.Pass(), statement)

    return edit


def _lines(node: ast.stmt | ast.expr | ast.pattern) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
