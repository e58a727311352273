"""onnxruntime-web from the npm registry: one pinned version, verified, and kept in the user's cache."""

import base64
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tdmr_ray.errors import InputError

VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Hash of the tarball, as `npm view onnxruntime-web dist.integrity` gives it."""
TARBALL = f"onnxruntime-web-{VERSION}.tgz"
SCRIPT, WASM = "package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"
TIMEOUT_S = 60
BY_HAND = f"with a network do: npm pack onnxruntime-web@{VERSION}, and give the file by --runtime"


@dataclass(frozen=True)
class Runtime:
    """onnxruntime-web for CPUs.

    Attributes:
        script: Its JavaScript module.
        wasm: Its WebAssembly.
    """

    script: str
    wasm: bytes


def load_runtime(given: Path | None = None) -> Runtime:
    """Return the runtime from a tarball; None takes it from the cache, or downloads it into the cache.

    Raises:
        InputError: If the file is another one, or the registry cannot be reached.
    """
    packed = _given(given) if given else _cached() or _downloaded()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return Runtime(_member(archive, SCRIPT).decode(), _member(archive, WASM))


def registry() -> str:
    """Return the npm registry of the environment, of ~/.npmrc, or the one that npm itself would use.

    Raises:
        InputError: If none of them names one.
    """
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if os.environ.get(name):
            return os.environ[name].rstrip("/")
    settings = Path("~/.npmrc").expanduser()
    text = settings.read_text(encoding="utf-8", errors="replace") if settings.is_file() else ""
    found = re.search(r"^\s*registry\s*=\s*[\"']?([^\s\"']+)", text, re.MULTILINE)
    name = found[1] if found else _registry_of_npm()
    if not name:
        raise InputError("--demo", f"npm's registry must be reachable, got none; set NPM_CONFIG_REGISTRY, or {BY_HAND}")
    return name.rstrip("/")


def _registry_of_npm() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return ""
    answer = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _given(path: Path) -> bytes:
    if not path.is_file():
        raise InputError("--runtime", f"{path} must be a file; {BY_HAND}")
    packed = path.read_bytes()
    if not _is_genuine(packed):
        raise InputError("--runtime", f"{path} is not onnxruntime-web {VERSION}: its sha512 differs; {BY_HAND}")
    return packed


def _cached() -> bytes | None:
    path = _cache() / TARBALL
    packed = path.read_bytes() if path.is_file() else b""
    return packed if _is_genuine(packed) else None


def _downloaded() -> bytes:
    url = f"{registry()}/onnxruntime-web/-/{TARBALL}"
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:
            packed: bytes = answer.read()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise InputError("--demo", f"{url} must be reachable, got: {reason}; {BY_HAND}") from error
    if not _is_genuine(packed):
        raise InputError("--demo", f"{url} is not what was published: its sha512 differs; {BY_HAND}")
    _cache().mkdir(parents=True, exist_ok=True)
    partial = _cache() / f"{TARBALL}.{os.getpid()}"
    partial.write_bytes(packed)
    partial.replace(_cache() / TARBALL)
    return packed


def _is_genuine(packed: bytes) -> bool:
    return f"sha512-{base64.b64encode(hashlib.sha512(packed).digest()).decode()}" == INTEGRITY


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tdmr_ray" / "npm"


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise InputError("--runtime", f"{name} must be in the tarball of onnxruntime-web {VERSION}; {BY_HAND}")
    return file.read()
