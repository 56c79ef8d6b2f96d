"""Models whose fields are described by the docstrings beneath them.

Pydantic does that, too (``use_attribute_docstrings``), but finds each class anew in the source, which took a sixth of
the time to start: here every file is read once.
"""

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel


class Documented:
    """Stands before ``BaseModel`` among the bases of such models; a description in ``Field`` is kept."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Describe the fields of a new class."""
        assert issubclass(cls, BaseModel)
        for name, text in _docstrings(cls.__module__).get(cls.__name__, {}).items():
            field = cls.__pydantic_fields__.get(name)
            if field is not None and field.description is None:
                field.description = text


@cache
def _docstrings(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return class -> field -> the docstring beneath it, for the classes of a file; nothing where there is no file."""
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None:
        return {}
    tree = ast.parse(Path(path).read_bytes())
    return {node.name: dict(_described(node.body)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _described(body: list[ast.stmt]) -> list[tuple[str, str]]:
    return [
        (field.target.id, inspect.cleandoc(below.value.value))
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    ]
