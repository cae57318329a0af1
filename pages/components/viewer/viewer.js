// The viewer itself: one per place on the page, fed by Streamlit with a message at every rerun.

import { connectControls } from "./controls.js";
import { clear, drawScene } from "./drawing.js";
import { EvidenceLayer } from "./evidence.js";
import { fitView, layoutPanes } from "./geometry.js";
import { connectGestures } from "./gestures.js";
import { recall } from "./memory.js";
import { Panel, paintedCaption } from "./panel.js";
import { decodeSamples, readMessage } from "./payload.js";
import { WindowedImage } from "./pixels.js";
import { composeView, download } from "./saving.js";

export class Viewer {
  /** @param {HTMLElement} root the element of viewer.html */
  constructor(root) {
    this.root = root;
    this.panel = new Panel(root);
    this.canvas = root.querySelector("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    /** @type {import("./payload.js").Header | null} */
    this.header = null;
    /** @type {import("./memory.js").State | null} */
    this.state = null;
    /** @type {WindowedImage | null} */
    this.image = null;
    /** @type {EvidenceLayer | null} */
    this.evidence = null;
    this.ratio = 1;
    this.hurried = false;
    this.frame = 0;
    this.turn = 0;
    this.listen();
  }

  listen() {
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    connectControls(this, signal);
    connectGestures(this, signal);
    this.observer = new ResizeObserver(() => this.invalidate());
    this.observer.observe(this.canvas);
    // A window that moves to another screen changes its device pixels without any element changing size.
    window.addEventListener("resize", () => this.invalidate(), { signal });
    document.addEventListener("fullscreenchange", () => this.showFullscreen(), { signal });
    this.root.querySelector("[data-action=fullscreen]").hidden = !document.fullscreenEnabled;
  }

  get classes() {
    return this.header.evidence.classes;
  }

  /**
   * Take what Python sent. A rerun that changed nothing here costs the reading of a header.
   * @param {Uint8Array} message
   */
  receive(message) {
    const before = this.header;
    const { header, maps, body } = readMessage(message);
    this.header = header;
    this.state = recall(header);
    this.root.style.setProperty("--stage-height", `${header.stageHeight}px`);
    const newStudy = before?.study !== header.study;
    if (newStudy || before.evidence.id !== header.evidence.id) {
      const { shape, scale } = header.evidence;
      this.evidence = maps && new EvidenceLayer(maps, shape, scale, header.image);
    }
    this.panel.buildClasses(this.classes, header.evidence.classBlind, (shown) => this.change({ shown }));
    if (newStudy) this.load(body);
    this.change({});
  }

  /**
   * @param {Uint8Array} body
   */
  async load(body) {
    const { study, image } = this.header;
    // The last study goes at once: it must never be seen under the name of the new one.
    this.image = null;
    this.panel.showNotice("Loading the image…");
    try {
      const samples = await decodeSamples(body, image);
      if (this.header.study !== study) return;
      this.image = new WindowedImage({ ...image, samples }, image.bits);
      this.root.dataset.decoded = String(Number(this.root.dataset.decoded ?? 0) + 1);
      this.panel.showNotice("");
    } catch (error) {
      if (this.header.study === study) this.panel.showNotice(`The image cannot be shown: ${error.message}.`);
    }
    this.change({});
  }

  /** @param {Partial<import("./memory.js").State>} patch */
  change(patch) {
    Object.assign(this.state, patch);
    this.invalidate();
  }

  /** @param {boolean} hurried while a drag lasts, when a coarser picture in time beats a fine one late */
  setHurried(hurried) {
    this.hurried = hurried;
    this.invalidate();
  }

  /** Draw with the next frame, however often the state changes until then. */
  invalidate() {
    if (!this.frame && !this.listeners.signal.aborted) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    if (!this.header) return;
    this.fitCanvas();
    if (this.image) {
      if (this.state.view.fit) this.state.view = fitView(this.image, this.panes()[0]);
      drawScene(this.context, this, this.panes());
      this.panel.showZoom(this.state, this.header.spacing?.[1] ?? null, this.panes()[0].width, this.ratio);
    } else clear(this.context);
    this.panel.showState(this.header, this.state, this.evidence);
  }

  fitCanvas() {
    this.ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * this.ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * this.ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
  }

  panes() {
    return layoutPanes(this.canvas, this.state.sideBySide && this.evidence !== null);
  }

  fit() {
    if (this.image) this.change({ view: fitView(this.image, this.panes()[0]) });
  }

  save() {
    const { label } = this.classes[this.state.shown];
    const caption = paintedCaption(this.header, this.state, this.evidence);
    download(composeView(this, caption), this.header.evidence.classBlind ? "activations" : label);
  }

  toggleFullscreen() {
    const leave = Boolean(document.fullscreenElement);
    const change = leave ? document.exitFullscreen() : this.root.requestFullscreen();
    change.catch(() => this.panel.speakLater("The browser refused full screen"));
  }

  showFullscreen() {
    const full = this.root.matches(":fullscreen");
    this.root.querySelector("[data-action=fullscreen]").setAttribute("aria-pressed", String(full));
    this.invalidate();
  }

  destroy() {
    this.listeners.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    this.panel.destroy();
  }
}

/** @type {WeakMap<Element, Viewer>} */
const VIEWERS = new WeakMap();

/**
 * Streamlit calls this at every rerun with new data, and keeps only the last call's cleanup. A cleanup of an
 * earlier call may still come late; it must not take down what a later call uses.
 */
export default function mount({ data, parentElement }) {
  const root = parentElement.querySelector(".viewer");
  const viewer = VIEWERS.get(root) ?? new Viewer(root);
  VIEWERS.set(root, viewer);
  viewer.receive(data);
  viewer.turn += 1;
  const { turn } = viewer;
  return () => {
    if (viewer.turn !== turn) return;
    viewer.destroy();
    VIEWERS.delete(root);
  };
}
