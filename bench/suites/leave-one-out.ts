import { eigh } from '../../ts/ops/eigh.js';
import { gram } from '../../ts/ops/gram.js';
import { leaveOneOut } from '../../ts/ops/leave-one-out.js';
import { svd } from '../../ts/ops/svd.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { runChild } from '../child.js';
import { normals, withDirectory, writeRaw } from '../data.js';
import {
  checkClose,
  formatFigure,
  formatSeconds,
  interleave,
  onDevice,
  ratio,
  type Suite,
  type SuiteContext,
} from '../harness.js';
import { KnownSpectrum } from '../known-spectrum.js';
import type { LargeResult } from './leave-one-out-large.js';

const DAMPING = 1e-3;

/** A Gram matrix like that of activations: columns of very different norms, correlated. */
function activationGram(n: number, device: string): Tensor {
  const tokens = 2 * n;
  const x = normals(11, tokens * n);
  const common = normals(12, tokens);
  for (let t = 0; t < tokens; t++) {
    for (let j = 0; j < n; j++) {
      const at = t * n + j;
      x[at] = (x[at]! + 0.5 * common[t]!) * (0.05 + 1 / (1 + j / 64));
    }
  }
  const input = Tensor.from(x, [tokens, n], { device });
  const result = gram(input);
  input.dispose();
  return result;
}

/** The damped matrix without row and column `j`. */
function without(h: Float64Array, n: number, j: number, device: string): Tensor {
  const lambda =
    (DAMPING * Array.from({ length: n }, (_, i) => h[i * n + i]!).reduce((a, b) => a + b)) / n;
  const rest = new Float64Array((n - 1) ** 2);
  let at = 0;
  for (let row = 0; row < n; row++) {
    if (row === j) continue;
    for (let column = 0; column < n; column++) {
      if (column === j) continue;
      rest[at++] = h[row * n + column]! + (row === column ? lambda : 0);
    }
  }
  return Tensor.from(rest, [n - 1, n - 1], { device });
}

async function measureSmall(context: SuiteContext): Promise<void> {
  const { report, quick, say, device, peerDevice } = context;
  const n = quick ? (device === 'cpu' ? 256 : 64) : 1024;
  const h = activationGram(n, device);
  const values = h.readSync() as Float64Array;
  const columns = [0, 1, Math.floor(n / 2), n - 1];

  say(`n = ${n}: checking against separate singular values`);
  const exact = leaveOneOut(h, { damping: DAMPING });
  const conditions = exact.condition!.readSync();
  const lanczos = leaveOneOut(h, { damping: DAMPING, condition: 'lanczos' });
  const estimates = lanczos.condition!.readSync();
  for (const tensor of [exact, lanczos]) {
    tensor.residual.dispose();
    tensor.condition!.dispose();
  }
  const rests = columns.map((j) => without(values, n, j, device));
  for (const [i, j] of columns.entries()) {
    const { s } = svd(rests[i]!, { vectors: false });
    const singular = s.readSync() as Float64Array;
    s.dispose();
    checkClose(conditions[j] as number, singular[0]! / singular.at(-1)!, 1e-6, `condition ${j}`);
  }
  let worst = 0;
  for (let j = 0; j < n; j++) {
    const [estimate, truth] = [estimates[j] as number, conditions[j] as number];
    worst = Math.max(worst, Math.abs(estimate / truth - 1));
  }

  const peer = await context.peer();
  const all = (condition: 'exact' | 'lanczos' | 'none') => () => {
    const result = leaveOneOut(h, { damping: DAMPING, condition });
    return [...(result.condition ? [result.condition] : []), result.residual];
  };
  const contenders = [
    onDevice('leaveOneOut, exact conditions', device, all('exact')),
    onDevice('eigh with vectors', device, () => Object.values(eigh(h))),
    onDevice('leaveOneOut, Lanczos conditions', device, all('lanczos')),
    onDevice('leaveOneOut, residuals only', device, all('none')),
    onDevice(
      'one SVD (singular values, n - 1)',
      device,
      () => svd(rests[0]!, { vectors: false }).s,
    ),
  ];
  await withDirectory(async (directory) => {
    if (peer) {
      await peer.call('eigen_load', { path: writeRaw(directory, 'h', values), n });
      const found = await peer.call<number[]>('eigen_conditions', { columns, damping: DAMPING });
      for (const [i, j] of columns.entries()) {
        checkClose(conditions[j] as number, found[i]!, 1e-6, `condition ${j} against numpy`);
      }
      const where = peerDevice === 'cpu' ? '' : ' on the GPU';
      for (const what of ['torch', 'numpy', 'scipy', 'svd']) {
        const name = what === 'svd' ? 'numpy: one SVD' : `${what} eigh with vectors`;
        const run = () => peer.call<number>('eigen_time', { what });
        contenders.push({ name: what === 'torch' ? name + where : name, run });
      }
    }
    say(`n = ${n}: timing`);
    const timings = await interleave(contenders, { rounds: quick ? 3 : 7, least: 0.01 });
    const [ours, decomposition, , , single] = timings;
    report.table(
      `n = ${n}, f64, damping ${DAMPING}`,
      ['what', 'time', 'leaveOneOut exact over it'],
      timings.map((t) => [t.name, formatSeconds(t.median), ratio(ours!, t).toFixed(3)]),
    );
    const speedup = (n * single!.median) / ours!.median;
    report.target(`n = ${n}: over eigh with vectors`, ratio(ours!, decomposition!), 'at most', 1.5);
    report.target(`n = ${n}: faster than n SVDs`, speedup, 'at least', 100);
    report.note(
      `The time of n SVDs is n times that of one, measured on the matrix without column 0: ` +
        `${formatSeconds(n * single!.median)}.`,
    );
    report.note(
      `Lanczos conditions differ from the exact ones by ${formatFigure(worst)} at most (relative, ` +
        `all ${n} columns).`,
    );
  });
  for (const tensor of [h, ...rests]) tensor.dispose();
}

