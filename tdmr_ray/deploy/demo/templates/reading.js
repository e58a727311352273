"use strict";

// Reading of one photo, as tdmr_ray.data.reading.read_image does: upright, RGB, on white, square.

const STRIP_ROWS = 512; // a canvas as large as a photo is more than some phones allow
const DEEP_GREY = "has more than 8 bits a pixel, which browsers cannot read; use tdmr predict";

async function readPhoto(file, form) {
  const head = new Uint8Array(await file.slice(0, 26).arrayBuffer());
  if (isDeepGreyPng(head) && form.bit_depth !== 16) throw new Error(DEEP_GREY);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error("cannot be read as an image by this browser");
  }
  try {
    return readBitmap(bitmap, form, isJpeg(head) ? jpegReduction(bitmap, form.size_px) : 1);
  } finally {
    bitmap.close();
  }
}

function readBitmap(bitmap, form, reduction = 1) {
  return toSquare(pixelsOf(bitmap, reduction), form).data;
}

function isJpeg(head) {
  return head[0] === 0xff && head[1] === 0xd8;
}

// The header of a PNG has the bits of a sample at 24, and its kind at 25, where 0 is grey.
function isDeepGreyPng(head) {
  return String.fromCharCode(...head.subarray(1, 4)) === "PNG" && head[24] === 16 && head[25] === 0;
}

// Pillow decodes a large JPEG at 1/2, 1/4 or 1/8 while both sides are at least twice the size that is asked for.
function jpegReduction({ width, height }, size) {
  const scale = Math.floor(Math.min(width, height) / (2 * size));
  return [8, 4, 2].find((each) => scale >= each) || 1;
}

// RGB pixels of a bitmap on white, each the mean of a block of `reduction` by `reduction` pixels.
function pixelsOf(bitmap, reduction) {
  const width = Math.ceil(bitmap.width / reduction), height = Math.ceil(bitmap.height / reduction);
  const data = new Uint8Array(width * height * 3);
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(bitmap.height, STRIP_ROWS));
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.fillStyle = "white";
  context.imageSmoothingEnabled = false;
  for (let top = 0; top < bitmap.height; top += STRIP_ROWS) {
    const rows = Math.min(STRIP_ROWS, bitmap.height - top);
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
    const strip = context.getImageData(0, 0, bitmap.width, rows);
    reduceInto(data.subarray((top / reduction) * width * 3), strip, reduction, width);
  }
  return { width, height, data };
}

function reduceInto(target, strip, reduction, width) {
  for (let y = 0; y < strip.height; y += reduction) {
    const yEnd = Math.min(y + reduction, strip.height);
    for (let x = 0; x < width; x++) {
      const xEnd = Math.min((x + 1) * reduction, strip.width);
      let red = 0, green = 0, blue = 0;
      for (let row = y; row < yEnd; row++) {
        for (let column = x * reduction; column < xEnd; column++) {
          const at = 4 * (row * strip.width + column);
          red += strip.data[at];
          green += strip.data[at + 1];
          blue += strip.data[at + 2];
        }
      }
      const count = (yEnd - y) * (xEnd - x * reduction), to = 3 * ((y / reduction) * width + x);
      target[to] = Math.round(red / count);
      target[to + 1] = Math.round(green / count);
      target[to + 2] = Math.round(blue / count);
    }
  }
}
