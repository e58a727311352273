"use strict";

// Pillow's antialiased resize of 8-bit images, in its own fixed-point arithmetic, so that every pixel is the same.
// Source: Pillow, src/libImaging/Resample.c. An image is {width, height, data}, with 3 bytes a pixel.

const FRACTION_BITS = 22;

const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight: (signed) => {
      const x = Math.abs(signed), a = -0.5;
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
};

// For each output position: the first input position, and the weights from there on.
function weightsFor(inputSize, outputSize, filter) {
  const scale = inputSize / outputSize, stretch = Math.max(1, scale), support = filter.support * stretch;
  return Array.from({ length: outputSize }, (_, position) => {
    const center = (position + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(inputSize, Math.trunc(center + support + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) => filter.weight((k + first - center + 0.5) / stretch));
    const total = raw.reduce((sum, each) => sum + each, 0) || 1;
    const fixed = raw.map((each) => {
      const scaled = (each / total) * 2 ** FRACTION_BITS;
      return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    });
    return { first, fixed };
  });
}

// Resize one side; `step` is the distance in bytes between neighbours on that side, `across` on the other one.
function resizeSide(source, target, positions, count, [step, across], [targetStep, targetAcross]) {
  const half = 2 ** (FRACTION_BITS - 1);
  positions.forEach(({ first, fixed }, position) => {
    for (let line = 0; line < count; line++) {
      const from = line * across + first * step, to = line * targetAcross + position * targetStep;
      for (let channel = 0; channel < 3; channel++) {
        let sum = half;
        for (let k = 0, at = from + channel; k < fixed.length; k++, at += step) sum += source[at] * fixed[k];
        target[to + channel] = Math.min(255, Math.max(0, sum >> FRACTION_BITS));
      }
    }
  });
  return target;
}

function resizeImage({ width, height, data }, newWidth, newHeight, interpolation) {
  const filter = FILTERS[interpolation];
  if (newWidth !== width) {
    const wide = new Uint8Array(newWidth * height * 3);
    data = resizeSide(data, wide, weightsFor(width, newWidth, filter), height, [3, 3 * width], [3, 3 * newWidth]);
  }
  if (newHeight !== height) {
    const done = new Uint8Array(newWidth * newHeight * 3), row = 3 * newWidth;
    data = resizeSide(data, done, weightsFor(height, newHeight, filter), newWidth, [row, 3], [row, 3]);
  }
  return { width: newWidth, height: newHeight, data };
}

// A rectangle of an image, or an image on a larger black one where left and top are negative.
function cutOut({ width, height, data }, left, top, newWidth, newHeight) {
  const target = new Uint8Array(newWidth * newHeight * 3);
  const skipped = Math.max(0, -left), start = Math.max(0, left), length = Math.min(newWidth - skipped, width - start);
  for (let y = Math.max(0, -top); y < newHeight && y + top < height; y++) {
    const from = ((y + top) * width + start) * 3;
    target.set(data.subarray(from, from + 3 * length), (y * newWidth + skipped) * 3);
  }
  return { width: newWidth, height: newHeight, data: target };
}

// Python's round: a half goes to the even neighbour.
function roundHalfEven(value) {
  const floor = Math.floor(value), rest = value - floor;
  return rest === 0.5 ? floor + (floor % 2) : Math.round(value);
}

// Scale an image to a square as tdmr_ray.data.reading.to_square does.
function toSquare(image, { size_px: size, resize, interpolation }) {
  const { width, height } = image;
  if (resize === "squash") return resizeImage(image, size, size, interpolation);
  if (resize === "crop") {
    const side = Math.min(width, height), left = Math.floor((width - side) / 2), top = Math.floor((height - side) / 2);
    return resizeImage(cutOut(image, left, top, side, side), size, size, interpolation);
  }
  const newWidth = width < height ? roundHalfEven((width / height) * size) : size;
  const newHeight = width > height ? roundHalfEven((height / width) * size) : size;
  const scaled = resizeImage(image, newWidth, newHeight, interpolation);
  const left = roundHalfEven((size - newWidth) / 2), top = roundHalfEven((size - newHeight) / 2);
  return cutOut(scaled, -left, -top, size, size);
}
