"""Validation errors of pydantic, worded as the other messages of a space file."""

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tdmr_ray.errors import near_match
from tdmr_ray.space.renamed import RENAMED


def readable(error: ValidationError, model: type[BaseModel], where: str = "") -> list[str]:
    """Word each error as place, rule and what was got.

    An unknown key is likely a misspelt one, so a key that is missing beside it is not reported too.

    Args:
        error: What pydantic raised.
        model: The model that was validated; its fields are the legal keys.
        where: The place of the model in the file; '' for the file itself.
    """
    misspelt = {details["loc"][:-1] for details in error.errors() if details["type"] == "extra_forbidden"}
    texts = []
    for details in error.errors():
        location = details["loc"]
        place = ".".join(str(part) for part in (where, *location) if part != "")
        if details["type"] == "extra_forbidden":
            hint = near_match(str(location[-1]), _keys_at(model, location))
            texts.append(f"{place}: unknown key" + (f"; it is now '{RENAMED[place]}'" if place in RENAMED else hint))
        elif details["type"] == "missing":
            texts += [] if location[:-1] in misspelt else [f"{place}: is missing; add it"]
        elif details["type"] == "value_error" and isinstance(details["input"], dict | BaseModel):
            texts.append(f"{place}: {lower_first(details['msg'])}")
        else:
            texts.append(f"{place}: {lower_first(details['msg'])}, got {details['input']!r}")
    return list(dict.fromkeys(texts))


def lower_first(text: str) -> str:
    """Turn pydantic's text of an error into the middle of a sentence."""
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The legal keys where an unknown one was found."""
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return list(model.model_fields)
        model = inner
    return list(model.model_fields)


def rule_of(details: ErrorDetails) -> str:
    """Return the rule that a value broke, as the middle of a sentence."""
    if details["type"] == "union_tag_invalid":
        *first, last = details["ctx"]["expected_tags"].split(", ")
        return f"input should be {', '.join(first)} or {last}" if first else f"input should be {last}"
    return lower_first(details["msg"])
