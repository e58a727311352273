"""Content-Security-Policy of the pages that we write: they run our own scripts and connect to nothing."""

import base64
import hashlib
from collections.abc import Iterable


def content_security_policy(
    *, scripts: Iterable[str], styles: Iterable[str] = (), compiles: str = "", inline_styles: bool = False
) -> str:
    """Return a policy for a page that stands alone, with local images and without any connection.

    Args:
        scripts: Texts of the scripts that may run.
        styles: Texts of the style sheets that apply.
        compiles: What the scripts may compile, such as `'wasm-unsafe-eval'`.
        inline_styles: Whether scripts may write any style sheet, as plotly does.
    """
    style = ["'unsafe-inline'"] if inline_styles else [_hash(text) for text in styles]
    return "; ".join(
        [
            "default-src 'none'",
            "connect-src 'none'",
            " ".join(["script-src", *map(_hash, scripts), *([compiles] if compiles else [])]),
            " ".join(["style-src", *style]),
            "img-src blob: data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
