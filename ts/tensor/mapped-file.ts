import { native, type NativeMappedFile } from '../native/addon.js';
import type { DType, Shape } from '../native/types.js';
import { Tensor } from './tensor.js';

/**
 * A file mapped read-only into memory. Tensors over it copy nothing, and their pages go back to the
 * operating system when they are disposed. The file must not be truncated while it is mapped.
 */
export class MappedFile {
  /** Length in bytes. */
  readonly bytes: number;
  readonly #handle: NativeMappedFile;

  private constructor(handle: NativeMappedFile) {
    this.#handle = handle;
    this.bytes = native().mappedFileBytes(handle);
  }

  /**
   * Maps a regular, non-empty file.
   *
   * @throws EspalierError `FORMAT` when that is not possible
   */
  static open(path: string): MappedFile {
    return new MappedFile(native().mappedFileOpen(path));
  }

  /**
   * A read-only CPU tensor over the bytes from `offset`.
   *
   * @throws EspalierError `SHAPE` when they leave the file or `offset` is not a multiple of the
   * element size
   */
  tensor(offset: number, shape: Shape, dtype: DType): Tensor {
    return new Tensor(native().mappedFileTensor(this.#handle, offset, shape, dtype));
  }

  /** Lets go of the mapping; it ends with the last tensor over it. Idempotent. */
  close(): void {
    native().mappedFileClose(this.#handle);
  }
}
