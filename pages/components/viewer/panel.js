// Everything around the canvas that tells the reader the state: readouts, legend, pressed buttons, spoken text.

import { gradient } from "./colormaps.js";
import { CONTOUR_SHARES } from "./evidence.js";
import { scaleBar } from "./geometry.js";

/** Longest share of a pane's width that the scale bar takes. */
const BAR_SHARE = 0.28;

/** A screen reader hears the state once it has rested for so long, in milliseconds. */
const REST = 600;

/**
 * @param {number} share
 * @returns {string} per cent, with more digits where a narrow window needs them
 */
export function percent(share) {
  const value = 100 * share;
  return `${value.toFixed(value >= 10 ? 0 : value >= 1 ? 1 : 2)} %`;
}

/** The parts of viewer.html that show state, found once by their `data-part`. */
export class Panel {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.parts = Object.fromEntries(
      [...root.querySelectorAll("[data-part]")].map((element) => [element.dataset.part, element]),
    );
    this.toggles = [...root.querySelectorAll("[data-toggle]")];
    this.spoken = 0;
    this.built = "";
  }

  /**
   * One button per class, with its key and probability.
   * @param {import("./payload.js").ClassEntry[]} classes
   * @param {boolean} classBlind the heat map is the same for all of them
   * @param {(index: number) => void} choose
   */
  buildClasses(classes, classBlind, choose) {
    // Untouched when nothing changed: a rerun must not take the focus from a button.
    const built = JSON.stringify([classes, classBlind]);
    if (built === this.built) return;
    this.built = built;
    this.parts.classes.replaceChildren(...classes.map((entry, index) => classButton(entry, index, classBlind, choose)));
  }

  /**
   * @param {import("./payload.js").Header} header
   * @param {import("./memory.js").State} state
   * @param {import("./evidence.js").EvidenceLayer | null} evidence
   */
  showState(header, state, evidence) {
    const { classes, classBlind } = header.evidence;
    const caption = paintedCaption(header, state, evidence);
    this.root.dataset.evidence = evidence ? "some" : "none";
    [...this.parts.classes.children].forEach((button, index) => press(button, index === state.shown));
    for (const button of this.toggles) press(button, state[button.dataset.toggle]);
    this.parts.window.textContent = `W ${percent(state.window.width)} · L ${percent(state.window.centre)}`;
    this.parts.inverted.hidden = !state.inverted;
    this.parts.keys.hidden = !state.keysOpen;
    this.parts.position.textContent = header.viewPosition ?? "";
    this.showLegend(header, state, evidence);
    this.showCaptions(caption, state, evidence);
    this.speakLater(spokenState(classes[state.shown], classBlind, caption, state, evidence));
  }

  /**
   * @param {import("./payload.js").Header} header
   * @param {import("./memory.js").State} state
   * @param {import("./evidence.js").EvidenceLayer | null} evidence
   */
  showLegend(header, state, evidence) {
    const { parts } = this;
    const { classes, classBlind } = header.evidence;
    if (!evidence) {
      parts.title.textContent = "No heat map for this study";
      return;
    }
    const peak = evidence.peak(state.shown);
    const what = subject(classes[state.shown].name, classBlind, peak);
    parts.title.textContent = peak > 0 ? what : `${what}: nothing is painted`;
    parts.peak.textContent = peak > 0 ? `strongest here: ${percent(Math.min(1, peak))} of the scale` : "";
    parts.bar.style.backgroundImage = gradient(state.colorMap, state.opacity);
    parts.most.textContent = classBlind ? "strongest" : `strongest for any of the ${classes.length} classes`;
    parts.note.textContent = legendNote(header.evidence, state.contours);
    parts.opacity.value = String(Math.round(100 * state.opacity));
    parts.opacityValue.textContent = percent(state.opacity);
    parts.colorMap.value = state.colorMap;
  }

  /**
   * @param {string} caption
   * @param {import("./memory.js").State} state
   * @param {import("./evidence.js").EvidenceLayer | null} evidence
   */
  showCaptions(caption, state, evidence) {
    const { original, painted } = this.parts;
    original.hidden = !(state.sideBySide && evidence);
    painted.textContent = caption;
  }

  /**
   * Zoom and scale bar change with every frame of a drag, the rest does not.
   * @param {import("./memory.js").State} state
   * @param {number | null} millimetres per image pixel
   * @param {number} paneWidth in device pixels
   * @param {number} ratio device pixels per CSS pixel
   */
  showZoom(state, millimetres, paneWidth, ratio) {
    const { zoom, ruler, rulerBar, rulerLabel } = this.parts;
    zoom.textContent = `Zoom ${percent(state.view.scale)}`;
    const bar = millimetres && scaleBar(millimetres, state.view.scale, paneWidth * BAR_SHARE);
    ruler.hidden = !bar;
    if (!bar) return;
    rulerBar.style.width = `${bar.length / ratio}px`;
    rulerLabel.textContent = `${bar.label} at detector`;
  }

  /** @param {string} text shown over the stage; empty to hide it */
  showNotice(text) {
    this.parts.notice.textContent = text;
    this.parts.notice.hidden = text === "";
  }

  /** @param {string} text */
  speakLater(text) {
    clearTimeout(this.spoken);
    this.spoken = setTimeout(() => {
      if (this.parts.live.textContent !== text) this.parts.live.textContent = text;
    }, REST);
  }

  destroy() {
    clearTimeout(this.spoken);
  }
}

