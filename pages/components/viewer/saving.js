// "Save view": film and evidence at the film's own resolution, with a caption that travels along.

import { drawEvidence, drawFilm } from "./drawing.js";

const NOTICE = "LungAssist - decision support, not a diagnosis";

const FONT = "system-ui, sans-serif";

/** Smallest font that is still read on a screen; a narrow film gets two lines instead of smaller letters. */
const SMALLEST_FONT = 11;

/**
 * The film under the present window, with the evidence as shown, and the caption below. No file name: it may name
 * a patient.
 * @param {import("./drawing.js").Scene} scene
 * @param {string} subject what is painted, such as "Evidence for COVID-19"
 * @returns {HTMLCanvasElement}
 */
export function composeView({ image, evidence, state }, subject) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false });
  const caption = layOutCaption(context, image.width, subject);
  const place = { x: 0, y: 0, width: image.width, height: image.height };
  Object.assign(canvas, { width: image.width, height: image.height + caption.height });
  image.setWindow(state.window, state.inverted);
  drawFilm(context, image, 0, place);
  drawEvidence(context, evidence, state, place, Math.max(1, image.width / 1000));
  drawCaption(context, caption, image.height);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {string} subject
 * @returns {{lines: string[], size: number, height: number}}
 */
function layOutCaption(context, width, subject) {
  let size = Math.max(SMALLEST_FONT, Math.round(width * 0.018));
  const fits = (line) => {
    context.font = `${size}px ${FONT}`;
    return context.measureText(line).width <= width - 2 * size;
  };
  const whole = `${subject} | ${NOTICE}`;
  const lines = fits(whole) ? [whole] : [subject, NOTICE];
  while (size > 6 && !lines.every(fits)) size -= 1;
  return { lines, size, height: Math.ceil(size * (0.8 + 1.3 * lines.length)) };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{lines: string[], size: number, height: number}} caption
 * @param {number} top
 */
function drawCaption(context, { lines, size, height }, top) {
  context.fillStyle = "#fff";
  context.fillRect(0, top, context.canvas.width, height);
  context.fillStyle = "#111";
  context.font = `${size}px ${FONT}`;
  context.textBaseline = "middle";
  lines.forEach((line, index) => context.fillText(line, size, top + size * (1.05 + 1.3 * index)));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {string} label of the class or of whatever else is painted, for the file's name
 */
export function download(canvas, label) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `lungassist-${label.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.png`;
    link.click();
    // Revoked later: some browsers read the address only after the click has returned.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}
