"""pydantic's errors in our words."""

from pydantic import BaseModel, ValidationError

from tdmr_ray.errors import near_match
from tdmr_ray.space.parameter import Parameter


def readable(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """pydantic's errors in our words: where, rule, what was got."""
    texts = []
    for details in error.errors():
        place = ".".join(str(part) for part in details["loc"])
        if details["type"] == "extra_forbidden":
            texts.append(f"{place}: unknown key{near_match(str(details['loc'][-1]), _keys_at(model, details['loc']))}")
        elif details["type"] == "missing":
            texts.append(f"{place}: is missing; add it")
        else:
            texts.append(f"{place}: {lower_first(details['msg'])}, got {details['input']!r}")
    return list(dict.fromkeys(texts))


def lower_first(text: str) -> str:
    """pydantic's text of an error as the middle of a sentence."""
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The legal keys where an unknown one was found."""
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return list(Parameter.model_fields) if place[0] == "search" else list(model.model_fields)
        model = inner
    return list(model.model_fields)
