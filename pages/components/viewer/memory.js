// What a reader has set, kept while the page lives: longer than a rerun, and longer than a visit to another page.

import { WHOLE_RANGE } from "./pixels.js";

/**
 * @typedef {object} State
 * @property {string} study
 * @property {string} callerClass the class that Python named last
 * @property {number} shown index of the class on the heat map
 * @property {import("./pixels.js").Window} window
 * @property {boolean} inverted
 * @property {import("./geometry.js").View} view
 * @property {import("./colormaps.js").ColorMapName} colorMap
 * @property {number} opacity in [0, 1]
 * @property {boolean} overlay
 * @property {boolean} contours
 * @property {boolean} sideBySide
 * @property {boolean} keysOpen
 */

/** @type {Map<string, State>} by the key that Python gave the viewer */
const MEMORY = new Map();

/** What belongs to the reader rather than to a study. */
const HABITS = Object.freeze({
  colorMap: "inferno", opacity: 0.5, overlay: true, contours: false, sideBySide: false, keysOpen: false,
});

/** What a new study, or a reset, starts with. */
export function freshStudy() {
  return { window: { ...WHOLE_RANGE }, inverted: false, view: { fit: true, scale: 1, x: 0, y: 0 } };
}

/**
 * The state for this viewer and study. A new study drops window, zoom and class, and keeps the habits; within a
 * study the reader's class stays until Python names another one than before.
 * @param {import("./payload.js").Header} header
 * @returns {State}
 */
export function recall(header) {
  const { shown, classes } = header.evidence;
  const state = MEMORY.get(header.key) ?? { ...HABITS, study: "", callerClass: "", shown: 0 };
  const newStudy = state.study !== header.study;
  if (newStudy) Object.assign(state, freshStudy(), { study: header.study });
  if (newStudy || state.callerClass !== shown || state.shown >= classes.length) {
    state.shown = classes.findIndex((entry) => entry.label === shown);
    state.callerClass = shown;
  }
  MEMORY.set(header.key, state);
  return state;
}
