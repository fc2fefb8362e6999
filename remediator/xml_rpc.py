"""XML-RPC as far as supervisord speaks it: calls are written, answers are read strictly, as a stranger's words.

Only the types of the "XML-RPC Specification" are known. A document type is refused, and with it every entity; so is
what is nested deeply or of another encoding than UTF-8.
"""

from __future__ import annotations

from typing import Any

DEEPEST = 20
MOST_VALUES = 10_000
_PIECE = 64 << 10
"""Bytes of text that are handed over at once."""


class Fault(Exception):
    """The program answered with a fault: its code, and its words cut short."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"fault {code}: {text[:200]}")
        self.code = code


def write_call(method: str, *parameters: str | bool) -> bytes:
    """Given a method and its parameters, return the request's body."""
    values = "".join(f"<param><value>{_written(parameter)}</value></param>" for parameter in parameters)
    call = f"<methodCall><methodName>{_escaped(method)}</methodName><params>{values}</params></methodCall>"
    return f'<?xml version="1.0"?>{call}'.encode()


def read_answer(body: bytes) -> Any:
    """Given an answer's body, return its one value. Raise Fault if it is one, ValueError if it is no answer."""
    root = _Reader().read(body)
    kinds = [child.name for child in root.children]
    if root.name != "methodResponse" or kinds not in (["params"], ["fault"]):
        raise ValueError("is no answer of XML-RPC")
    if kinds == ["fault"]:
        fault = _value(_only(root.children[0], "value"))
        if not isinstance(fault, dict) or type(fault.get("faultCode")) is not int:
            raise ValueError("holds a fault without a code")
        text = str(fault.get("faultString", ""))
        raise Fault(fault["faultCode"], "".join(sign if sign.isprintable() else " " for sign in text))
    return _value(_only(_only(root.children[0], "param"), "value"))


def _written(parameter: str | bool) -> str:
    if isinstance(parameter, bool):
        return f"<boolean>{int(parameter)}</boolean>"
    return f"<string>{_escaped(parameter)}</string>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _Element:
    """One element with its text and what lies in it."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[_Element] = []


class _Reader:
    """Builds the tree of one document; every rule is kept while it is read."""

    def __init__(self) -> None:
        self._open = [_Element("")]
        self._count = 0

    def read(self, body: bytes) -> _Element:
        # only here, for most hosts have no supervisord
        from xml.parsers import expat

        parser = expat.ParserCreate("UTF-8")
        # otherwise each line is a piece of its own, and to put very many together takes very long
        parser.buffer_text = True
        parser.buffer_size = _PIECE
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise ValueError(f"is no XML ({expat.errors.messages.get(error.code, error.code)})") from error
        return self._open[0].children[0]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) > DEEPEST or self._count > MOST_VALUES or attributes:
            raise ValueError("is nested too deeply, too long, or no XML-RPC")
        element = _Element(name)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse(self, *_: object) -> None:
        raise ValueError("declares a document type or an entity, which is not read")


def _only(element: _Element, name: str) -> _Element:
    if [child.name for child in element.children] != [name]:
        raise ValueError(f"holds no single {name} in its {element.name}")
    return element.children[0]


def _value(element: _Element) -> Any:
    """Return what a `value` element stands for; without a type it is text."""
    if not element.children:
        return element.text
    if len(element.children) > 1:
        raise ValueError("holds two values in one")
    typed = element.children[0]
    match typed.name:
        case "string":
            return typed.text
        case "int" | "i4":
            return int(typed.text)
        case "boolean" if typed.text in ("0", "1"):
            return typed.text == "1"
        case "double":
            return float(typed.text)
        case "nil":
            return None
        case "array":
            return [_value(each) for each in _only(typed, "data").children]
        case "struct":
            return dict(map(_member, typed.children))
    raise ValueError(f"holds a value of the type {typed.name[:40]!r}")


def _member(element: _Element) -> tuple[str, Any]:
    if element.name != "member" or [child.name for child in element.children] != ["name", "value"]:
        raise ValueError("holds a member without a name and a value")
    return element.children[0].text, _value(element.children[1])
