"""The page in a real browser, opened from disk, predicts what torch predicts and makes no request."""

import base64
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.browsing import chromium, forget_logs, requests_of
from helpers.odd_images import WRITERS, fit_head
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageCms import ImageCmsProfile, createProfile
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import tdmr_ray
from tdmr_ray.data.reading import InputFormat, read_image, to_square
from tdmr_ray.deploy.check_images import check_images_of
from tdmr_ray.deploy.demo.runtime import load_runtime
from tdmr_ray.errors import InputError
from tdmr_ray.export import export
from tdmr_ray.training.thresholds import Thresholds

NUM_IMAGES, THRESHOLD = 50, 0.35
SIZES = ((97, 31, 40), (33, 210, 17), (13, 8, 64), (40, 40, 40), (61, 40, 40), (500, 2, 32), (640, 427, 48))
"""Width and height of images, and the side of the square."""
CAMERA = ("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream")
READ = """
const [data, form, done] = arguments;
const file = new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], "photo");
readPhoto(file, form).then((pixels) => done([...pixels]), (error) => done(error.message));
"""
SQUARE = """
const [data, width, height, form] = arguments;
return [...toSquare({ width, height, data: Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)) }, form).data];
"""
DROP = """
const moved = new DataTransfer();
moved.items.add(new File([Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0))], "photo.png"));
document.dispatchEvent(new DragEvent("drop", { dataTransfer: moved, cancelable: true }));
"""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def digits() -> tdmr_ray.Task:
    return tdmr_ray.load_task("digits")


