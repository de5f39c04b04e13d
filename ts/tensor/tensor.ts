import { EspalierError } from '../common/errors.js';
import { atOnce, type Pieces } from '../common/pieces.js';
import { native, type NativeTensor } from '../native/addon.js';
import type { DType, Shape, TypedArray } from '../native/types.js';
import { currentRecorder, record } from './recorder.js';
import { currentScope } from './scope.js';

/** How `Tensor.from` and `Tensor.zeros` make their result. */
export interface TensorOptions {
  /** Element type; default: what the typed array holds, `f32` for numbers. */
  dtype?: DType;
  /** Where it lives; default `cpu`. */
  device?: string;
}

function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Int32Array) return 'i32';
  if (data instanceof BigInt64Array) return 'i64';
  if (data instanceof Uint8Array) return 'u8';
  throw new EspalierError('DTYPE', "tensor: a Uint16Array needs dtype 'bf16' or 'f16'", {
    op: 'tensor',
  });
}

function typedArrayOf(data: readonly number[], dtype: DType): TypedArray {
  switch (dtype) {
    case 'f32':
      return Float32Array.from(data);
    case 'f64':
      return Float64Array.from(data);
    case 'i32':
      return Int32Array.from(data);
    case 'u8':
      return Uint8Array.from(data);
    case 'i64':
      return BigInt64Array.from(data, BigInt);
    default:
      throw new EspalierError('DTYPE', `tensor: make ${dtype} tensors by cast()`, { op: 'tensor' });
  }
}

/** A tensor of the addon and how many tensors here hold it. */
interface Share {
  readonly handle: NativeTensor;
  holders: number;
}

/** What a disposed tensor holds: a handle that the addon refuses, whatever others still have. */
const DISPOSED: Share = { handle: Object.freeze({}) as NativeTensor, holders: 0 };

/**
 * A contiguous row-major array in native memory on one device. Ops return tensors at once; their
 * content is computed by the device's stream in order, and `read()` resolves when it is there. Free
 * it with `dispose()`, or make it inside a `scope()`; the garbage collector is only a safety net.
 */
export class Tensor {
  /** Dimensions. */
  readonly shape: Shape;
  /** Element type. */
  readonly dtype: DType;
  /** Where it lives, such as `cpu`. */
  readonly device: string;
  #share: Share;

  /**
   * Wraps a handle of the addon and registers it with the current scope; or holds the content of
   * another tensor beside it, in no scope and unrecorded: the memory lives until both are disposed.
   *
   * @throws EspalierError `CONFIG` for a tensor that has been disposed
   */
  constructor(source: NativeTensor | Tensor) {
    if (source instanceof Tensor) {
      if (source.disposed) {
        throw new EspalierError('CONFIG', 'tensor: the tensor has been disposed', { op: 'tensor' });
      }
      this.#share = source.#share;
      this.#share.holders++;
      this.shape = source.shape;
      this.dtype = source.dtype;
      this.device = source.device;
      return;
    }
    const info = native().tensorInfo(source);
    this.#share = { handle: source, holders: 1 };
    this.shape = info.shape;
    this.dtype = info.dtype;
    this.device = info.device;
    currentScope()?.add(this);
  }

  /**
   * Copies numbers or a typed array into a new tensor.
   *
   * @param data elements in row-major order; bf16 and f16 as bits in a Uint16Array
   * @param shape dimensions; default `[data.length]`
   * @throws EspalierError `SHAPE` when the counts differ, `DTYPE` when array and dtype do not fit
   */
  static from(
    data: TypedArray | readonly number[],
    shape: Shape = [data.length],
    options: TensorOptions = {},
  ): Tensor {
    const array = Array.isArray(data)
      ? typedArrayOf(data, options.dtype ?? 'f32')
      : (data as TypedArray);
    const dtype = options.dtype ?? dtypeOf(array);
    return new Tensor(native().tensorFrom(array, shape, dtype, options.device ?? 'cpu'));
  }

