// Colour maps for evidence, each drawn through a few control points.

/** @typedef {"inferno" | "viridis" | "magma" | "jet"} ColorMapName */

/**
 * Control points as [position, red, green, blue]; between two of them colours run straight in sRGB.
 * They stand where the straight line leaves the published map by no more than 6 of 255 levels.
 * Inferno, viridis and magma grow lighter all the way up, so that more evidence never looks like less, in grey or
 * to a colour-blind reader. Jet does not; it is here because the paper printed its figures with it.
 * @type {Record<ColorMapName, number[][]>}
 */
const CONTROL_POINTS = {
  inferno: [
    [0, 0, 0, 4], [0.075, 14, 9, 43], [0.157, 47, 10, 91], [0.251, 87, 16, 110], [0.412, 152, 39, 102],
    [0.573, 212, 72, 66], [0.675, 239, 108, 35], [0.761, 250, 146, 7], [0.788, 252, 159, 7], [0.882, 248, 205, 55],
    [0.957, 241, 241, 121], [1, 252, 255, 164],
  ],
  viridis: [
    [0, 68, 1, 84], [0.118, 71, 42, 122], [0.227, 62, 76, 138], [0.49, 33, 142, 141], [0.6, 34, 168, 132],
    [0.682, 59, 187, 117], [0.757, 96, 202, 96], [0.941, 216, 226, 25], [1, 253, 231, 37],
  ],
  magma: [
    [0, 0, 0, 4], [0.106, 22, 15, 59], [0.188, 54, 16, 107], [0.243, 78, 17, 123], [0.412, 145, 43, 129],
    [0.584, 216, 69, 108], [0.675, 242, 100, 92], [0.753, 252, 137, 97], [0.847, 254, 182, 124],
    [1, 252, 253, 191],
  ],
  jet: [
    [0, 0, 0, 128], [0.125, 0, 0, 255], [0.375, 0, 255, 255], [0.625, 255, 255, 0], [0.875, 255, 0, 0],
    [1, 128, 0, 0],
  ],
};

/** @type {ColorMapName[]} */
export const COLOR_MAP_NAMES = ["inferno", "viridis", "magma", "jet"];

/**
 * Evidence below this share of the scale fades towards transparent; above it, colour alone tells the value. The
 * same as in lungassist/overlay.py, so that a report and the screen look alike.
 */
export const FADE_BELOW = 0.5;

/**
 * How much of the overlay's opacity a value gets: nothing at 0, all of it from FADE_BELOW on.
 * @param {number} share evidence divided by the scale, in [0, 1]
 * @returns {number} in [0, 1]
 */
export function opacityOf(share) {
  return Math.min(1, share / FADE_BELOW);
}

/**
 * @param {ColorMapName} name
 * @returns {Uint8Array} 256 colours, three bytes each
 */
export function colorTable(name) {
  const table = new Uint8Array(256 * 3);
  for (let entry = 0; entry < 256; entry += 1) table.set(colorAt(CONTROL_POINTS[name], entry / 255), entry * 3);
  return table;
}

/**
 * @param {number[][]} points
 * @param {number} position in [0, 1]
 * @returns {number[]} red, green and blue, 0 to 255
 */
function colorAt(points, position) {
  const after = Math.max(1, points.findIndex((point) => point[0] >= position));
  const [low, high] = [points[after - 1], points[after]];
  const share = (position - low[0]) / (high[0] - low[0]);
  return [1, 2, 3].map((channel) => Math.round(low[channel] + share * (high[channel] - low[channel])));
}

/**
 * The colour bar as CSS, faded as the overlay is: what the legend shows is what the film wears.
 * @param {ColorMapName} name
 * @param {number} opacity of the overlay, in [0, 1]
 * @returns {string}
 */
export function gradient(name, opacity) {
  const table = colorTable(name);
  const stops = Array.from({ length: 17 }, (_, index) => {
    const share = index / 16;
    const [red, green, blue] = table.subarray(Math.round(share * 255) * 3);
    return `rgba(${red}, ${green}, ${blue}, ${(opacity * opacityOf(share)).toFixed(3)}) ${share * 100}%`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
