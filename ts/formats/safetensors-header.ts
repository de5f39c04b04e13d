import { EspalierError } from '../common/errors.js';
import { SAFETENSORS_BITS, type SafetensorsDType } from './safetensors-dtype.js';
import { parseStrictJson } from './strict-json.js';

/** The format's own bound on the header, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Where one tensor lies in a safetensors file. */
export interface TensorEntry {
  name: string;
  dtype: SafetensorsDType;
  shape: readonly number[];
  /** Path of the file. */
  file: string;
  /** First byte, counted from the start of the file; any alignment is possible. */
  offset: number;
  /** Length in bytes. */
  bytes: number;
}

/** What the header of a safetensors file says. */
export interface SafetensorsHeader {
  /** By name, in the order of the header. */
  entries: ReadonlyMap<string, TensorEntry>;
  /** `__metadata__`: free text. */
  metadata: ReadonlyMap<string, string>;
}

/**
 * Reads the 8 bytes in front of the header.
 * @returns the header's length in bytes: at least 2, at most {@link MAX_HEADER_BYTES}, inside the file.
 * @throws EspalierError `FORMAT`.
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (fileBytes < 10 || prefix.length < 8) {
    throw formatError(file, `is ${fileBytes} bytes long, too short for a safetensors file`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length < 2n || length > BigInt(MAX_HEADER_BYTES)) {
    throw formatError(
      file,
      `claims a header of ${length} bytes; from 2 to 100,000,000 are allowed`,
    );
  }
  if (length > BigInt(fileBytes - 8)) {
    throw formatError(
      file,
      `claims a header of ${length} bytes but is only ${fileBytes} bytes long`,
    );
  }
  return Number(length);
}

/**
 * Parses a safetensors header and checks all that can be checked: JSON, duplicate keys, dtypes,
 * shapes, lengths, and that the tensors cover the data without overlap or hole.
 * @param header the bytes after the length.
 * @param fileBytes size of the whole file.
 * @throws EspalierError `FORMAT` that names the file and the tensor.
 */
export function parseSafetensorsHeader(
  header: Uint8Array,
  fileBytes: number,
  file: string,
): SafetensorsHeader {
  if (header[0] !== 0x7b) throw formatError(file, 'has a header that does not start with "{"');
  const limits = { maxDepth: 4 };
  const json = parseStrictJson(header, `the header of ${file}`, limits) as Record<string, unknown>;
  const dataStart = 8 + header.length;
  const entries = new Map<string, TensorEntry>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') metadata = parseMetadata(value, file);
    else entries.set(name, parseEntry(name, value, dataStart, file));
  }
  checkCoverage(entries, dataStart, fileBytes, file);
  return { entries, metadata };
}

function parseMetadata(value: unknown, file: string): Map<string, string> {
  if (!isObject(value)) throw formatError(file, 'has a __metadata__ that is not an object');
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw formatError(file, `has a __metadata__ entry ${quote(key)} that is not text`);
    }
    metadata.set(key, text);
  }
  return metadata;
}

function parseEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  const refuse = (why: string) => formatError(file, `has a tensor ${quote(name)} ${why}`);
  if (!isObject(value)) throw refuse('that is not described by an object');
  for (const key of Object.keys(value)) {
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') {
      throw refuse(`with an unknown field ${quote(key)}`);
    }
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(SAFETENSORS_BITS, dtype)) {
    throw refuse(`of unknown dtype ${quote(dtype)}`);
  }
  if (!Array.isArray(shape) || shape.length > 64 || !shape.every(isCount)) {
    throw refuse('whose shape is not a list of at most 64 whole numbers');
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw refuse('whose data_offsets are not two whole numbers');
  }
  const [begin, end] = offsets as [number, number];
  // The dimensions other than 0 must stay countable too: nobody downstream has to fear an overflow.
  const extent = shape.reduce((product, dimension) => product * (dimension || 1), 64);
  if (!Number.isSafeInteger(extent)) throw refuse(`whose shape [${shape}] is impossibly large`);
  const count = shape.includes(0) ? 0 : extent / 64;
  const bits = count * SAFETENSORS_BITS[dtype as SafetensorsDType];
  if (bits % 8 !== 0)
    throw refuse(`of shape [${shape}] and dtype ${dtype}, not a whole byte count`);
  if (end < begin || end - begin !== bits / 8) {
    throw refuse(
      `of shape [${shape}] and dtype ${dtype}: expected ${bits / 8} bytes, got offsets [${offsets}]`,
    );
  }
  const offset = dataStart + begin;
  return { name, dtype: dtype as SafetensorsDType, shape, file, offset, bytes: end - begin };
}

function checkCoverage(
  entries: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  fileBytes: number,
  file: string,
): void {
  const ordered = [...entries.values()].sort((x, y) => x.offset - y.offset || x.bytes - y.bytes);
  let end = dataStart;
  for (const entry of ordered) {
    if (entry.offset < end) {
      throw formatError(file, `has a tensor ${quote(entry.name)} that overlaps another one`);
    }
    if (entry.offset > end) {
      throw formatError(file, `has ${entry.offset - end} unused bytes before ${quote(entry.name)}`);
    }
    end = entry.offset + entry.bytes;
  }
  if (end !== fileBytes) {
    throw formatError(file, `is ${fileBytes} bytes long, but its header describes ${end} bytes`);
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

function formatError(file: string, why: string): EspalierError {
  return new EspalierError('FORMAT', `${file} ${why}`, { details: { path: file } });
}
