// Mouse, pen and fingers on the film: window, pan, zoom, pinch.

import { panBy, zoomAt } from "./geometry.js";
import { clampWindow } from "./pixels.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

/** CSS pixels that a pointer moves before a press becomes a drag, so that a double click leaves the window alone. */
const SLACK = 3;

/** CSS pixels of horizontal drag that widen the window e times. */
const WIDTH_DRAG = 220;

/** CSS pixels of vertical drag that move the centre by the window's width. */
const CENTRE_DRAG = 420;

/** Zoom per pixel of wheel; a trackpad's pinch comes as a wheel with Ctrl and small steps. */
const WHEEL_ZOOM = 0.0015;

const PINCH_WHEEL_ZOOM = 0.01;

const LINE_HEIGHT = 16;

/** @param {WheelEvent} event */
function wheelFactor(event) {
  const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_HEIGHT : 1);
  return Math.exp(-pixels * (event.ctrlKey ? PINCH_WHEEL_ZOOM : WHEEL_ZOOM));
}

/** Follows the pointers that are down on a viewer's canvas. */
class Gestures {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {Map<number, {x: number, y: number}>} in CSS pixels */
    this.pointers = new Map();
    this.mode = "none";
    this.spaceHeld = false;
    this.start = null;
  }

  /** @param {PointerEvent} event */
  press(event) {
    const { viewer } = this;
    viewer.canvas.focus({ preventScroll: true });
    if (!viewer.image) return;
    viewer.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.start = { x: event.clientX, y: event.clientY, window: { ...viewer.state.window } };
    if (this.pointers.size > 1) this.setMode("pinch");
    else if (event.button > 0 || event.shiftKey || this.spaceHeld) this.setMode("pan");
    else this.setMode("pressed");
  }

  /** @param {PointerEvent} event */
  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.viewer.image) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.mode === "pinch") this.pinch(event.pointerId, now);
    if (this.mode === "pan") this.pan(now.x - before.x, now.y - before.y);
    if (this.mode === "pressed" && Math.hypot(now.x - this.start.x, now.y - this.start.y) > SLACK) {
      this.setMode("window");
    }
    if (this.mode === "window") this.window(now.x - this.start.x, now.y - this.start.y);
    this.pointers.set(event.pointerId, now);
  }

  /** @param {PointerEvent} event */
  release(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    // A finger that stays after a pinch pans: it must not start to window from where it happens to be.
    this.setMode(this.pointers.size > 0 ? "pan" : "none");
  }

  /** @param {"none" | "pressed" | "window" | "pan" | "pinch"} mode */
  setMode(mode) {
    this.mode = mode;
    this.viewer.root.dataset.gesture = mode === "none" && this.spaceHeld ? "ready" : mode;
    this.viewer.setHurried(mode === "window");
  }

  /**
   * @param {number} dx CSS pixels
   * @param {number} dy
   */
  pan(dx, dy) {
    const { state, image, ratio } = this.viewer;
    this.viewer.change({ view: panBy(state.view, image, dx * ratio, dy * ratio) });
  }

  /**
   * Right widens the window, left narrows it; up brightens, down darkens, also when inverted.
   * @param {number} dx CSS pixels since the press
   * @param {number} dy
   */
  window(dx, dy) {
    const { width, centre } = this.start.window;
    const darker = (this.viewer.state.inverted ? -dy : dy) / CENTRE_DRAG;
    const window = { width: width * Math.exp(dx / WIDTH_DRAG), centre: centre + darker * Math.min(1, width) };
    this.viewer.change({ window: clampWindow(window, this.viewer.image.bits) });
  }

  /**
   * Two fingers zoom about their middle and pan with it.
   * @param {number} id of the finger that moved
   * @param {{x: number, y: number}} now
   */
  pinch(id, now) {
    const other = [...this.pointers].find(([pointer]) => pointer !== id)?.[1];
    if (!other) return;
    const before = this.pointers.get(id);
    const spread = (finger) => Math.max(1, Math.hypot(finger.x - other.x, finger.y - other.y));
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    this.zoom({ x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 }, spread(now) / spread(before));
  }

  /**
   * @param {{x: number, y: number}} client in CSS pixels of the window
   * @param {number} factor
   */
  zoom(client, factor) {
    const { viewer } = this;
    const box = viewer.canvas.getBoundingClientRect();
    const point = { x: (client.x - box.left) * viewer.ratio, y: (client.y - box.top) * viewer.ratio };
    const pane = viewer.panes().find(({ left, width }) => point.x < left + width) ?? viewer.panes()[0];
    viewer.change({ view: zoomAt(viewer.state.view, viewer.image, pane, point, factor) });
  }

  /**
   * Space with a drag pans. Only on the canvas: on a button, Space presses the button.
   * @param {KeyboardEvent} event
   */
  space(event) {
    if (event.key !== " ") return;
    event.preventDefault();
    this.holdSpace(event.type === "keydown");
  }

  /** @param {boolean} held */
  holdSpace(held) {
    this.spaceHeld = held;
    if (this.mode === "none") this.setMode("none");
  }
}

/**
 * @param {Viewer} viewer
 * @param {AbortSignal} signal that takes every listener away
 */
export function connectGestures(viewer, signal) {
  const gestures = new Gestures(viewer);
  const listen = (type, handler) => viewer.canvas.addEventListener(type, handler, { signal, passive: false });
  listen("pointerdown", (event) => gestures.press(event));
  listen("pointermove", (event) => gestures.move(event));
  listen("pointerup", (event) => gestures.release(event));
  listen("pointercancel", (event) => gestures.release(event));
  listen("keydown", (event) => gestures.space(event));
  listen("keyup", (event) => gestures.space(event));
  listen("blur", () => gestures.holdSpace(false));
  listen("contextmenu", (event) => event.preventDefault());
  // The middle button would start the browser's own scrolling.
  listen("mousedown", (event) => event.button === 1 && event.preventDefault());
  listen("dblclick", () => viewer.fit());
  listen("wheel", (event) => {
    if (!viewer.image) return;
    event.preventDefault();
    gestures.zoom({ x: event.clientX, y: event.clientY }, wheelFactor(event));
  });
}
