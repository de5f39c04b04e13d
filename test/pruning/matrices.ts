import type { Random } from '../../ts/common/random.js';
import { Tensor } from '../../ts/tensor/tensor.js';

/** A matrix in rows, for brute force. */
export type Matrix = number[][];

/** A seeded matrix whose numbers f32 holds exactly. */
export function randomMatrix(rows: number, columns: number, random: Random): Matrix {
  return Array.from({ length: rows }, () =>
    Array.from({ length: columns }, () => Math.fround(random.normal())),
  );
}

/** The matrix as a tensor. */
export function tensorOf(matrix: Matrix, dtype: 'f32' | 'f64' = 'f32'): Tensor {
  const flat = matrix.flat();
  const data = dtype === 'f32' ? Float32Array.from(flat) : Float64Array.from(flat);
  return Tensor.from(data, [matrix.length, matrix[0]?.length ?? 0]);
}

/** A · B. */
export function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) =>
    (b[0] ?? []).map((_, j) => row.reduce((sum, x, k) => sum + x * (b[k]?.[j] as number), 0)),
  );
}

/** Aᵀ. */
export function transposed(a: Matrix): Matrix {
  return (a[0] ?? []).map((_, j) => a.map((row) => row[j] as number));
}

/** ‖A − B‖². */
export function distance(a: Matrix, b: Matrix): number {
  return a.flatMap((row, i) => row.map((x, j) => (x - (b[i]?.[j] as number)) ** 2)).reduce(add, 0);
}

/** The columns of A with these indices. */
export function columnsOf(a: Matrix, indices: readonly number[]): Matrix {
  return a.map((row) => indices.map((j) => row[j] as number));
}

/** X of A X = B by Gaussian elimination with pivoting. */
export function solve(a: Matrix, b: Matrix): Matrix {
  const n = a.length;
  const work = a.map((row, i) => [...row, ...(b[i] as number[])]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k; i < n; i++) {
      if (Math.abs(work[i]?.[k] as number) > Math.abs(work[pivot]?.[k] as number)) pivot = i;
    }
    [work[k], work[pivot]] = [work[pivot] as number[], work[k] as number[]];
    const top = work[k] as number[];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const row = work[i] as number[];
      const factor = (row[k] as number) / (top[k] as number);
      for (let j = k; j < row.length; j++)
        row[j] = (row[j] as number) - factor * (top[j] as number);
    }
  }
  return work.map((row, i) => row.slice(n).map((x) => x / (row[i] as number)));
}

function add(x: number, y: number): number {
  return x + y;
}
