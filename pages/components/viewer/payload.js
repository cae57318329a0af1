// The message of payload.py, taken apart. Its layout is described there.

/**
 * @typedef {{label: string, name: string, probability: number | null, percent: string}} ClassEntry
 *   percent: the probability in the words of the whole page, empty where there is none
 * @typedef {object} Header
 * @property {string} key
 * @property {number} stageHeight
 * @property {string} study
 * @property {{width: number, height: number, bits: 8 | 16}} image
 * @property {[number, number] | null} spacing millimetres between rows and between columns
 * @property {string | null} viewPosition
 * @property {{id: string, shape: number[] | null, scale: number, shown: string,
 *   classBlind: boolean, classes: ClassEntry[]}} evidence   classBlind: one picture for all classes, evidence for none
 */

/**
 * @param {Uint8Array} message
 * @returns {{header: Header, maps: Float32Array | null, body: Uint8Array}}
 */
export function readMessage(message) {
  const length = new DataView(message.buffer, message.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(message.subarray(4, 4 + length)));
  const mapsStart = 4 + length;
  const { shape } = header.evidence;
  const mapsLength = shape ? 4 * shape[0] * shape[1] * shape[2] : 0;
  // A copy, because the message may lie at any address and floats need a multiple of four.
  const maps = shape ? new Float32Array(message.slice(mapsStart, mapsStart + mapsLength).buffer) : null;
  return { header, maps, body: message.subarray(mapsStart + mapsLength) };
}

/**
 * @param {Uint8Array} body
 * @param {{width: number, height: number, bits: number}} image
 * @returns {Promise<Uint8Array | Uint16Array>} samples row by row
 */
export async function decodeSamples(body, image) {
  const bytes = await inflate(body);
  const count = image.width * image.height;
  if (bytes.length !== (count * image.bits) / 8) throw new Error(`${bytes.length} bytes came for ${count} samples`);
  const samples = image.bits === 8 ? bytes : joinPlanes(bytes, count);
  sumRows(samples, image.width);
  return samples;
}

/**
 * @param {Uint8Array} body
 * @returns {Promise<Uint8Array>}
 */
async function inflate(body) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old to unpack the image");
  const stream = new Blob([body]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * @param {Uint8Array} bytes all low bytes, then all high bytes
 * @param {number} count
 * @returns {Uint16Array}
 */
function joinPlanes(bytes, count) {
  const samples = new Uint16Array(count);
  for (let index = 0; index < count; index += 1) samples[index] = bytes[index] | (bytes[count + index] << 8);
  return samples;
}

/**
 * Undo the differences in place; the array's own width does the modulo.
 * @param {Uint8Array | Uint16Array} samples
 * @param {number} width
 */
function sumRows(samples, width) {
  for (let start = 0; start < samples.length; start += width) {
    for (let index = start + 1; index < start + width; index += 1) samples[index] += samples[index - 1];
  }
}
