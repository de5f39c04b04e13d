import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import { type SharedDType, tensorDType } from '../formats/safetensors-dtype.js';
import type { TensorEntry } from '../formats/safetensors-header.js';
import type { WeightsIndex } from '../formats/weights-index.js';
import { MappedFile } from '../tensor/mapped-file.js';
import { Tensor } from '../tensor/tensor.js';
import { readUnaligned } from './read-unaligned.js';

/** The weights of a model directory by name, still on the disk. */
export class StoredWeights {
  /** The directory, as it was given. */
  readonly directory: string;
  /** Which file holds which tensor, and where. */
  readonly index: WeightsIndex;
  /** Where its tensors are put. */
  readonly device: string;
  readonly #files = new Map<string, MappedFile>();

  /** Reads nothing yet. */
  constructor(directory: string, index: WeightsIndex, device = 'cpu') {
    this.directory = directory;
    this.index = index;
    this.device = device;
  }

  /**
   * Where a tensor lies.
   * @throws EspalierError `FORMAT` when there is none of that name.
   */
  entry(name: string): TensorEntry {
    const entry = this.index.entries.get(name);
    if (entry === undefined) {
      throw new EspalierError('FORMAT', `${this.directory} has no tensor ${name}`, {
        details: { tensor: name },
      });
    }
    return entry;
  }

  /**
   * A tensor as stored: on the CPU mapped, so that its pages are read when they are used and let go
   * when it is disposed, and copied only where the file does not align it to its element size; on
   * other devices a copy.
   * @throws EspalierError `FORMAT` when there is none of that name or the file can't be mapped,
   * `UNSUPPORTED` for a dtype that no tensor can hold.
   */
  tensor(name: string): Tensor {
    const mapped = this.#mapped(name);
    if (this.device === 'cpu') return mapped;
    const copy = mapped.to(this.device);
    mapped.dispose();
    return copy;
  }

  #mapped(name: string): Tensor {
    const entry = this.entry(name);
    const dtype = this.#dtype(entry);
    if (entry.bytes === 0) return Tensor.zeros(entry.shape, dtype);
    let file = this.#files.get(entry.file);
    if (file === undefined) {
      file = MappedFile.open(entry.file);
      this.#files.set(entry.file, file);
    }
    const elementBytes = entry.bytes / entry.shape.reduce((x, y) => x * y, 1);
    if (entry.offset % elementBytes !== 0) return readUnaligned(entry, dtype);
    try {
      return file.tensor(entry.offset, entry.shape, dtype);
    } catch (error) {
      throw fileError(error, 'map', entry.file);
    }
  }

  /** Lets go of the files; tensors made from them stay valid. Idempotent. */
  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  /**
   * Checks that a weight is there, with this shape and a usable dtype.
   * @throws EspalierError `FORMAT` or `UNSUPPORTED`, naming it.
   */
  check(name: string, shape: readonly number[]): void {
    const entry = this.entry(name);
    if (entry.shape.length !== shape.length || entry.shape.some((size, i) => size !== shape[i])) {
      throw new EspalierError(
        'FORMAT',
        `tensor ${name} has shape [${entry.shape}], but config.json asks for [${shape}]`,
        { details: { tensor: name, expected: shape, got: entry.shape, file: entry.file } },
      );
    }
    const dtype = this.#dtype(entry);
    if (dtype !== 'f32' && dtype !== 'bf16' && dtype !== 'f16') {
      throw new EspalierError(
        'UNSUPPORTED',
        `tensor ${name} holds ${dtype}, which is not a weight`,
        {
          remedy: 'weights may be F32, BF16 or F16',
          details: { tensor: name, dtype },
        },
      );
    }
  }

  #dtype(entry: TensorEntry): SharedDType {
    const dtype = tensorDType(entry.dtype);
    if (dtype !== undefined) return dtype;
    throw new EspalierError('UNSUPPORTED', `tensor ${entry.name} has the dtype ${entry.dtype}`, {
      remedy: 'weights may be F32, BF16 or F16',
      details: { tensor: entry.name, dtype: entry.dtype },
    });
  }
}
