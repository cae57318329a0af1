// Where the image lies in a pane. Pure functions; all lengths on the screen are device pixels.

/**
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number}} Point
 * @typedef {{left: number, top: number, width: number, height: number}} Pane
 * @typedef {{fit: boolean, scale: number, x: number, y: number}} View
 *   scale: device pixels per image pixel; x, y: the image point at the pane's centre; fit: follow the pane's size.
 */

const LARGEST_SCALE = 32;

/** Share of a fitted image's scale below which zooming out stops: smaller is of no use to a reader. */
const SMALLEST_FIT_SHARE = 0.25;

/** Lengths that a scale bar may have, in millimetres. */
const BAR_LENGTHS = [1, 2, 5, 10, 20, 50, 100, 200];

/**
 * One pane over the whole canvas, or two halves side by side.
 * @param {Size} canvas
 * @param {boolean} sideBySide
 * @returns {Pane[]}
 */
export function layoutPanes(canvas, sideBySide) {
  const width = sideBySide ? Math.floor(canvas.width / 2) : canvas.width;
  const lefts = sideBySide ? [0, canvas.width - width] : [0];
  return lefts.map((left) => ({ left, top: 0, width, height: canvas.height }));
}

/**
 * @param {Size} image
 * @param {Size} pane
 * @returns {number} the largest scale at which the whole image is seen
 */
export function fitScale(image, pane) {
  return Math.min(pane.width / image.width, pane.height / image.height);
}

/**
 * @param {Size} image
 * @param {Size} pane
 * @returns {View} the whole image, centred
 */
export function fitView(image, pane) {
  return { fit: true, scale: fitScale(image, pane), x: image.width / 2, y: image.height / 2 };
}

/**
 * Upper left corner of the image in a pane, on a whole device pixel so that 1:1 stays sharp.
 * @param {View} view
 * @param {Pane} pane
 * @returns {Point}
 */
export function imageOrigin(view, pane) {
  return {
    x: Math.round(pane.left + pane.width / 2 - view.x * view.scale),
    y: Math.round(pane.top + pane.height / 2 - view.y * view.scale),
  };
}

/**
 * @param {View} view
 * @param {Pane} pane
 * @param {Point} point on the canvas
 * @returns {Point} in image pixels
 */
export function toImage(view, pane, point) {
  return {
    x: view.x + (point.x - pane.left - pane.width / 2) / view.scale,
    y: view.y + (point.y - pane.top - pane.height / 2) / view.scale,
  };
}

/**
 * Zoom so that the image point under `point` stays there.
 * @param {View} view
 * @param {Size} image
 * @param {Pane} pane
 * @param {Point} point on the canvas
 * @param {number} factor above 1 to zoom in
 * @returns {View}
 */
export function zoomAt(view, image, pane, point, factor) {
  const smallest = Math.min(1, fitScale(image, pane) * SMALLEST_FIT_SHARE);
  const scale = Math.min(LARGEST_SCALE, Math.max(smallest, view.scale * factor));
  const fixed = toImage(view, pane, point);
  const keep = view.scale / scale;
  return keepInside(
    { fit: false, scale, x: fixed.x + (view.x - fixed.x) * keep, y: fixed.y + (view.y - fixed.y) * keep },
    image,
  );
}

/**
 * @param {View} view
 * @param {Size} image
 * @param {number} dx to the right, in device pixels
 * @param {number} dy downwards
 * @returns {View}
 */
export function panBy(view, image, dx, dy) {
  return keepInside({ ...view, fit: false, x: view.x - dx / view.scale, y: view.y - dy / view.scale }, image);
}

/**
 * The pane's centre never leaves the image, so that it cannot get lost.
 * @param {View} view
 * @param {Size} image
 * @returns {View}
 */
function keepInside(view, image) {
  const clamp = (value, most) => Math.min(most, Math.max(0, value));
  return { ...view, x: clamp(view.x, image.width), y: clamp(view.y, image.height) };
}

/**
 * @param {number} millimetres per image pixel, at the detector
 * @param {number} scale device pixels per image pixel
 * @param {number} longest device pixels that the bar may take
 * @returns {{length: number, label: string} | null} null where even the shortest bar is too long
 */
export function scaleBar(millimetres, scale, longest) {
  const fits = BAR_LENGTHS.filter((length) => (length / millimetres) * scale <= longest);
  if (fits.length === 0) return null;
  const length = fits[fits.length - 1];
  return { length: (length / millimetres) * scale, label: length < 10 ? `${length} mm` : `${length / 10} cm` };
}
