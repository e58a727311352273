"""MkDocs hook: generates the space file reference from the pydantic models that read space files.

Run:    python docs/generate_reference.py    (prints the page)
"""

import ast
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from tdmr_ray.durations import parse_duration
from tdmr_ray.method.component import OneOf
from tdmr_ray.space import Space
from tdmr_ray.space.parameter import Choices, Range
from tdmr_ray.space.sections import Section
from tdmr_ray.training.config import COMPONENTS, TrialConfig
from tdmr_ray.training.controls import CONTROLS

PAGE = "space_file_reference.md"
SIGNS = ((Ge, "ge", ">="), (Gt, "gt", ">"), (Le, "le", "<="), (Lt, "lt", "<"))


@dataclass(frozen=True)
class Entry:
    """One parameter of the reference.

    Attributes:
        name: Dotted path in a space file.
        type: Readable type, or the legal values.
        range: Legal range; '' if the type says it all.
        default: Default value; '' if the file must give one.
        doc: Meaning.
        kinds: Component kinds that own it; empty where all do.
    """

    name: str
    type: str
    range: str
    default: str
    doc: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Component:
    """One kind of a component.

    Attributes:
        kind: Its name in a space file.
        summary: First line of its documentation.
        source: Publication; '' if there is none.
        config: Model of its hyperparameters.
    """

    kind: str
    summary: str
    source: str
    config: type[BaseModel]


