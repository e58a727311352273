"""A pushed folder opens in timm alone, holds no images, and replaces nothing but a former push."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import pytest
import timm
import torch
from helpers.odd_images import load

import tdmr_ray
from tdmr_ray.cli import run_command
from tdmr_ray.deploy.artifact import ARTIFACTS, Artifact, add_artifact
from tdmr_ray.deploy.check_images import CHECK_IMAGES, check_images_of
from tdmr_ray.deploy.hub_folder import MARK, write_hub_folder
from tdmr_ray.deploy.hub_upload import hub_name
from tdmr_ray.errors import InputError
from tdmr_ray.push import push


@pytest.fixture
def shipped(small: tdmr_ray.SmallModel, odd_images: Path, tmp_path: Path) -> Path:
    """A model's folder with card, check images and exported files."""
    folder = tmp_path / "best"
    replace(small, temperature=1.7).save(folder)
    check_images_of(load(odd_images)).save(folder)
    (folder / "README.md").write_text("---\ntags: []\n---\n# card\n")
    for name in ("target.xml", "target.bin", "notes.txt"):
        (folder / name).write_text(name)
    (folder / "target.mlpackage").mkdir()
    (folder / "target.mlpackage" / "data").write_text("data")
    for name in ("target.xml", "target.mlpackage"):
        add_artifact(folder, Artifact("openvino", "fp32", 1, name, 8, verified=True))
    return folder


def test_timm_opens_a_pushed_folder_with_the_same_logits(
    small: tdmr_ray.SmallModel, shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(shipped, str(tmp_path / "hub"))
    names = {path.name for path in (tmp_path / "hub").iterdir()}
    weights = {"model.safetensors", "config.json", MARK, "README.md", ARTIFACTS}
    assert names == weights | {"target.xml", "target.bin", "target.mlpackage"}
    assert CHECK_IMAGES not in names
    assert all(name in capsys.readouterr().out for name in [MARK])
    network = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(network)
    spec = small.target.spec
    assert (config["input_size"][1:], config["crop_pct"]) == ([spec.size_px] * 2, 1.0)
    assert network.pretrained_cfg["label_names"] == list(small.class_names)
    images = torch.rand(2, 3, spec.size_px, spec.size_px)
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        torch.testing.assert_close(network((images - mean) / std), small.target(images).logits, atol=1e-4, rtol=1e-4)
    kept = json.loads((tmp_path / "hub" / MARK).read_text())
    assert (kept["temperature"], kept["class_names"]) == (1.7, list(small.class_names))
    assert str(shipped.parent) not in "".join(
        path.read_text() for path in (tmp_path / "hub").iterdir() if path.suffix in (".json", ".md")
    )


def test_a_former_push_is_replaced_and_other_files_stay(shipped: Path, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    write_hub_folder(shipped, hub)
    (hub / "mine.txt").write_text("mine")
    (shipped / ARTIFACTS).unlink()
    write_hub_folder(shipped, hub)
    names = {path.name for path in hub.iterdir()}
    assert names == {"model.safetensors", "config.json", MARK, "README.md", "mine.txt"}


@pytest.mark.parametrize("kind", ["files", "file", "no model", "other file"])
def test_nothing_else_is_overwritten(kind: str, shipped: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    if kind == "file":
        dest.write_text("mine")
    elif kind == "files":
        dest.mkdir()
        (dest / "mine.txt").write_text("mine")
    elif kind == "other file":
        add_artifact(shipped, Artifact("onnx", "fp32", 1, "../secret", 8, verified=True))
    message = {"files": "not pushed there", "file": "must be a folder", "no model": "holds no model"}
    with pytest.raises(InputError, match=message.get(kind, "must name files in its own folder")):
        write_hub_folder(tmp_path if kind == "no model" else shipped, dest)
    assert not dest.is_dir() or [path.name for path in dest.iterdir()] == ["mine.txt"]


class FakeHub(BaseHTTPRequestHandler):
    """A server with the parts of the hub's API that an upload of small files calls."""

    files: ClassVar[list[str] | None] = None
    visibility: ClassVar[str | None] = None
    lines: ClassVar[list[dict[str, Any]]] = []

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        hub = type(self)
        if hub.files is None:
            return self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        siblings = [{"rfilename": name} for name in hub.files]
        tree = [{"type": "file", "path": name, "size": 1, "oid": "a" * 40} for name in hub.files]
        known = {"id": "user/name", "sha": "0" * 40, "siblings": siblings, "private": True, "tags": []}
        return self._answer(200, tree if "/tree/" in self.path else known)

    def do_POST(self) -> None:
        hub = type(self)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.endswith("/api/repos/create"):
            sent = json.loads(body)
            hub.visibility = sent.get("visibility") or ("private" if sent["private"] else "public")
            hub.files = hub.files or []
            return self._answer(200, {"url": "http://127.0.0.1/user/name", "id": "user/name"})
        if "/preupload/" in self.path:
            paths = [each["path"] for each in json.loads(body)["files"]]
            wanted = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            return self._answer(200, {"files": wanted})
        if self.path.endswith("/api/validate-yaml"):
            return self._answer(200, {"errors": [], "warnings": []})
        hub.lines = [json.loads(line) for line in body.splitlines()]
        hub.files = [each["value"]["path"] for each in hub.lines if each["key"] == "file"]
        commit = {"commitUrl": "http://127.0.0.1/user/name/commit/1", "commitOid": "1" * 40, "success": True}
        return self._answer(200, commit)

    def _answer(self, code: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeHub]]:
    FakeHub.files, FakeHub.visibility, FakeHub.lines = None, None, []
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        api = huggingface_hub.HfApi
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda **options: api(endpoint=address, token="hf_x", **options))
        monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_x")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        yield FakeHub
        server.shutdown()
        thread.join()


def test_a_model_is_uploaded_and_a_former_push_is_replaced(
    hub: type[FakeHub], shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(shipped, "hf://user/name")
    assert "user/name" in capsys.readouterr().out
    assert hub.visibility == "private"
    assert hub.files is not None and {"model.safetensors", "config.json", "README.md", MARK} <= set(hub.files)
    assert not any(CHECK_IMAGES in name for name in hub.files)
    push(shipped, "hf://user/name", public=True)
    assert hub.visibility == "public"


def test_a_repository_with_other_files_is_refused(hub: type[FakeHub], shipped: Path) -> None:
    hub.files = [".gitattributes", "pytorch_model.bin"]
    with pytest.raises(InputError, match="not pushed there"):
        push(shipped, "hf://user/name")
    assert hub.lines == []


@pytest.mark.parametrize("dest", ["hf://name", "hf://user/name/more", "hf://", "hf://user name/x"])
def test_an_address_of_another_form_is_refused(dest: str) -> None:
    with pytest.raises(InputError, match="the address must be hf://USER/NAME"):
        hub_name(dest)


@pytest.mark.parametrize(("offline", "message"), [(True, "HF_HUB_OFFLINE is set"), (False, "needs a login")])
def test_what_is_missing_for_an_upload_is_told_without_a_traceback(
    offline: bool, message: str, shipped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    monkeypatch.setattr(sys, "argv", ["push", str(shipped), "hf://user/name"])
    with pytest.raises(SystemExit) as done:
        run_command(push)
    assert done.value.code == 2
    assert message in capsys.readouterr().err
