"""What SQL says differently to SQLite and to PostgreSQL, under one name each."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    literal_column,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateIndex
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = [
    "greatest",
    "insert",
    "least",
    "listed",
    "literal",
    "now",
    "position",
    "truncated",
]

POSTGRESQL = "postgresql"
Kind = type[int] | type[str]

_TYPES: dict[Kind, BigInteger | Text] = {int: BigInteger(), str: Text()}


def literal(sql: str) -> ColumnElement[Any]:
    """Put a constant into the SQL itself: with a bound one SQLite can't see that a partial index fits."""
    return literal_column(sql)


def listed(parameter: str, of: Kind) -> TableValuedAlias:
    """Read a parameter, a JSON array, as a table of one column `value`: SQLite binds no lists."""
    array = _Array(bindparam(parameter, type_=Text()))
    array.of = of
    return array.table_valued(column("value", _TYPES[of]), name=parameter)


def position(text: Any, part: Any) -> ColumnElement[int]:  # noqa: ANN401 - columns or parameters
    """Find where a text begins in another, from 1; 0 where it is not in it."""
    return _Position(text, part)


def greatest(*numbers: Any) -> ColumnElement[int]:  # noqa: ANN401 - as above
    """Take the largest of several numbers. None may be NULL: what comes of it differs."""
    return _Greatest(*numbers)


def least(*numbers: Any) -> ColumnElement[int]:  # noqa: ANN401 - as above
    """Take the smallest of several numbers, as above."""
    return _Least(*numbers)


def truncated(number: Any) -> ColumnElement[int]:  # noqa: ANN401 - as above
    """Cut off what is behind the point."""
    return _Truncated(number)


def now() -> ColumnElement[float]:
    """Read the database's own clock: Unix time in seconds, the same for all who work on it."""
    return _Now()


class _Function(FunctionElement[Any]):
    # Each is compiled once, by Statement: SQLAlchemy need not keep what it compiled.
    inherit_cache = False


class _Array(_Function):
    of: Kind


class _Position(_Function):
    type = BigInteger()


class _Greatest(_Function):
    type = BigInteger()


class _Least(_Function):
    type = BigInteger()


class _Truncated(_Function):
    type = BigInteger()


class _Now(_Function):
    type = Double()


# The first of each is SQLite's.


@compiles(_Array)
def _(element: _Array, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return f"json_each({_arguments(element, compiler, options)})"


@compiles(_Array, POSTGRESQL)
def _(element: _Array, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    values = f"json_array_elements_text(CAST({_arguments(element, compiler, options)} AS json))"
    return f"(SELECT CAST(value AS {_name(element.of)}) AS value FROM {values})"  # noqa: S608 - names of ours


@compiles(_Position)
def _(element: _Position, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"instr({_arguments(element, compiler, options)})"


@compiles(_Position, POSTGRESQL)
def _(element: _Position, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"strpos({_arguments(element, compiler, options)})"


@compiles(_Greatest)
def _(element: _Greatest, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"max({_arguments(element, compiler, options)})"


@compiles(_Greatest, POSTGRESQL)
def _(element: _Greatest, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"greatest({_arguments(element, compiler, options)})"


@compiles(_Least)
def _(element: _Least, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"min({_arguments(element, compiler, options)})"


@compiles(_Least, POSTGRESQL)
def _(element: _Least, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"least({_arguments(element, compiler, options)})"


@compiles(_Truncated)
def _(element: _Truncated, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"CAST({_arguments(element, compiler, options)} AS INTEGER)"


@compiles(_Truncated, POSTGRESQL)
def _(element: _Truncated, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"CAST(trunc({_arguments(element, compiler, options)}) AS bigint)"  # a cast alone rounds


@compiles(_Now)
def _(_: _Now, __: SQLCompiler, **___: Any) -> str:  # noqa: ANN401 - as above
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_Now, POSTGRESQL)
def _(_: _Now, __: SQLCompiler, **___: Any) -> str:  # noqa: ANN401 - as above
    # Not now(), which is when the transaction began.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


# PostgreSQL may also name a constraint there, which SQLite's clause has no place for.


@compiles(OnConflictDoNothing, POSTGRESQL)
def _(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - as above
    element.constraint_target = None
    text: str = compiler.visit_on_conflict_do_nothing(element, **options)
    return text


@compiles(OnConflictDoUpdate, POSTGRESQL)
def _(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - as above
    element.constraint_target = None
    text: str = compiler.visit_on_conflict_do_update(element, **options)
    return text


# Of which rows an index is, is said once, for SQLite.


@compiles(CreateIndex, POSTGRESQL)
def _(element: CreateIndex, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - as above
    index = element.element
    index.dialect_options[POSTGRESQL]["where"] = index.dialect_options["sqlite"].get("where")
    text: str = compiler.visit_create_index(element, **options)
    return text


# Keys are compared by their characters, as SQLite does, whatever language the database has.


@compiles(CreateColumn, POSTGRESQL)
def _(element: CreateColumn, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - as above
    text: str = compiler.visit_create_column(element, **options)
    return text.replace(" TEXT", ' TEXT COLLATE "C"', 1) if isinstance(element.element.type, Text) else text


def _arguments(element: _Function, compiler: SQLCompiler, options: dict[str, Any]) -> str:
    return compiler.process(element.clauses, **options)


def _name(kind: Kind) -> str:
    return "bigint" if kind is int else "text"