@dataclass(frozen=True)
class Group:
    """A section of the trial configuration.

    Attributes:
        name: Name of the section; '' for the values outside every section.
        doc: Its documentation.
        entries: Its parameters.
        components: Kinds to choose from; empty for an ordinary section.
    """

    name: str
    doc: str
    entries: tuple[Entry, ...]
    components: tuple[Component, ...] = ()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated page to the site."""
    files.append(File.generated(config, PAGE, content=render_reference()))
    return files


def trial_groups() -> list[Group]:
    """Return every section of `TrialConfig` with its parameters, in the order of the class."""
    groups, loose = [], []
    for name, field in TrialConfig.model_fields.items():
        if name in COMPONENTS:
            groups.append(_component_group(name, COMPONENTS[name]))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            entries = tuple(all_entries_of(field.annotation, f"{name}."))
            groups.append(Group(name, summary_of(field.annotation), entries))
        else:
            loose.append(_entry(name, field, attribute_docs(TrialConfig).get(name, "")))
    return [*groups, Group("", "Values outside every section.", tuple(loose))]


def entries_of(model: type[BaseModel], prefix: str = "") -> Iterator[Entry]:
    """Yield the fields of a model as parameters."""
    docs = attribute_docs(model)
    for name, field in model.model_fields.items():
        yield _entry(prefix + name, field, docs.get(name, ""))


def all_entries_of(model: type[BaseModel], prefix: str) -> Iterator[Entry]:
    """Yield the fields of a model, and of the models inside it, as parameters."""
    docs = attribute_docs(model)
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from all_entries_of(field.annotation, f"{prefix}{name}.")
        else:
            yield _entry(prefix + name, field, docs.get(name, ""))


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """Return the text below each attribute of a class and its bases."""
    docs: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not issubclass(cls, BaseModel) or cls is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef)
        for attribute, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name):
                is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                docs[attribute.target.id] = str(text.value.value) if is_text else docs.get(attribute.target.id, "")
    return docs


def type_text(annotation: Any) -> str:
    """Return a type, or the legal values of a `Literal`, as a reader of space files calls it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        if any(isinstance(item, BeforeValidator) and item.func is parse_duration for item in arguments[1:]):
            return "duration, as `20m`"
        return type_text(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return _listed(list(dict.fromkeys(type_text(argument) for argument in arguments)))
    if origin in (tuple, list):
        return f"list of {type_text(arguments[0])}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    names = {int: "integer", float: "number", bool: "true or false", str: "text", type(None): "`null`", Any: "value"}
    return names.get(annotation, str(annotation))


def range_text(field: FieldInfo) -> str:
    """Return the bounds of a field, such as `>= 0, < 1`."""
    bounds = [*field.metadata, *_nested_metadata(field.annotation)]
    texts = [f"{sign} {getattr(item, key)}" for item in bounds for cls, key, sign in SIGNS if isinstance(item, cls)]
    texts += [f"at least {item.min_length}" for item in bounds if isinstance(item, MinLen)]
    return ", ".join(dict.fromkeys(texts))


def default_text(field: FieldInfo) -> str:
    """Return a field's default as YAML would write it; '' if it is required or a section."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool) or value is None:
        return f"`{str(value).lower()}`".replace("none", "null")
    if isinstance(value, tuple):
        return f"`[{', '.join(str(getattr(each, 'kind', each)) for each in value)}]`"
    return "`''`" if value == "" else f"`{value}`"


def summary_of(model: Any) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())


def source_of(component: Any) -> str:
    """Return the text after `Source:` in a component's docstring or in those of its file; '' without one."""
    functions = inspect.getmembers(inspect.getmodule(component), inspect.isfunction)
    own = [function for _, function in functions if function.__module__ == component.__module__]
    paragraphs = [text for each in (component, *own) for text in (inspect.getdoc(each) or "").split("\n\n")]
    sources = [" ".join(text.removeprefix("Source:").split()) for text in paragraphs if text.startswith("Source:")]
    return sources[0] if sources else ""


def render_reference() -> str:
    """Return the whole page."""
    lines = [
        "# Space file reference",
        "",
        "Generated from the models that read space files. [Space files](space_file.md) explains their use.",
        "",
        "## Sections",
        "",
        *_table([_with_link(entry) for entry in entries_of(Space)]),
    ]
    for name, field in Space.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            entries = [*entries_of(field.annotation, f"{name}.")]
            lines += ["", f"### {name}", "", summary_of(field.annotation), "", *_table(entries)]
    lines += [
        "",
        "## Controls",
        "",
        "Rivals under `confirm.controls`: a name, or a mapping with `kind` and settings.",
        "",
    ]
    lines += ["| control | what it is | settings |", "|---|---|---|"]
    for name, control in CONTROLS.items():
        settings = [_setting(entry) for entry in entries_of(control.Config) if entry.name != "kind"]
        lines += [_row([f"`{name}`", _cell(summary_of(control)), _cell("; ".join(settings))])]
    lines += ["", "## Searched parameters", "", "An entry under `search` is a range or a list of choices."]
    for model in (Range, Choices):
        lines += ["", f"### {model.__name__}", "", summary_of(model), "", *_table(list(entries_of(model)))]
    lines += [
        "",
        "## Parameters of a trial",
        "",
        "These names can stand under `search`, under `fixed` and after `--set`.",
    ]
    for group in trial_groups():
        lines += ["", f"### {group.name or 'others'}", "", group.doc, ""]
        if group.name in TrialConfig.teacher_sections():
            lines += ["A teacher depends on this section, so every combination of its values is another teacher.", ""]
        if group.components:
            lines += ["| kind | what it is | source |", "|---|---|---|"]
            lines += [f"| `{each.kind}` | {_cell(each.summary)} | {_cell(each.source)} |" for each in group.components]
            lines += [""]
        lines += _table(list(group.entries))
    return "\n".join(lines) + "\n"


def _component_group(name: str, choice: OneOf) -> Group:
    registry, key = choice.registry, choice.key
    components = tuple(
        Component(kind, re.sub(r"; see `\w+`", "", summary_of(component)), source_of(component), component.Config)
        for kind, component in registry.items()
    )
    owners: dict[Entry, list[str]] = {}
    for component in components:
        for entry in entries_of(component.config, f"{name}."):
            if entry.name != f"{name}.{key}":
                owners.setdefault(entry, []).append(component.kind)
    kinds = ", ".join(f"`{kind}`" for kind in registry)
    chooser = Entry(f"{name}.{key}", kinds, "", f"`{next(iter(registry))}`", "Which of the components above.")
    names = list(dict.fromkeys(entry.name for entry in owners))
    entries = [
        replace(entry, kinds=() if len(kinds) == len(components) else tuple(kinds))
        for entry, kinds in sorted(owners.items(), key=lambda item: names.index(item[0].name))
    ]
    return Group(name, _first_sentence(next(iter(registry.values()))), (chooser, *entries), components)


def _first_sentence(component: type) -> str:
    """Return the first sentence of the documentation of a component's package."""
    package = sys.modules[component.__module__.rpartition(".")[0]]
    return summary_of(package).split(". ")[0].rstrip(".") + "."


def _with_link(entry: Entry) -> Entry:
    """Return a top-level key with a link to the part of the page that lists its keys."""
    model = Space.model_fields[entry.name].annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        return replace(entry, doc=f"{summary_of(model)} See [{entry.name}](#{entry.name}).")
    return entry


def _entry(name: str, field: FieldInfo, doc: str) -> Entry:
    text = " ".join((field.description or doc).split())
    return Entry(name, type_text(field.annotation), range_text(field), default_text(field), text)


def _nested_metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        for item in get_args(annotation)[1:]:
            yield from item.metadata if isinstance(item, FieldInfo) else [item]
    if get_origin(annotation) in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _nested_metadata(argument)


def _setting(entry: Entry) -> str:
    bounds = ", ".join(filter(None, [entry.range, f"default {entry.default}" if entry.default else ""]))
    return f"`{entry.name}` ({bounds}): {entry.doc.rstrip('.')}"


def _listed(names: list[str]) -> str:
    names = [name for name in names if name != "integer" or "number" not in names]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _table(entries: list[Entry]) -> list[str]:
    """Return a Markdown table without empty columns."""
    with_kinds = any(entry.kinds for entry in entries)
    names = ["parameter", *(["kinds"] if with_kinds else []), "type or values", "range", "default", "meaning"]
    rows = [
        [
            f"`{entry.name}`",
            *([", ".join(f"`{kind}`" for kind in entry.kinds) or "all"] if with_kinds else []),
            *(_cell(text) for text in (entry.type, entry.range, entry.default, entry.doc)),
        ]
        for entry in entries
    ]
    used = [column for column in range(len(names)) if any(row[column] for row in rows)]
    lines = [names, ["---"] * len(names), *rows]
    return [_row([line[column] for column in used]) for line in lines]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(render_reference())
