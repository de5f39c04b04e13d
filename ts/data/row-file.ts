import type { FileHandle } from 'node:fs/promises';
import { Turn } from '../common/pieces.js';
import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import {
  openToScan,
  type RawRecord,
  type RecordKind,
  recordError,
  type ScanStart,
  scanRecords,
} from './record-scanner.js';

/** What a parser says of a row that can't be used. */
export interface BadRow {
  why: string;
}

/** Makes a row of a record, undefined for one that is none (a header), or says what is wrong with it. */
export type RowParser<R> = (text: string, record: RawRecord) => R | BadRow | undefined;

/** Options of {@link RowFile.open}. */
export interface RowFileOptions<R extends object> extends LongOperationOptions {
  kind: RecordKind;
  /** Byte between the fields of `csv`; default the comma. */
  separator?: number;
  /** Called for every record in the first pass, and again when a row is read: the same answer. */
  parse: RowParser<R>;
  /** Leave rows out that can't be used, and count them, instead of failing. Default false. */
  skipBadRows?: boolean;
  /** Most places that the index holds; default 2^20 (16 MB). */
  maxIndex?: number;
}

/**
 * The rows of a text file, read in any order. One pass checks every row and notes where they begin;
 * for more rows than the index holds, it keeps every second, fourth … place, and a row is found by
 * reading on from the place before it. The file itself is never in memory.
 */
export class RowFile<R extends object> {
  /** The file. */
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #options: RowFileOptions<R>;
  readonly #places: ScanStart[] = [];
  #stride = 1;
  #count = 0;
  #skipped = 0;

  private constructor(path: string, handle: FileHandle, options: RowFileOptions<R>) {
    this.path = path;
    this.#handle = handle;
    this.#options = options;
  }

  /**
   * Indexes a file.
   * @throws EspalierError `FORMAT` naming file and line of the first row that can't be used (unless
   * they are skipped), `CONFIG` when the file can't be read, `ABORTED`.
   */
  static async open<R extends object>(
    path: string,
    options: RowFileOptions<R>,
  ): Promise<RowFile<R>> {
    const file = new RowFile(path, await openToScan(path), options);
    try {
      await file.#index();
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** How many rows there are. */
  get count(): number {
    return this.#count;
  }

  /** How many rows were left out. */
  get skipped(): number {
    return this.#skipped;
  }

  /**
   * Reads rows by number, in the order asked for.
   * @throws EspalierError `FORMAT` when the file has changed since it was indexed, `ABORTED`.
   */
  async read(numbers: readonly number[], signal?: AbortSignal): Promise<R[]> {
    const rows = new Map<number, R>();
    const ordered = [...new Set(numbers)].sort((x, y) => x - y);
    for (let i = 0; i < ordered.length; ) {
      const first = ordered[i] as number;
      const block = Math.floor(first / this.#stride);
      let last = i;
      while (Math.floor((ordered[last + 1] ?? -1) / this.#stride) === block) last++;
      await this.#readBlock(block, ordered.slice(i, last + 1), rows, signal);
      i = last + 1;
    }
    return numbers.map((number) => rows.get(number) as R);
  }

  /** Lets go of the file. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #index(): Promise<void> {
    const { kind, maxIndex = 2 ** 20, signal, onProgress } = this.#options;
    const { size } = await this.#handle.stat();
    const scan = scanRecords(this.#handle, this.path, kind, this.#scanOptions(signal));
    const turn = new Turn();
    for await (const records of scan) {
      for (const record of records) {
        if (this.#rowOf(record) === undefined) continue;
        if (this.#count % this.#stride === 0) {
          this.#places.push({ offset: record.offset, line: record.line });
          if (this.#places.length >= maxIndex) this.#thin();
        }
        this.#count++;
        if (turn.over) await turn.end(signal, 'RowFile.open');
      }
      const completed = (records.at(-1) as RawRecord).offset;
      onProgress?.({ phase: 'index', completed, total: size, unit: 'bytes' });
    }
    onProgress?.({ phase: 'index', completed: size, total: size, unit: 'bytes' });
  }

  /** Drops every second place. */
  #thin(): void {
    const kept = Math.ceil(this.#places.length / 2);
    for (let i = 0; i < kept; i++) this.#places[i] = this.#places[2 * i] as ScanStart;
    this.#places.length = kept;
    this.#stride *= 2;
  }

  async #readBlock(
    block: number,
    numbers: readonly number[],
    rows: Map<number, R>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const start = this.#places[block];
    if (start === undefined) {
      throw new EspalierError('CONFIG', `${this.path} has ${this.#count} rows, not ${numbers[0]}`);
    }
    const { kind } = this.#options;
    const next = this.#places[block + 1]?.offset;
    // Up to the next place when it is near, so that one read is enough; else in modest steps.
    const chunkBytes = Math.min(next === undefined ? 2 ** 14 : next - start.offset, 2 ** 18);
    const options = { ...this.#scanOptions(signal), start, chunkBytes };
    const wanted = new Set(numbers);
    const last = numbers.at(-1) as number;
    let number = block * this.#stride;
    for await (const records of scanRecords(this.#handle, this.path, kind, options)) {
      for (const record of records) {
        const row = this.#rowOf(record, false);
        if (row === undefined) continue;
        if (wanted.has(number)) rows.set(number, row);
        if (number === last) return;
        number++;
      }
    }
    throw new EspalierError('FORMAT', `${this.path} has changed since it was indexed`);
  }

  #scanOptions(signal: AbortSignal | undefined) {
    const { separator } = this.#options;
    return {
      ...(separator === undefined ? {} : { separator }),
      ...(signal === undefined ? {} : { signal }),
    };
  }

  /** The row of a record, or undefined when it has none. */
  #rowOf(record: RawRecord, counted = true): R | undefined {
    const text = decode(record.bytes);
    const row =
      text === undefined ? { why: 'it is not UTF-8 text' } : this.#options.parse(text, record);
    if (row === undefined || !('why' in row)) return row;
    const { why } = row as BadRow;
    if (this.#options.skipBadRows !== true) throw recordError(this.path, record.line, why);
    if (counted) this.#skipped++;
    return undefined;
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
