import { Tensor } from '../ts/tensor/tensor.js';
import { normals } from './data.js';

/** `P diag(d) P` with the reflection `P = I - 2uuᵀ`: its eigenvectors are the columns of P. */
export class KnownSpectrum {
  readonly d: Float64Array;
  readonly u: Float64Array;

  constructor(readonly n: number) {
    this.d = Float64Array.from({ length: n }, (_, i) => 10 ** (2 - (5 * i) / n));
    const raw = Float64Array.from(normals(21, n));
    const norm = Math.hypot(...raw);
    this.u = raw.map((value) => value / norm);
  }

  /** The matrix, written block by block so that it exists once. */
  matrix(device: string): Tensor {
    const { n, d, u } = this;
    const h = Tensor.zeros([n, n], 'f64', device);
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
      const source = Tensor.from(block, [end - start, n], { device });
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

  /** The exact leave-one-out residual of column j. */
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

  /** The exact condition number without column j. */
  condition(j: number, lambda: number): number {
    const { n, d } = this;
    const largest = this.#root(j, d[1]!, d[0]!);
    const smallest = this.#root(j, d[n - 1]!, d[n - 2]!);
    return (largest + lambda) / (smallest + lambda);
  }
}
