"""An XML document as XPath sees it: nodes with parents, in document order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat


@dataclass(slots=True, eq=False)
class XmlNode:
    """A document, element, attribute or text; ``order`` is its place in the document."""

    kind: str
    name: str = ""
    value: str = ""
    parent: XmlNode | None = None
    order: int = 0
    children: list[XmlNode] = field(default_factory=list)
    attributes: list[XmlNode] = field(default_factory=list)

    def text(self) -> str:
        """The node's string value."""
        if self.kind in ("text", "attribute"):
            return self.value
        return "".join([n.value for n in self.descendants() if n.kind == "text"])

    def descendants(self) -> Iterator[XmlNode]:
        """Everything below, in document order."""
        stack = list(reversed(self.children))
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


def read_document(text: str) -> XmlNode:
    """The document of an XML text; ``expat.ExpatError`` where it is none."""
    root = XmlNode("document")
    open_nodes = [root]
    count = 0

    def add(node: XmlNode) -> XmlNode:
        nonlocal count
        count += 1
        node.order, node.parent = count, open_nodes[-1]
        return node

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        node = add(XmlNode("element", name))
        open_nodes[-1].children.append(node)
        for key, value in attributes.items():
            count += 1
            node.attributes.append(XmlNode("attribute", key, value, node, count))
        open_nodes.append(node)

    def end(name: str) -> None:
        open_nodes.pop()

    def characters(data: str) -> None:
        siblings = open_nodes[-1].children
        if siblings and siblings[-1].kind == "text":
            siblings[-1].value += data
        else:
            siblings.append(add(XmlNode("text", "", data)))

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.Parse(text, True)
    return root