async function measureLarge(context: SuiteContext): Promise<void> {
  const { options, report, quick, say, threads, device } = context;
  const n = Number(options.columns ?? (quick ? (device === 'cpu' ? 1024 : 128) : 11008));
  if (n === 0) return;
  const rows: string[][] = [];
  for (const condition of ['none', 'lanczos'] as const) {
    say(`n = ${n}: ${condition === 'none' ? 'residuals' : 'residuals and Lanczos conditions'}`);
    const result = await runChild<LargeResult>('suites/leave-one-out-large.ts', {
      n,
      condition,
      damping: DAMPING,
      threads,
      device,
    });
    const memory = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
    rows.push([
      condition === 'none' ? 'residuals' : 'residuals, Lanczos conditions',
      formatSeconds(result.seconds),
      memory(result.peakBytes),
      memory(result.tensorBytes),
      formatFigure(result.residualError),
      result.conditionError === undefined ? '' : formatFigure(result.conditionError),
    ]);
    const what = condition === 'none' ? 'residuals' : 'conditions by Lanczos';
    if (device === 'cpu') {
      report.target(`n = ${n}: peak GB, ${what}`, result.peakBytes / 1e9, 'at most', 3);
    }
  }
  const peer = device === 'cpu' ? undefined : await context.peer();
  if (peer) {
    say(`n = ${n}: torch's eigh`);
    await withDirectory(async (directory) => {
      const { d, u } = new KnownSpectrum(n);
      const files = { d: writeRaw(directory, 'd', d), u: writeRaw(directory, 'u', u) };
      await peer.call('eigen_reflected', { ...files, n });
      const seconds = await peer.call<number>('eigen_time', { what: 'torch' });
      rows.push(["torch's eigh with vectors", formatSeconds(seconds), '', '', '', '']);
    });
  }
  report.table(
    `n = ${n}, f64, in a process of its own`,
    [
      ...['what', 'time', 'peak memory (VmHWM)', 'of tensors on the device'],
      ...['worst error of residuals', 'of conditions'],
    ],
    rows,
  );
  report.note(
    'The large matrix is `(I - 2uuᵀ) diag(d) (I - 2uuᵀ)`, whose eigenpairs are known: residuals are ' +
      'compared with their sum over all eigenpairs, conditions with the outer roots of the secular ' +
      'equation found by bisection, at 64 columns. Errors are relative.',
  );
}

/** Leave-one-out residuals and condition numbers against what they replace. */
export const suite: Suite = {
  claim:
    'All leave-one-out condition numbers cost at most 1.5 eigen-decompositions with vectors, and ' +
    'are at least 100 times faster than n separate SVDs; 11008 columns fit into 3 GB.',
  // Columns of the large matrix; 0 leaves it out.
  options: { columns: { type: 'string' } },
  async run(context) {
    await measureSmall(context);
    await measureLarge(context);
  },
};
