// The child process of the leave-one-out suite: one large matrix, its peak memory and its accuracy.
import { setThreads } from '../../ts/native/threads.js';
import { leaveOneOut } from '../../ts/ops/leave-one-out.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { answerParent } from '../child.js';
import { normals } from '../data.js';

/** What the child is asked for. */
export interface LargeRequest {
  n: number;
  condition: 'lanczos' | 'none';
  damping: number;
  threads: number;
}

/** What it found. */
export interface LargeResult {
  seconds: number;
  /** Largest relative errors over the columns looked at. */
  residualError: number;
  conditionError: number | undefined;
  peakBytes: number;
}

/** `P diag(d) P` with the reflection `P = I - 2uuᵀ`: its eigenvectors are the columns of P. */
class KnownSpectrum {
  readonly d: Float64Array;
  readonly u: Float64Array;

  constructor(readonly n: number) {
    this.d = Float64Array.from({ length: n }, (_, i) => 10 ** (2 - (5 * i) / n));
    const raw = Float64Array.from(normals(21, n));
    const norm = Math.hypot(...raw);
    this.u = raw.map((value) => value / norm);
  }

  /** The matrix, written block by block so that it exists once. */
  matrix(): Tensor {
    const { n, d, u } = this;
    const h = Tensor.zeros([n, n], 'f64');
    const middle = u.reduce((sum, value, i) => sum + value * value * d[i]!, 0);
    const height = 256;
    for (let start = 0; start < n; start += height) {
      const end = Math.min(n, start + height);
      const block = new Float64Array((end - start) * n);
      for (let i = start; i < end; i++) {
        for (let j = 0; j < n; j++) {
          const mixed = u[i]! * u[j]! * (4 * middle - 2 * d[i]! - 2 * d[j]!);
          block[(i - start) * n + j] = mixed + (i === j ? d[i]! : 0);
        }
      }
      const source = Tensor.from(block, [end - start, n]);
      const target = h.slice(start, end);
      target.copyFrom(source);
      for (const tensor of [source, target]) tensor.dispose();
    }
    return h;
  }

  /** Squared components of eigenvector i at coordinate j. */
  #weight(i: number, j: number): number {
    return ((i === j ? 1 : 0) - 2 * this.u[i]! * this.u[j]!) ** 2;
  }

  residual(j: number, lambda: number): number {
    let sum = 0;
    for (let i = 0; i < this.n; i++) sum += this.#weight(i, j) / (this.d[i]! + lambda);
    return 1 / sum;
  }

  /** The root of Σ v_ji²/(d_i - μ) between two neighbouring eigenvalues, by bisection. */
  #root(j: number, low: number, high: number): number {
    for (let step = 0; step < 100; step++) {
      const middle = (low + high) / 2;
      let sum = 0;
      for (let i = 0; i < this.n; i++) sum += this.#weight(i, j) / (this.d[i]! - middle);
      if (sum > 0) high = middle;
      else low = middle;
    }
    return (low + high) / 2;
  }

  condition(j: number, lambda: number): number {
    const { n, d } = this;
    const largest = this.#root(j, d[1]!, d[0]!);
    const smallest = this.#root(j, d[n - 1]!, d[n - 2]!);
    return (largest + lambda) / (smallest + lambda);
  }
}

await answerParent(async ({ n, condition, damping, threads }: LargeRequest) => {
  setThreads(threads);
  const known = new KnownSpectrum(n);
  const h = known.matrix();
  h.slice(0, 1).readSync();
  const start = performance.now();
  const result = leaveOneOut(h, { damping, condition });
  const residuals = (await result.residual.read()) as Float64Array;
  const conditions = (await result.condition?.read()) as Float64Array | undefined;
  const seconds = (performance.now() - start) / 1000;

  const trace = known.d.reduce((sum, value) => sum + value, 0);
  const lambda = (damping * trace) / n;
  let residualError = 0;
  let conditionError = conditions === undefined ? undefined : 0;
  for (let j = 0; j < n; j += Math.ceil(n / 64)) {
    const gap = Math.abs(residuals[j]! / known.residual(j, lambda) - 1);
    residualError = Math.max(residualError, gap);
    if (conditions === undefined) continue;
    const error = Math.abs(conditions[j]! / known.condition(j, lambda) - 1);
    conditionError = Math.max(conditionError ?? 0, error);
  }
  return { seconds, residualError, conditionError };
});