/**
 * @param {Element} button
 * @param {boolean} pressed
 */
function press(button, pressed) {
  button.setAttribute("aria-pressed", String(Boolean(pressed)));
}

/**
 * @param {import("./payload.js").ClassEntry} entry
 * @param {number} index
 * @param {boolean} classBlind
 * @param {(index: number) => void} choose
 */
function classButton({ name, probability, percent: shown }, index, classBlind, choose) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "class" });
  const texts = [[String(index + 1), "key"], [name, "name"], [shown, "probability"]];
  button.append(...texts.map(([textContent, className]) => (
    Object.assign(document.createElement("span"), { textContent, className })
  )));
  button.setAttribute("aria-label", shown ? `${name}, probability ${shown}` : name);
  button.title = classBlind ? "This heat map is the same for every class"
    : `Show the evidence for ${name} (key ${index + 1})`;
  if (probability !== null) button.style.setProperty("--share", `${100 * probability}%`);
  button.addEventListener("click", () => choose(index));
  return button;
}

/**
 * What a heat map is of. A method that knows no classes shows where the network was active, for whatever class.
 * @param {string} name of the class shown
 * @param {boolean} classBlind
 * @param {number} peak
 * @returns {string}
 */
function subject(name, classBlind, peak) {
  if (classBlind) return peak > 0 ? "Strongest activations (the same for every class)" : "No activations";
  return peak > 0 ? `Evidence for ${name}` : `No evidence for ${name}`;
}

/**
 * @param {import("./payload.js").Header["evidence"]} maps
 * @param {boolean} contours
 * @returns {string} what the colours mean, how exact their places are, and what they do not mean
 */
function legendNote({ classes, classBlind, shape }, contours) {
  const lines = `Lines at ${CONTOUR_SHARES.map((share) => 100 * share).join(", ")} % of the scale. `;
  const scale = classBlind ? "" : `Same scale for all ${classes.length} classes; `;
  const shows = classBlind ? "Shows where the model was active, whatever the class"
    : "Shows which areas spoke for the class in the model";
  return `${scale}${scale ? "t" : "T"}ransparent = none. ${contours ? lines : ""}`
    + `${shows}, exact to about one cell of ${shape[1]} × ${shape[2]}: `
    + "not a segmentation, not the outline of a lesion.";
}

/**
 * What is painted on the film, in words; also the subject of a saved view.
 * @param {import("./payload.js").Header} header
 * @param {import("./memory.js").State} state
 * @param {import("./evidence.js").EvidenceLayer | null} evidence
 * @returns {string}
 */
export function paintedCaption({ evidence: { classes, classBlind } }, state, evidence) {
  if (!evidence || !(state.overlay || state.contours)) return "No heat map shown";
  return subject(classes[state.shown].name, classBlind, evidence.peak(state.shown));
}

/**
 * @param {import("./payload.js").ClassEntry} entry
 * @param {boolean} classBlind
 * @param {string} caption
 * @param {import("./memory.js").State} state
 * @param {import("./evidence.js").EvidenceLayer | null} evidence
 * @returns {string}
 */
function spokenState({ name, percent: probability }, classBlind, caption, state, evidence) {
  return [
    caption,
    probability && `${classBlind ? `${name}, ` : ""}probability ${probability}`,
    `window width ${percent(state.window.width)}, level ${percent(state.window.centre)}`,
    state.inverted ? "inverted" : "",
    state.sideBySide && evidence ? "side by side with the original" : "",
    state.view.fit ? "whole image" : `zoom ${percent(state.view.scale)}`,
  ].filter(Boolean).join("; ");
}
