import { isMainThread } from 'node:worker_threads';
import { EspalierError, type ErrorCode } from '../common/errors.js';
import type { DType, Shape, TypedArray } from './types.js';
import { defaultThreads } from './default-threads.js';
import { loadAddon } from './load-addon.js';

/** A tensor as the addon hands it out; only the addon's functions can look inside. */
export interface NativeTensor {
  readonly __nativeTensor: unique symbol;
}

/** A mapped file as the addon hands it out. */
export interface NativeMappedFile {
  readonly __nativeMappedFile: unique symbol;
}

/** A point in a device's queue as the addon hands it out. */
export interface NativeMark {
  readonly __nativeMark: unique symbol;
}

type T = NativeTensor;
type Maybe = NativeTensor | undefined;

/**
 * How the factors of a product are multiplied, sums being f32 either way: `f32` widens 16-bit
 * weights exactly; `bf16` rounds both factors to bf16 where the processor multiplies that
 * faster, and is `f32` elsewhere.
 */
export type Products = 'f32' | 'bf16';
/** Elementwise activations by their names in the addon. */
export type Activation = 'gelu' | 'gelu_tanh' | 'tanh' | 'relu';

/** What a CUDA library finds out about this machine without touching the GPU. */
export interface NativeCudaProbe {
  usable: boolean;
  /** Why not, or what was found. */
  reason: string;
  /** Name of the first GPU. */
  name: string;
  /** How many GPUs there are. */
  devices: number;
  /** Newest CUDA version of the driver, and the library's: 1000 major + 10 minor. */
  driver: number;
  runtime: number;
  /** 10 major + minor. */
  computeCapability: number;
  /** Bytes of the first GPU. */
  memory: number;
}

/** Bytes of a device's pool (the CPU's by default), and handles of this thread. */
export interface NativeMemory {
  /** Bytes handed out to tensors and temporaries now. */
  inUse: number;
  /** Bytes kept for reuse. */
  cached: number;
  /** Highest `inUse` since the last reset. */
  peak: number;
  /** Tensor handles that this thread has not disposed. */
  tensors: number;
  /** Tensor handles that were garbage-collected without `dispose()`. */
  leaked: number;
}

/**
 * The functions of the native addon, one to one. Arguments are positional and checked on the native
 * side; a wrong one throws an error with `code` and `op`. Ops return at once: results are tensors
 * whose content the device's stream computes in order.
 */
export interface NativeAddon {
  tensorFrom(data: TypedArray, shape: Shape, dtype: DType, device: string): T;
  tensorZeros(shape: Shape, dtype: DType, device: string): T;
  tensorInfo(tensor: T): { shape: number[]; dtype: DType; device: string };
  tensorReshape(tensor: T, shape: Shape): T;
  tensorSlice(tensor: T, start: number, end: number): T;
  tensorCopyInto(target: T, source: T): void;
  tensorTo(tensor: T, device: string): T;
  tensorRead(tensor: T): Promise<TypedArray>;
  tensorReadSync(tensor: T): TypedArray;
  tensorDispose(tensor: T): void;

  mappedFileOpen(path: string): NativeMappedFile;
  mappedFileBytes(file: NativeMappedFile): number;
  mappedFileTensor(file: NativeMappedFile, offset: number, shape: Shape, dtype: DType): T;
  mappedFileClose(file: NativeMappedFile): void;

  setThreads(threads: number): void;
  setCacheLimit(bytes: number): void;
  memory(device?: string): NativeMemory;
  resetPeakMemory(device?: string): void;
  mark(device: string): NativeMark;
  beginRegion(device: string, key: string): void;
  endRegion(device: string): void;
  elapsed(from: NativeMark, to: NativeMark): T;
  probeCuda(library: string): NativeCudaProbe;
  describeCuda(library: string): string;
  openCuda(library: string, ordinal: number): string;
  capabilities(): { simd: string; libraries: Record<string, string> };

  embedding(ids: T, table: T): T;
  linear(x: T, weight: T, bias: Maybe, products: Products): T;
  maskedMatmul(
    x: T,
    w: T,
    bias: Maybe,
    rows: Maybe,
    columns: Maybe,
    mask: Maybe,
    compact: boolean,
  ): T;
  rmsNorm(x: T, weight: T, eps: number, residual: Maybe): [T, Maybe];
  rope(x: T, inverseFrequencies: T, offset: number, scale: number, inverse: boolean): T;
  attention(
    q: T,
    k: T,
    v: T,
    scale: number,
    causal: boolean,
    window: number,
    keyMask: Maybe,
    products: Products,
    wantLogSumExp: boolean,
  ): [output: T, logSumExp: Maybe];
  swiglu(gate: T, up: T): T;
  crossEntropy(
    hidden: T,
    w: T,
    targets: T,
    bias: Maybe,
    chunk: number,
    ignoreIndex: number,
    products: Products,
  ): T;
  gram(x: T, y: Maybe, into: Maybe): T;
  columnMoments(x: T, into: Maybe, count: number): T;
  cosine(x: T, y: T): T;
  gatherRows(x: T, indices: T): T;
  gatherColumns(x: T, indices: T): T;
  principalSubmatrix(x: T, indices: T, consume: boolean): T;
  scale(x: T, factors: T, columns: boolean): T;
  cast(x: T, dtype: DType): T;
  add(x: T, y: T): T;
  subtract(x: T, y: T): T;
  multiply(x: T, y: T): T;
  multiplyInto(target: T, x: T): void;
  squaredError(x: T, y: Maybe): T;
  sumRows(x: T): T;
  sumColumns(x: T): T;
  transpose(x: T): T;
  eigh(a: T): [values: T, vectors: T];
  svd(a: T, vectors: boolean): [u: Maybe, s: T, vt: Maybe];
  choleskySolve(h: T, b: T, damping: number, relative: boolean): T;
  leastSquares(a: T, b: T): T;
  ridgeUpdate(w: T, g: T, c: T, damping: number): T;
  conditionNumber(a: T, method: 'svd' | 'lanczos'): T;
  leaveOneOut(
    h: T,
    damping: number,
    condition: 'exact' | 'lanczos' | 'none',
  ): [residual: T, condition: Maybe];
  leaveGroupOut(g: T, w: T, groupSize: number, damping: number): T;

