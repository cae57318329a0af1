// Heat maps: from a layer's few values to colours and lines of equal evidence.

import { colorTable, opacityOf } from "./colormaps.js";

/** Longer side of the grid on which evidence is interpolated and coloured; the browser smooths the rest. */
const GRID = 320;

/** Shares of the scale at which lines of equal evidence are drawn. */
export const CONTOUR_SHARES = [0.25, 0.5, 0.75];

/**
 * @typedef {{values: Float32Array, width: number, height: number}} Grid
 */

/**
 * Bilinear interpolation with pixel centres at half integers and edges held, as OpenCV's INTER_LINEAR does it.
 * @param {Grid} map
 * @param {number} width
 * @param {number} height
 * @returns {Grid}
 */
export function upsample(map, width, height) {
  const columns = neighbours(map.width, width);
  const rows = neighbours(map.height, height);
  const values = new Float32Array(width * height);
  for (let y = 0, out = 0; y < height; y += 1) {
    const [upper, lower, down] = [rows.before[y] * map.width, rows.after[y] * map.width, rows.share[y]];
    for (let x = 0; x < width; x += 1, out += 1) {
      const [left, right, along] = [columns.before[x], columns.after[x], columns.share[x]];
      const top = map.values[upper + left] * (1 - along) + map.values[upper + right] * along;
      const bottom = map.values[lower + left] * (1 - along) + map.values[lower + right] * along;
      values[out] = top * (1 - down) + bottom * down;
    }
  }
  return { values, width, height };
}

/**
 * @param {number} from number of values
 * @param {number} to number of places to interpolate at
 */
function neighbours(from, to) {
  const [before, after, share] = [new Int32Array(to), new Int32Array(to), new Float32Array(to)];
  for (let place = 0; place < to; place += 1) {
    const position = Math.min(from - 1, Math.max(0, ((place + 0.5) * from) / to - 0.5));
    before[place] = Math.floor(position);
    after[place] = Math.min(from - 1, before[place] + 1);
    share[place] = position - before[place];
  }
  return { before, after, share };
}

/**
 * @param {Float32Array} values
 * @param {number} scale the value with the full colour
 * @param {Uint8Array} colors 256 colours
 * @returns {Uint8ClampedArray} RGBA; a value of 0 is fully transparent
 */
export function paint(values, scale, colors) {
  const pixels = new Uint8ClampedArray(values.length * 4);
  for (let index = 0; index < values.length; index += 1) {
    const share = Math.min(1, values[index] / scale);
    if (share <= 0) continue;
    const color = Math.round(share * 255) * 3;
    pixels[4 * index] = colors[color];
    pixels[4 * index + 1] = colors[color + 1];
    pixels[4 * index + 2] = colors[color + 2];
    pixels[4 * index + 3] = Math.round(255 * opacityOf(share));
  }
  return pixels;
}

/**
 * Marching squares.
 * @param {Grid} grid
 * @param {number} level
 * @returns {number[][]} segments [x0, y0, x1, y1] as shares of the grid's width and height
 */
export function contourSegments(grid, level) {
  const segments = [];
  for (let y = 0; y + 1 < grid.height; y += 1) {
    for (let x = 0; x + 1 < grid.width; x += 1) {
      const points = cellCrossings(grid, x, y, level);
      for (let pair = 0; pair + 1 < points.length; pair += 2) segments.push([...points[pair], ...points[pair + 1]]);
    }
  }
  return segments;
}

/**
 * Where a level crosses the four sides of a cell, in order around it; in a saddle the first two and the last two
 * belong together.
 * @param {Grid} grid
 * @param {number} x
 * @param {number} y
 * @param {number} level
 * @returns {number[][]} no point, two, or four
 */
function cellCrossings(grid, x, y, level) {
  const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
  const heights = corners.map(([column, row]) => grid.values[row * grid.width + column] - level);
  const points = [];
  for (let side = 0; side < 4; side += 1) {
    const next = (side + 1) % 4;
    if (heights[side] >= 0 === heights[next] >= 0) continue;
    const share = heights[side] / (heights[side] - heights[next]);
    const [from, to] = [corners[side], corners[next]];
    points.push([
      (from[0] + share * (to[0] - from[0]) + 0.5) / grid.width,
      (from[1] + share * (to[1] - from[1]) + 0.5) / grid.height,
    ]);
  }
  return points;
}

/** The heat maps of one study; grids, pictures and lines are computed for a class when it is first shown. */
export class EvidenceLayer {
  /**
   * @param {Float32Array} values of all classes
   * @param {number[]} shape classes, rows, columns
   * @param {number} scale
   * @param {{width: number, height: number}} image whose aspect the grid takes
   */
  constructor(values, [, height, width], scale, image) {
    const longer = Math.max(image.width, image.height);
    this.values = values;
    this.map = { width, height };
    this.scale = scale;
    this.grid = {
      width: Math.max(1, Math.round((GRID * image.width) / longer)),
      height: Math.max(1, Math.round((GRID * image.height) / longer)),
    };
    this.grids = new Map();
    this.pictures = new Map();
    this.paths = new Map();
  }

  /**
   * @param {number} index of a class
   * @returns {number} its largest evidence as a share of the scale; 0 is 'no evidence'
   */
  peak(index) {
    if (!(this.scale > 0)) return 0;
    return this.mapOf(index).values.reduce((most, value) => Math.max(most, value), 0) / this.scale;
  }

  /** @param {number} index */
  mapOf(index) {
    const { width, height } = this.map;
    return { values: this.values.subarray(index * width * height, (index + 1) * width * height), width, height };
  }

  /** @param {number} index */
  gridOf(index) {
    return stored(this.grids, index, () => upsample(this.mapOf(index), this.grid.width, this.grid.height));
  }

  /**
   * @param {number} index
   * @param {import("./colormaps.js").ColorMapName} colorMap
   * @returns {HTMLCanvasElement}
   */
  picture(index, colorMap) {
    return stored(this.pictures, `${index} ${colorMap}`, () => {
      const canvas = Object.assign(document.createElement("canvas"), this.grid);
      const pixels = paint(this.gridOf(index).values, this.scale, colorTable(colorMap));
      canvas.getContext("2d").putImageData(new ImageData(pixels, this.grid.width, this.grid.height), 0, 0);
      return canvas;
    });
  }

  /**
   * @param {number} index
   * @returns {Path2D} lines of equal evidence in a square of side 1 over the image
   */
  contours(index) {
    return stored(this.paths, index, () => {
      const path = new Path2D();
      for (const share of CONTOUR_SHARES) {
        for (const [x0, y0, x1, y1] of contourSegments(this.gridOf(index), share * this.scale)) {
          path.moveTo(x0, y0);
          path.lineTo(x1, y1);
        }
      }
      return path;
    });
  }
}

/**
 * @template K, V
 * @param {Map<K, V>} map
 * @param {K} key
 * @param {() => V} make
 * @returns {V}
 */
function stored(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}