  /** A tensor of zeros; dtype `f32` by default. */
  static zeros(shape: Shape, dtype: DType = 'f32', device = 'cpu'): Tensor {
    return new Tensor(native().tensorZeros(shape, dtype, device));
  }

  /** The addon's handle, for the functions of ops/. */
  get handle(): NativeTensor {
    return this.#share.handle;
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((product, dim) => product * dim, 1);
  }

  /** True after `dispose()`. */
  get disposed(): boolean {
    return this.#share === DISPOSED;
  }

  /**
   * Copies the content out once the stream has computed it.
   *
   * @throws EspalierError what the op that computed it, or one that it depends on, failed with
   */
  read(): Promise<TypedArray> {
    return native().tensorRead(this.handle);
  }

  /** Like `read()`, blocking the thread until the stream gets there. */
  readSync(): TypedArray {
    return native().tensorReadSync(this.handle);
  }

  /** The same elements under another shape, sharing the memory. */
  reshape(shape: Shape): Tensor {
    const output = new Tensor(native().tensorReshape(this.handle, shape));
    const original = this.shape;
    record({
      op: 'reshape',
      inputs: [this],
      outputs: [output],
      saved: [],
      backward: ([gradient]) => [gradient?.reshape(original)],
    });
    return output;
  }

  /** Rows `[start, end)` of the first dimension, sharing the memory. */
  slice(start: number, end: number): Tensor {
    const output = new Tensor(native().tensorSlice(this.handle, start, end));
    const { shape, device } = this;
    record({
      op: 'slice',
      inputs: [this],
      outputs: [output],
      saved: [],
      backward: ([gradient]) => {
        const whole = Tensor.zeros(shape, 'f32', device);
        whole.slice(start, end).copyFrom(gradient as Tensor);
        return [whole];
      },
    });
    return output;
  }

  /**
   * Walks back from this tensor through the ops that computed it and adds the gradients to the `grad`
   * of every parameter they used. What was kept for the walk is freed on the way, so it works once.
   *
   * @param gradient the gradient of this tensor, same shape; default 1 for a single element
   * @throws EspalierError `CONFIG` when no parameter leads here or the walk was made before, `SHAPE`
   * when a gradient is missing or does not fit
   */
  backward(gradient?: Tensor): void {
    atOnce(this.backwardInPieces(gradient));
  }

  /** As {@link backward}, a piece for each op. Given up before its end, it frees what it kept. */
  *backwardInPieces(gradient?: Tensor): Pieces<void> {
    const recorder = currentRecorder();
    if (recorder === undefined) {
      throw new EspalierError('CONFIG', 'backward: no trainable parameter leads to this tensor', {
        op: 'backward',
      });
    }
    yield* recorder.walkBack(this, gradient);
  }

  /**
   * The same elements on another device, as the gradient's way back; a handle of its own on the same
   * memory where they are there already.
   *
   * @throws EspalierError `DEVICE_UNAVAILABLE` for a device that has not been opened
   */
  to(device: string): Tensor {
    const output = new Tensor(native().tensorTo(this.handle, device));
    const original = this.device;
    record({
      op: 'to',
      inputs: [this],
      outputs: [output],
      saved: [],
      backward: ([gradient]) => [gradient?.to(original)],
    });
    return output;
  }

  /**
   * Overwrites the content with that of `source`, wherever that is: same dtype, same number of
   * elements.
   */
  copyFrom(source: Tensor): void {
    if (source.device === this.device) {
      native().tensorCopyInto(this.handle, source.handle);
      return;
    }
    const here = new Tensor(native().tensorTo(source.handle, this.device));
    native().tensorCopyInto(this.handle, here.handle);
    here.dispose();
  }

  /** Lets go of the memory once all queued uses have run. Idempotent. */
  dispose(): void {
    if (this.disposed) return;
    const share = this.#share;
    this.#share = DISPOSED;
    share.holders--;
    if (share.holders === 0) native().tensorDispose(share.handle);
    currentRecorder()?.disposed(this);
  }
}