@pytest.fixture(scope="module")
def model(digits: tdmr_ray.Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of ten classes with hostile names, and its page."""
    try:
        load_runtime()
    except InputError as error:
        if "must be reachable" not in str(error):
            raise
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("model")
    names = tuple(f"</script><b>{name}" for name in digits.class_names)
    thresholds = Thresholds(min_probability=THRESHOLD)
    replace(fit_head(digits), class_names=names, temperature=1.3, thresholds=thresholds).save(folder)
    check_images_of(digits).save(folder)
    export(folder, demo=True)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile"), *CAMERA) as driver:
        yield driver


@pytest.fixture
def page(browser: Chrome, model: Path) -> Chrome:
    """The browser with the page opened anew."""
    browser.set_window_size(1250, 900)
    forget_logs(browser)
    browser.get(f"file://{model}/demo/index.html")
    WebDriverWait(browser, 60).until(lambda _: browser.execute_script("return document.body.dataset.loaded"))
    assert text_of(browser, "status") == "Ready."
    return browser


@pytest.fixture(scope="module")
def photos(digits: tdmr_ray.Task, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of val as PNG files."""
    folder = tmp_path_factory.mktemp("val")
    paths = [folder / f"{number:02}.png" for number in range(NUM_IMAGES)]
    for path, image in zip(paths, digits.val.images, strict=False):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return paths


def text_of(browser: Chrome, name: str) -> str:
    return browser.find_element(By.ID, name).text


def wait_for_cards(browser: Chrome, count: int) -> list[dict[str, Any]]:
    """Wait until so many photos are done; return what is shown of each, in the order in which they were given."""
    done = "return !document.querySelector('progress[hidden]') ? 0 : document.querySelectorAll('.card').length"
    WebDriverWait(browser, 60).until(lambda _: browser.execute_script(done) == count)
    found: list[dict[str, Any]] = browser.execute_script("""
      const widthOf = (row, name) => row.querySelector(name).getBoundingClientRect().width;
      return [...document.querySelectorAll(".card")].reverse().map((card) => ({
        name: card.querySelector("h2").textContent,
        isNone: card.classList.contains("none"),
        rows: [...card.querySelectorAll(".bars li")].map((row) => ({
          name: row.querySelector(".name").textContent,
          share: Number(row.querySelector("data").value),
          text: row.querySelector("data").textContent,
          bar: widthOf(row, ".fill") / widthOf(row, ".track"),
        })),
      }));
    """)
    return found


def give(browser: Chrome, paths: list[Path], *, before: int = 0) -> list[dict[str, Any]]:
    browser.find_element(By.ID, "files").send_keys("\n".join(map(str, paths)))
    return wait_for_cards(browser, before + len(paths))


def test_page_predicts_what_torch_predicts_and_makes_no_request(page: Chrome, model: Path, photos: list[Path]) -> None:
    small = tdmr_ray.load_model(model)
    cards = give(page, photos)
    expected = small.predict(photos, min_probability=THRESHOLD)
    assert [card["name"] for card in cards] == [each.class_name for each in expected]
    assert {card["isNone"] for card in cards} == {False, True}
    for card, own in zip(cards, expected, strict=True):
        shares = {row["name"]: row["share"] for row in card["rows"]}
        found = [shares[name] for name in small.class_names]
        np.testing.assert_allclose(found, own.probabilities, atol=1e-3)
        assert found.index(max(found)) == own.probabilities.argmax()
        for row in card["rows"][:5]:
            assert row["text"] == f"{100 * row['share']:.1f} %"
            assert row["bar"] == pytest.approx(row["share"], abs=0.01)
    assert text_of(page, "status") == f"{NUM_IMAGES} photos classified."
    assert requests_of(page) == [f"file://{model}/demo/index.html"]
    assert page.get_log("browser") == []
    assert not page.find_elements(By.CSS_SELECTOR, "h2 b, .name b")


def test_page_is_forbidden_to_send_anything(page: Chrome) -> None:
    sent = "fetch('http://127.0.0.1:9/').then(() => arguments[0]('sent'), (error) => arguments[0](error.message))"
    assert page.execute_async_script(sent) == "Failed to fetch"
    messages = [entry["message"] for entry in page.get_log("browser")]
    assert any("violates" in message and "connect-src 'none'" in message for message in messages), messages


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_images_are_scaled_as_pillow_scales_them(resize: Any, interpolation: Any, page: Chrome) -> None:
    chance = np.random.default_rng(0)
    for width, height, size in (
        (97, 31, 40),
        (33, 210, 17),
        (13, 8, 64),
        (40, 40, 40),
        (61, 40, 40),
        (500, 2, 32),
        (640, 427, 48),
    ):
        pixels = chance.integers(0, 256, (height, width, 3), dtype=np.uint8)
        form = InputFormat(size, resize, interpolation)
        encoded = base64.b64encode(pixels.tobytes()).decode()
        found = page.execute_script(SQUARE, encoded, width, height, asdict(form))
        expected = np.asarray(to_square(Image.fromarray(pixels), form))
        assert np.abs(np.reshape(found, expected.shape) - expected.astype(int)).max() <= 1


def _picture() -> Image.Image:
    """A smooth coloured picture, 700 by 400."""
    y, x = np.mgrid[0:400, 0:700]
    planes = [128 + 90 * np.sin(x / 37) * np.cos(y / 23), (x + y) % 256 // 2 + 60, 255 - y / 2]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def _transparent(image: Image.Image, path: Path) -> None:
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path.with_suffix(".png"))


def _deep(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257).save(path.with_suffix(".png"))


def _profiled(image: Image.Image, path: Path) -> None:
    """With a colour profile in which red and blue are exchanged; Pillow's pixels are those without it."""
    profile = bytearray(ImageCmsProfile(createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    image.save(path.with_suffix(".png"), icc_profile=bytes(profile))


FILES: dict[str, tuple[Any, int]] = {
    "plain": (lambda image, path: image.save(path.with_suffix(".png")), 0),
    "transparent": (_transparent, 1),
    "palette": (WRITERS["palette"], 0),
    "deep": (_deep, 1),
    "profiled": (_profiled, 0),
    "turned": (WRITERS["turned"], 6),
    "large": (WRITERS["large"], 2),
    "not square": (WRITERS["tall"], 0),
}
"""Writer of each kind of file, and the largest difference in grey levels."""


@pytest.mark.parametrize("kind", FILES)
def test_files_are_read_as_torch_reads_them(kind: str, page: Chrome, tmp_path: Path) -> None:
    write, allowed = FILES[kind]
    write(_picture(), tmp_path / "photo")
    (path,) = tmp_path.iterdir()
    form = InputFormat(48, "crop", bit_depth=16)
    found = read_in_page(page, path, form)
    expected = read_image(path, form).transpose(1, 2, 0).ravel().astype(int)
    assert not isinstance(found, str), found
    assert np.abs(found - expected).max() <= allowed


def read_in_page(page: Chrome, path: Path, form: InputFormat) -> NDArray[np.int64] | str:
    """Return the pixels that the page reads, or the reason why it cannot read them."""
    found = page.execute_async_script(READ, base64.b64encode(path.read_bytes()).decode(), asdict(form))
    return found if isinstance(found, str) else np.array(found)


def test_unreadable_files_are_told(page: Chrome, photos: list[Path], tmp_path: Path) -> None:
    _deep(_picture(), tmp_path / "deep")
    (tmp_path / "text.png").write_text("no image")
    cards = give(page, [tmp_path / "deep.png", tmp_path / "text.png", photos[0]])
    assert cards[0]["name"].startswith("This photo has more than 8 bits a pixel")
    assert cards[1]["name"] == "This photo cannot be read as an image by this browser."
    assert text_of(page, "status") == "1 photo classified, 2 photos not readable."


def test_threshold_moves_by_keyboard(page: Chrome, photos: list[Path]) -> None:
    assert text_of(page, "threshold_shown") == f"{100 * THRESHOLD:.1f} %"
    slider = page.find_element(By.ID, "threshold")
    slider.send_keys(Keys.END)
    (card,) = give(page, photos[:1])
    assert card["name"] == "none of these"
    assert text_of(page, "status") == "none of these."
    slider.send_keys(Keys.HOME)
    (card,) = wait_for_cards(page, 1)
    assert card["name"] == card["rows"][0]["name"]
    page.find_element(By.ID, "clear").click()
    assert wait_for_cards(page, 0) == []


def test_photos_can_be_dropped(page: Chrome, photos: list[Path]) -> None:
    page.execute_script(DROP, base64.b64encode(photos[0].read_bytes()).decode())
    (dropped,) = wait_for_cards(page, 1)
    assert give(page, photos[:1], before=1)[1] == dropped


def test_camera_shows_a_class_and_keeps_photos(page: Chrome) -> None:
    page.find_element(By.ID, "camera").click()
    WebDriverWait(page, 30).until(lambda _: text_of(page, "seen"))
    page.find_element(By.ID, "take").click()
    (card,) = wait_for_cards(page, 1)
    assert sum(row["share"] for row in card["rows"]) == pytest.approx(1, abs=1e-3)
    page.find_element(By.ID, "stop").click()
    assert not page.find_element(By.ID, "live").is_displayed()
    assert page.get_log("browser") == []


def test_page_is_not_wider_than_a_phone(page: Chrome, photos: list[Path]) -> None:
    page.set_window_size(500, 900)
    give(page, photos[:2])
    width = page.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]
