"""The page's runtime comes from the npm registry, verified; the page allows its own scripts and nothing else."""

import base64
import hashlib
import io
import json
import re
import sys
import tarfile
from pathlib import Path

import pytest

from tdmr_ray.cli import run_command
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.deploy.demo import runtime
from tdmr_ray.deploy.demo.page import LICENSE, Shown, as_global, write_demo
from tdmr_ray.deploy.demo.runtime import SCRIPT, TARBALL, WASM, Runtime, load_runtime, registry
from tdmr_ray.errors import InputError
from tdmr_ray.export import export

UNREACHABLE = "http://127.0.0.1:9"
MODULE = "var a=1,b=import.meta.url;export{a as InferenceSession,b};\n//# sourceMappingURL=x.map\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and cache, and no registry in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry in a folder, whose tarball is the expected one; returns the tarball."""
    path = tmp_path / "registry" / "onnxruntime-web" / "-" / TARBALL
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in ((SCRIPT, MODULE.encode()), (WASM, b"\0asm")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(runtime, "INTEGRITY", f"sha512-{digest}")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"file://{tmp_path}/registry/")
    return path


def test_registry_is_that_of_the_environment_of_npmrc_or_of_npm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(InputError, match="set NPM_CONFIG_REGISTRY, or with a network do: npm pack"):
        registry()
    npm = home / "npm"
    npm.write_text("#!/bin/sh\necho https://of-npm.example/\n")
    npm.chmod(0o755)
    assert registry() == "https://of-npm.example"
    (home / ".npmrc").write_text("fund=false\nregistry = https://mirror.example/npm/\n")
    assert registry() == "https://mirror.example/npm"
    monkeypatch.setenv("npm_config_registry", "https://other.example/")
    assert registry() == "https://other.example"


def test_a_download_is_kept_until_it_is_damaged(published: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_runtime()
    assert found == Runtime(MODULE, b"\0asm") == load_runtime(published)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", UNREACHABLE)
    assert load_runtime() == found
    (kept,) = (path for path in (home / "cache").rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"127.0.0.1:9/.* must be reachable, got: .*; with a network do: npm"):
        load_runtime()


def test_another_tarball_is_refused(published: Path, home: Path) -> None:
    published.write_bytes(published.read_bytes() + b"\0")
    for given, message in ((None, "is not what was published"), (published, "its sha512 differs")):
        with pytest.raises(InputError, match=message):
            load_runtime(given)
    with pytest.raises(InputError, match="must be a file"):
        load_runtime(home / "missing.tgz")
    assert not (home / "cache").exists()


def test_exports_become_a_global_object() -> None:
    script = as_global(MODULE)
    assert script == 'var a=1,b="blob:onnxruntime-web";globalThis.ort={InferenceSession:a,b:b};\n'
    for module in ("var a=1;", "var a='</script>';export{a};"):
        with pytest.raises(InputError, match="leave out --runtime"):
            as_global(module)


def test_page_allows_its_own_scripts_only(tmp_path: Path) -> None:
    (tmp_path / "target.onnx").write_bytes(b"weights")
    shown = Shown("lcnet_035", ("</script><b>one", "two"), InputFormat(32), threshold=0.25)
    page = write_demo(tmp_path / "demo", tmp_path / "target.onnx", shown, Runtime(MODULE, b"\0asm"))
    text = page.read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; connect-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 4
    for script in scripts:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    (settings,) = re.findall(r'id="settings">(.*?)</script>', text)
    assert json.loads(settings)["classNames"] == list(shown.class_names)
    assert json.loads(settings)["threshold"] == 0.25
    assert "<b>one" not in text
    assert "Microsoft" in (page.parent / LICENSE).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--demo", "--format", "openvino"], "needs an ONNX file; add onnx to --format"),
        (["--demo", "--batch", "2"], "classifies one image at once, got --batch 2"),
        (["--runtime", "x.tgz"], "is for the page; add --demo"),
        (["--demo"], "127.0.0.1:9/onnxruntime-web"),
    ],
)
def test_wrong_options_are_told_before_anything_is_written(
    options: list[str], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", UNREACHABLE)
    monkeypatch.setattr(sys, "argv", ["export", str(folder), *options])
    with pytest.raises(SystemExit) as done:
        run_command(export)
    assert done.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(folder.glob("*.onnx"))
