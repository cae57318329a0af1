// Samples to grey: window, inversion, and smaller copies for smaller views.

/**
 * @typedef {{width: number, centre: number}} Window both as shares of the whole range, 1 and 0.5 at the start
 * @typedef {{width: number, height: number, samples: Uint8Array | Uint16Array}} Level
 */

export const WHOLE_RANGE = Object.freeze({ width: 1, centre: 0.5 });

const WIDEST_WINDOW = 2;

/** No copy is made whose longer side would be under this. */
const SMALLEST_LEVEL = 512;

/** Pixels that are windowed within one frame without a visible wait; while a drag lasts, larger levels are spared. */
const FLUENT_PIXELS = 3e6;

/**
 * @param {Window} window
 * @param {number} bits
 * @returns {Window} inside what the samples can show
 */
export function clampWindow(window, bits) {
  const narrowest = 2 / (2 ** bits - 1);
  return {
    width: Math.min(WIDEST_WINDOW, Math.max(narrowest, window.width)),
    centre: Math.min(1, Math.max(0, window.centre)),
  };
}

/**
 * Grey of every sample as an opaque pixel: the standard's LINEAR_EXACT function.
 * @param {Window} window
 * @param {number} bits
 * @param {boolean} inverted
 * @returns {Uint32Array} 2^bits pixels
 */
export function windowTable(window, bits, inverted) {
  const most = 2 ** bits - 1;
  const table = new Uint32Array(most + 1);
  for (let sample = 0; sample <= most; sample += 1) {
    const share = (sample / most - window.centre) / window.width + 0.5;
    const grey = Math.round(255 * Math.min(1, Math.max(0, inverted ? 1 - share : share)));
    table[sample] = (255 << 24) | (grey << 16) | (grey << 8) | grey;
  }
  return table;
}

/**
 * Half the size by the mean of 2 x 2 samples; an odd last row or column is counted twice.
 * @param {Level} level
 * @returns {Level}
 */
export function halve(level) {
  const [width, height] = [Math.ceil(level.width / 2), Math.ceil(level.height / 2)];
  const samples = level.samples.slice(0, width * height);
  for (let y = 0, out = 0; y < height; y += 1) {
    const upper = 2 * y * level.width;
    const lower = Math.min(2 * y + 1, level.height - 1) * level.width;
    for (let x = 0; x < width; x += 1, out += 1) {
      const [left, right] = [2 * x, Math.min(2 * x + 1, level.width - 1)];
      const sum = level.samples[upper + left] + level.samples[upper + right]
        + level.samples[lower + left] + level.samples[lower + right];
      samples[out] = (sum + 2) >> 2;
    }
  }
  return { width, height, samples };
}

/** A study's samples and, level by level, its windowed picture; each is computed when first needed. */
export class WindowedImage {
  /**
   * @param {Level} full
   * @param {number} bits
   */
  constructor(full, bits) {
    this.width = full.width;
    this.height = full.height;
    this.bits = bits;
    this.levels = [full];
    this.pictures = [];
    this.table = windowTable(WHOLE_RANGE, bits, false);
    this.stamp = "";
  }

  /**
   * @param {Window} window
   * @param {boolean} inverted
   */
  setWindow(window, inverted) {
    const stamp = `${window.width}/${window.centre}/${inverted}`;
    if (stamp === this.stamp) return;
    this.stamp = stamp;
    this.table = windowTable(window, this.bits, inverted);
  }

  /**
   * The smallest level that still has a sample for every device pixel.
   * @param {number} scale device pixels per image pixel
   * @param {boolean} hurried while a drag lasts
   * @returns {number}
   */
  levelFor(scale, hurried) {
    const deepest = Math.max(0, Math.floor(Math.log2(Math.max(this.width, this.height) / SMALLEST_LEVEL)));
    const level = Math.min(deepest, Math.max(0, Math.floor(Math.log2(1 / scale))));
    const heavy = (this.width * this.height) / 4 ** level > FLUENT_PIXELS;
    return hurried && heavy ? Math.min(deepest, level + 1) : level;
  }

  /**
   * @param {number} level
   * @returns {HTMLCanvasElement} the level's picture under the present window
   */
  picture(level) {
    const { width, height, samples } = this.level(level);
    this.pictures[level] ??= newPicture(width, height);
    const picture = this.pictures[level];
    if (picture.stamp === this.stamp) return picture.canvas;
    const { table } = this;
    for (let index = 0; index < samples.length; index += 1) picture.greys[index] = table[samples[index]];
    picture.context.putImageData(picture.pixels, 0, 0);
    picture.stamp = this.stamp;
    return picture.canvas;
  }

  /**
   * @param {number} index
   * @returns {Level}
   */
  level(index) {
    while (this.levels.length <= index) this.levels.push(halve(this.levels[this.levels.length - 1]));
    return this.levels[index];
  }
}

/**
 * @param {number} width
 * @param {number} height
 */
function newPicture(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { alpha: false });
  const pixels = context.createImageData(width, height);
  return { canvas, context, pixels, greys: new Uint32Array(pixels.data.buffer), stamp: "" };
}
