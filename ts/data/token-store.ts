import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';

/** Tokens kept in memory before they go to a file: 64 MB. */
const MAX_IN_MEMORY = 2 ** 24;

/**
 * A long row of token ids that is written once and read anywhere: in memory while it is short, then in
 * a temporary file without a name, which goes with the process however it ends.
 */
export class TokenStore {
  readonly #maxInMemory: number;
  #parts: Int32Array[] = [];
  #inMemory = 0;
  #stored = 0;
  #handle: FileHandle | undefined;

  /** @param maxInMemory tokens kept in memory at most */
  constructor(maxInMemory = MAX_IN_MEMORY) {
    this.#maxInMemory = maxInMemory;
  }

  /** How many tokens there are. */
  get length(): number {
    return this.#stored + this.#inMemory;
  }

  /**
   * Adds tokens at the end.
   * @throws EspalierError `CONFIG` when they can't be written.
   */
  async append(ids: Int32Array): Promise<void> {
    this.#parts.push(ids);
    this.#inMemory += ids.length;
    // Once there is a file, small pieces are gathered before they go there.
    const limit =
      this.#handle === undefined ? this.#maxInMemory : Math.min(this.#maxInMemory, 2 ** 20);
    if (this.#inMemory > limit) await this.#spill();
  }

  /**
   * Tokens `[start, start + length)`.
   * @throws EspalierError `CONFIG` when they leave the store or can't be read.
   */
  async read(start: number, length: number): Promise<Int32Array> {
    if (start < 0 || start + length > this.length) {
      throw new EspalierError('CONFIG', `there are ${this.length} tokens, not ${start + length}`);
    }
    const result = new Int32Array(length);
    const stored = Math.max(0, Math.min(length, this.#stored - start));
    if (stored > 0) await this.#readFile(result.subarray(0, stored), start);
    let at = this.#stored;
    for (const part of this.#parts) {
      const [low, high] = [Math.max(start, at), Math.min(start + length, at + part.length)];
      if (low < high) result.set(part.subarray(low - at, high - at), low - start);
      at += part.length;
    }
    return result;
  }

  /** Lets go of the memory and the file. Idempotent. */
  async dispose(): Promise<void> {
    this.#parts = [];
    this.#inMemory = 0;
    this.#stored = 0;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #spill(): Promise<void> {
    this.#handle ??= await openNameless();
    for (const part of this.#parts) {
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle
          .write(bytes, done, bytes.length - done, 4 * this.#stored + done)
          .catch((error) => {
            throw fileError(error, 'write', tmpdir());
          });
        done += bytesWritten;
      }
      this.#stored += part.length;
    }
    this.#parts = [];
    this.#inMemory = 0;
  }

  async #readFile(target: Int32Array, start: number): Promise<void> {
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    for (let done = 0; done < bytes.length; ) {
      const read = await this.#handle?.read(bytes, done, bytes.length - done, 4 * start + done);
      if (!read?.bytesRead) throw new EspalierError('CONFIG', 'the temporary tokens are gone');
      done += read.bytesRead;
    }
  }
}

async function openNameless(): Promise<FileHandle> {
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(tmpdir(), 'espalier-'));
    return await open(join(folder, 'tokens'), 'wx+', 0o600);
  } catch (error) {
    throw fileError(error, 'create a file in', tmpdir());
  } finally {
    // Where an open file can't lose its name, it stays until the system clears the folder.
    if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
