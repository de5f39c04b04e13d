import { type FileHandle, open } from 'node:fs/promises';
import { breathe } from '../common/abort.js';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';

/** How a file is cut into records: `lines`, or `csv`, where quoted fields may hold line ends. */
export type RecordKind = 'lines' | 'csv';

/** A record of a text file. */
export interface RawRecord {
  /** First byte in the file. */
  offset: number;
  /** Line on which it begins, from 1. */
  line: number;
  /** Its bytes without the line end; only valid until the next records are asked for. */
  bytes: Uint8Array;
}

/** Where a scan begins. */
export interface ScanStart {
  offset: number;
  line: number;
}

const CHUNK_BYTES = 1 << 20;

/** A longer record is not one that anybody wrote. */
const MAX_RECORD_BYTES = 64 << 20;

const [LINE_FEED, CARRIAGE_RETURN, QUOTE] = [10, 13, 34];

/**
 * Reads the records of an open file in order, a chunk at a time, from a given place on. Empty records
 * are left out, as is a byte order mark. The event loop gets its turn between chunks.
 * @param separator byte between the fields of `csv`
 * @throws EspalierError `FORMAT` for a record over 64 MB or a quoted field that never ends, naming
 * file and line; `CONFIG` when the file can't be read; `ABORTED`.
 */
export async function* scanRecords(
  handle: FileHandle,
  path: string,
  kind: RecordKind,
  {
    start = { offset: 0, line: 1 },
    separator = 44,
    chunkBytes = CHUNK_BYTES,
    signal,
  }: { start?: ScanStart; separator?: number; chunkBytes?: number; signal?: AbortSignal } = {},
): AsyncGenerator<RawRecord[]> {
  let { offset, line } = start;
  let held = new Uint8Array(0);
  let scanned = 0;
  let state: QuoteState = 'start';
  for (let ended = false; !ended; ) {
    // Room for a byte order mark at least.
    const chunk = Buffer.allocUnsafe(Math.max(chunkBytes, 3));
    const position = offset + held.length;
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position).catch((error) => {
      throw fileError(error, 'read', path);
    });
    ended = bytesRead === 0;
    let buffer = Buffer.concat([held, chunk.subarray(0, bytesRead)]);
    if (offset === 0 && scanned === 0 && startsWithMark(buffer)) {
      buffer = buffer.subarray(3);
      offset = 3;
    }
    const records: RawRecord[] = [];
    let begin = 0;
    while (begin < buffer.length) {
      const found = findEnd(buffer, kind, separator, scanned, state);
      state = found.state;
      if (found.end < 0 && !ended) break;
      if (found.end < 0 && state === 'quoted') {
        throw recordError(path, line, 'a quoted field never ends');
      }
      const end = found.end < 0 ? buffer.length : found.end;
      const bytes = withoutReturn(buffer.subarray(begin, end));
      if (bytes.length > 0) records.push({ offset: offset + begin, line, bytes });
      line += kind === 'csv' ? 1 + count(bytes, LINE_FEED) : 1;
      begin = Math.min(end + 1, buffer.length);
      scanned = begin;
      state = 'start';
    }
    held = Uint8Array.from(buffer.subarray(begin));
    scanned = held.length;
    offset += begin;
    if (held.length > MAX_RECORD_BYTES) throw recordError(path, line, 'the record exceeds 64 MB');
    if (records.length > 0) yield records;
    await breathe(signal, 'scanRecords');
  }
}

/**
 * Opens a file to scan it.
 * @throws EspalierError `CONFIG` when that is not possible or it is no regular file.
 */
export async function openToScan(path: string): Promise<FileHandle> {
  try {
    const handle = await open(path, 'r');
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  throw new EspalierError('CONFIG', `${path} is not a regular file`, { details: { path } });
}

/** An error in a row of a data file. */
export function recordError(path: string, line: number, why: string): EspalierError {
  return new EspalierError('FORMAT', `${path}, line ${line}: ${why}`, { details: { path, line } });
}

/** Where in a CSV record the scan is: quotes mean something only at the start of a field. */
type QuoteState = 'start' | 'plain' | 'quoted' | 'closed';

/** The next line end outside quotes, from `from` on; -1 when there is none yet. */
function findEnd(
  buffer: Buffer,
  kind: RecordKind,
  separator: number,
  from: number,
  initial: QuoteState,
): { end: number; state: QuoteState } {
  if (kind === 'lines') return { end: buffer.indexOf(LINE_FEED, from), state: initial };
  let state = initial;
  for (let i = from; i < buffer.length; i++) {
    const byte = buffer[i];
    if (state === 'quoted') {
      if (byte === QUOTE) state = 'closed';
    } else if (byte === LINE_FEED) {
      return { end: i, state };
    } else if (byte === QUOTE) {
      state = state === 'plain' ? 'plain' : 'quoted';
    } else {
      state = byte === separator ? 'start' : 'plain';
    }
  }
  return { end: -1, state };
}

function withoutReturn(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
}

function startsWithMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

function count(bytes: Uint8Array, value: number): number {
  let found = 0;
  for (let i = bytes.indexOf(value); i >= 0; i = bytes.indexOf(value, i + 1)) found++;
  return found;
}
