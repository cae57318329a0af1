// The scene on a canvas: the film, its evidence, and the lines of equal evidence.

import { imageOrigin } from "./geometry.js";

/**
 * @typedef {object} Scene
 * @property {import("./pixels.js").WindowedImage} image
 * @property {import("./evidence.js").EvidenceLayer | null} evidence
 * @property {import("./memory.js").State} state
 * @property {number} ratio device pixels per CSS pixel
 * @property {boolean} hurried while a drag lasts
 */

const DIVIDER = "#5a5a5a";

/** A pale line on a dark one is seen on white bone and on black air alike, and is none of the maps' colours. */
const CONTOUR_STROKES = [["rgba(0, 0, 0, 0.75)", 3.5], ["#d9f7ff", 1.5]];

/**
 * @param {CanvasRenderingContext2D} context
 */
export function clear(context) {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {import("./geometry.js").Pane[]} panes the last one wears the evidence
 */
export function drawScene(context, scene, panes) {
  clear(context);
  scene.image.setWindow(scene.state.window, scene.state.inverted);
  panes.forEach((pane, index) => drawPane(context, scene, pane, index === panes.length - 1));
  if (panes.length > 1) {
    context.fillStyle = DIVIDER;
    context.fillRect(panes[0].width - 1, 0, 2, context.canvas.height);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {import("./geometry.js").Pane} pane
 * @param {boolean} withEvidence
 */
function drawPane(context, scene, pane, withEvidence) {
  const { image, state } = scene;
  const { x, y } = imageOrigin(state.view, pane);
  const place = { x, y, width: image.width * state.view.scale, height: image.height * state.view.scale };
  context.save();
  context.beginPath();
  context.rect(pane.left, pane.top, pane.width, pane.height);
  context.clip();
  drawFilm(context, image, image.levelFor(state.view.scale, scene.hurried), place);
  if (withEvidence) drawEvidence(context, scene.evidence, state, place, scene.ratio);
  context.restore();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./pixels.js").WindowedImage} image
 * @param {number} level
 * @param {{x: number, y: number, width: number, height: number}} place of the image on the canvas
 */
export function drawFilm(context, image, level, place) {
  const share = 2 ** -level;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  // The source stops at the film's true edge: a level of odd size reaches half a sample beyond it.
  context.drawImage(
    image.picture(level), 0, 0, image.width * share, image.height * share,
    place.x, place.y, place.width, place.height,
  );
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./evidence.js").EvidenceLayer | null} evidence
 * @param {import("./memory.js").State} state
 * @param {{x: number, y: number, width: number, height: number}} place of the image on the canvas
 * @param {number} lineUnit width of a thin line
 */
export function drawEvidence(context, evidence, state, place, lineUnit) {
  if (!evidence || evidence.peak(state.shown) === 0) return;
  if (state.overlay) {
    context.globalAlpha = state.opacity;
    context.drawImage(
      evidence.picture(state.shown, state.colorMap), place.x, place.y, place.width, place.height,
    );
    context.globalAlpha = 1;
  }
  if (state.contours) strokeContours(context, evidence.contours(state.shown), place, lineUnit);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Path2D} contours in a square of side 1
 * @param {{x: number, y: number, width: number, height: number}} place
 * @param {number} lineUnit
 */
function strokeContours(context, contours, place, lineUnit) {
  const path = new Path2D();
  path.addPath(contours, new DOMMatrix([place.width, 0, 0, place.height, place.x, place.y]));
  context.lineCap = "round";
  for (const [color, width] of CONTOUR_STROKES) {
    context.strokeStyle = color;
    context.lineWidth = width * lineUnit;
    context.stroke(path);
  }
}
