// What a button or a key does. One table of actions serves both.

import { COLOR_MAP_NAMES } from "./colormaps.js";
import { panBy, zoomAt } from "./geometry.js";
import { freshStudy } from "./memory.js";
import { clampWindow } from "./pixels.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

const ZOOM_STEP = 1.25;

const OPACITY_STEP = 0.1;

/** Share of the pane's shorter side that an arrow key pans. */
const PAN_STEP = 0.08;

/** Factor on the window's width, and share of it that the centre moves, for one arrow key with Shift. */
const WINDOW_STEP = 1.1;

const LEVEL_STEP = 0.05;

/** @type {Record<string, (viewer: Viewer) => void>} by `data-action` */
const ACTIONS = {
  fit: (viewer) => viewer.fit(),
  actual: (viewer) => zoomAtCentre(viewer, 1 / viewer.state.view.scale),
  zoomIn: (viewer) => zoomAtCentre(viewer, ZOOM_STEP),
  zoomOut: (viewer) => zoomAtCentre(viewer, 1 / ZOOM_STEP),
  reset: (viewer) => viewer.change(freshStudy()),
  inverted: (viewer) => toggle(viewer, "inverted"),
  overlay: (viewer) => toggle(viewer, "overlay"),
  contours: (viewer) => toggle(viewer, "contours"),
  sideBySide: (viewer) => toggle(viewer, "sideBySide"),
  keysOpen: (viewer) => toggle(viewer, "keysOpen"),
  fainter: (viewer) => setOpacity(viewer, viewer.state.opacity - OPACITY_STEP),
  stronger: (viewer) => setOpacity(viewer, viewer.state.opacity + OPACITY_STEP),
  nextColorMap: (viewer) => {
    const next = COLOR_MAP_NAMES.indexOf(viewer.state.colorMap) + 1;
    viewer.change({ colorMap: COLOR_MAP_NAMES[next % COLOR_MAP_NAMES.length] });
  },
  save: (viewer) => viewer.save(),
  fullscreen: (viewer) => viewer.toggleFullscreen(),
};

const KEYS = {
  f: "fit", 0: "fit", a: "actual", "+": "zoomIn", "=": "zoomIn", "-": "zoomOut", _: "zoomOut", r: "reset",
  i: "inverted", h: "overlay", c: "contours", s: "sideBySide", m: "nextColorMap", "[": "fainter", "]": "stronger",
  "?": "keysOpen",
};

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @param {Viewer} viewer
 * @param {number} factor
 */
function zoomAtCentre(viewer, factor) {
  const [pane] = viewer.panes();
  const centre = { x: pane.left + pane.width / 2, y: pane.top + pane.height / 2 };
  viewer.change({ view: zoomAt(viewer.state.view, viewer.image, pane, centre, factor) });
}

/**
 * @param {Viewer} viewer
 * @param {"inverted" | "overlay" | "contours" | "sideBySide" | "keysOpen"} name
 */
function toggle(viewer, name) {
  viewer.change({ [name]: !viewer.state[name] });
}

/**
 * @param {Viewer} viewer
 * @param {number} opacity
 */
function setOpacity(viewer, opacity) {
  viewer.change({ opacity: Math.min(1, Math.max(0, Math.round(opacity * 100) / 100)) });
}

/**
 * Right pans to the right; with Shift, right widens the window and up brightens.
 * @param {Viewer} viewer
 * @param {number[]} direction
 * @param {boolean} windowing
 */
function pressArrow(viewer, [right, down], windowing) {
  const { state, image } = viewer;
  if (windowing) {
    const { width, centre } = state.window;
    const darker = state.inverted ? -down : down;
    const window = { width: width * WINDOW_STEP ** right, centre: centre + darker * LEVEL_STEP * Math.min(1, width) };
    viewer.change({ window: clampWindow(window, image.bits) });
    return;
  }
  const [pane] = viewer.panes();
  const step = PAN_STEP * Math.min(pane.width, pane.height);
  viewer.change({ view: panBy(state.view, image, -right * step, -down * step) });
}

/**
 * @param {Viewer} viewer
 * @param {KeyboardEvent} event
 * @returns {boolean} whether the key meant something here
 */
function pressKey(viewer, event) {
  const action = KEYS[event.key.toLowerCase()];
  const index = Number(event.key) - 1;
  if (event.key in ARROWS) pressArrow(viewer, ARROWS[event.key], event.shiftKey);
  else if (viewer.evidence && index >= 0 && index < viewer.classes.length) viewer.change({ shown: index });
  else if (event.key === "Escape" && viewer.state.keysOpen) viewer.change({ keysOpen: false });
  else if (action) ACTIONS[action](viewer);
  else return false;
  return true;
}

/**
 * A slider or a list keeps the keys that it lives on; a chord with Ctrl, Alt or Meta is the browser's.
 * @param {KeyboardEvent} event
 * @returns {boolean}
 */
function isOurs(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return false;
  const widget = /** @type {HTMLElement} */ (event.target).tagName;
  return widget !== "SELECT" && !(widget === "INPUT" && event.key in ARROWS);
}

/**
 * @param {Viewer} viewer
 * @param {AbortSignal} signal that takes every listener away
 */
export function connectControls(viewer, signal) {
  const { root } = viewer;
  root.addEventListener("keydown", (event) => {
    if (!viewer.image || !isOurs(event) || !pressKey(viewer, event)) return;
    event.preventDefault();
    // The page has hot keys of its own (R reruns, C clears caches); what was meant for the film ends here.
    event.stopPropagation();
  }, { signal });
  root.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("[data-action]");
    if (button && viewer.image) ACTIONS[button.dataset.action](viewer);
  }, { signal });
  const { opacity, colorMap } = viewer.panel.parts;
  opacity.addEventListener("input", () => setOpacity(viewer, Number(opacity.value) / 100), { signal });
  colorMap.addEventListener("change", () => viewer.change({ colorMap: colorMap.value }), { signal });
}
