"""Upload of a folder to Hugging Face's hub."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr_ray.deploy.hub_folder import MARK
from tdmr_ray.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HUB = "hf://"


def hub_name(dest: str) -> str:
    """Return the `user/name` of an address `hf://user/name`.

    Raises:
        InputError: If it has another form.
    """
    name = dest.removeprefix(HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError("push", f"the address must be {HUB}USER/NAME, got '{dest}'")
    return name


def open_hub(name: str) -> "HfApi":
    """Return the hub's client, after all that can be checked before a model is written.

    Raises:
        InputError: If the package or a login is missing, or the repository holds something that was not pushed there.
    """
    try:
        from huggingface_hub import HfApi, constants, get_token
    except ImportError as error:
        raise InputError("push", "needs huggingface_hub; do: pip install huggingface_hub") from error
    if constants.HF_HUB_OFFLINE:
        raise InputError("push", "HF_HUB_OFFLINE is set; unset it to upload")
    if not get_token():
        raise InputError("push", "needs a login; do: hf auth login, or set HF_TOKEN")
    api = HfApi(library_name="tdmr_ray")
    if _asked(name, lambda: api.repo_exists(name)):
        files = [each for each in _asked(name, lambda: api.list_repo_files(name)) if each != ".gitattributes"]
        if files and MARK not in files:
            raise InputError(f"{HUB}{name}", "holds files that were not pushed there; give another name")
    return api


def upload(api: "HfApi", folder: Path, name: str, *, public: bool) -> str:
    """Upload a folder that `write_hub_folder` wrote; files of a former push that it lacks are removed.

    Args:
        api: The hub's client.
        folder: The folder.
        name: `user/name`.
        public: Whether a repository that does not exist yet is made public.

    Returns:
        The repository's address.

    Raises:
        InputError: If the hub refuses it.
    """
    url = _asked(name, lambda: api.create_repo(name, private=not public, exist_ok=True))
    _asked(
        name,
        lambda: api.upload_folder(
            repo_id=name, folder_path=folder, commit_message="Push by tdmr_ray", delete_patterns="*"
        ),
    )
    return str(url)


def _asked(name: str, call: Any) -> Any:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return call()
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"{HUB}{name}", f"the hub refuses it or cannot be reached: {reason}") from error