  // training
  attentionBackward(
    gradient: T,
    q: T,
    k: T,
    v: T,
    output: T,
    logSumExp: T,
    scale: number,
    causal: boolean,
    window: number,
    keyMask: Maybe,
    products: Products,
  ): [q: T, k: T, v: T];
  layerNorm(x: T, weight: T, bias: Maybe, eps: number): T;
  normBackward(
    gradient: T,
    x: T,
    weight: T,
    eps: number,
    centred: boolean,
    upstream: Maybe,
    wantWeight: boolean,
    wantBias: boolean,
  ): [x: T, weight: Maybe, bias: Maybe];
  loraLinear(x: T, products: Products, ...layers: (Maybe | number)[]): Maybe[];
  loraLinearBackward(
    x: Maybe,
    shape: Shape,
    products: Products,
    wantsX: boolean,
    ...layers: (Maybe | number | boolean)[]
  ): Maybe[];
  mergeFeatures(dtype: DType, permutation: Maybe, ...sources: (Maybe | number)[]): T;
  dispatchGradient(
    gradient: T,
    dtype: DType,
    permutation: Maybe,
    ...segments: (number | undefined)[]
  ): T[];
  linearInputGradient(gradient: T, weight: T, products: Products): T;
  linearWeightGradient(gradient: T, x: T, products: Products): T;
  dropout(x: T, probability: number, seed: number): T;
  activation(x: T, kind: Activation): T;
  activationBackward(gradient: T, saved: T, kind: Activation): T;
  swigluBackward(gradient: T, gate: T, up: T): [gate: T, up: T];

  // losses and optimisers
  embeddingBackward(gradient: T, ids: T, rows: number, paddingIndex: number): T;
  crossEntropyMean(
    hidden: T,
    w: T,
    targets: T,
    bias: Maybe,
    chunk: number,
    ignoreIndex: number,
    hiddenWanted: boolean,
    weightWanted: boolean,
    biasWanted: boolean,
    products: Products,
  ): [loss: T, hidden: Maybe, weight: Maybe, bias: Maybe];
  softmaxCrossEntropy(
    logits: T,
    labels: T,
    ignoreIndex: number,
    gradientWanted: boolean,
  ): [loss: T, gradient: Maybe];
  meanPool(x: T, mask: T): T;
  meanPoolBackward(gradient: T, mask: T): T;
  selectToken(x: T, index: T): T;
  selectTokenBackward(gradient: T, index: T, tokens: number): T;
  adamW(
    parameters: readonly T[],
    gradients: readonly T[],
    m: readonly T[],
    v: readonly T[],
    steps: readonly T[],
    lr: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    norm: Maybe,
    status: Maybe,
  ): void;
  sgd(
    parameters: readonly T[],
    gradients: readonly T[],
    velocities: readonly T[],
    lr: number,
    momentum: number,
    weightDecay: number,
    nesterov: boolean,
    norm: Maybe,
    status: Maybe,
  ): void;
  stepStatus(tensors: readonly T[]): T;
  globalNorm(tensors: readonly T[]): T;
  clipGradients(tensors: readonly T[], norm: T, maxNorm: number): void;
  scaleInPlace(tensors: readonly T[], factor: T): void;
  accumulate(target: T, x: T): void;
}

function asEspalierError(error: unknown): unknown {
  const { code, op, message } = error as { code?: ErrorCode; op?: string; message?: string };
  if (!(error instanceof Error) || error instanceof EspalierError || op === undefined) return error;
  return new EspalierError(code as ErrorCode, message ?? '', { op, cause: error });
}

/** Gives the functions of `raw` the errors of this library. */
function withEspalierErrors(raw: Record<string, (...args: unknown[]) => unknown>): NativeAddon {
  const wrapped: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(raw)) {
    wrapped[name] = (...args: unknown[]) => {
      try {
        const result = call(...args);
        if (!(result instanceof Promise)) return result;
        return result.catch((error) => {
          throw asEspalierError(error);
        });
      } catch (error) {
        throw asEspalierError(error);
      }
    };
  }
  return wrapped as unknown as NativeAddon;
}

let loaded: NativeAddon | undefined;

/**
 * The addon of this process, loaded on first use.
 *
 * @throws EspalierError `DEVICE_UNAVAILABLE` when no binary fits this platform; the message lists
 * what was tried.
 */
export function native(): NativeAddon {
  if (loaded === undefined) {
    const { threads } = defaultThreads();
    loaded = withEspalierErrors(loadAddon() as Record<string, (...args: unknown[]) => unknown>);
    // The device belongs to the process: a worker thread leaves its setting alone.
    if (isMainThread) loaded.setThreads(threads);
  }
  return loaded;
}
