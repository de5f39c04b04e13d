import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { choleskySolve } from '../../ts/ops/cholesky-solve.js';
import { conditionNumber } from '../../ts/ops/condition-number.js';
import { eigh } from '../../ts/ops/eigh.js';
import { leastSquares } from '../../ts/ops/least-squares.js';
import { leaveGroupOut } from '../../ts/ops/leave-group-out.js';
import { leaveOneOut } from '../../ts/ops/leave-one-out.js';
import { ridgeUpdate } from '../../ts/ops/ridge-update.js';
import { svd } from '../../ts/ops/svd.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, test } from '../harness.js';

const f64 = (values: number[], shape: number[]) => Tensor.from(new Float64Array(values), shape);

async function near(tensor: Tensor | undefined, expected: number[]): Promise<void> {
  const values = Array.from((await tensor!.read()) as Float64Array);
  assert.is(values.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(
      Math.abs(values[i]! - value) <= 1e-6 * (1 + Math.abs(value)),
      `${values} ${expected}`,
    );
  });
}

async function failsWith(code: string, read: Promise<unknown>): Promise<void> {
  const failure = await read.then(
    () => undefined,
    (error: { code: string }) => error,
  );
  assert.is(failure?.code, code);
}

// [[2, 1], [1, 3]], inverse [[3, -1], [-1, 2]] / 5, eigenvalues (5 ± √5) / 2.
const h = () => f64([2, 1, 1, 3], [2, 2]);
const eigenvalues = [(5 - Math.sqrt(5)) / 2, (5 + Math.sqrt(5)) / 2];

test('the factorisations give the textbook answers for a 2 × 2 matrix', async () => {
  await near(choleskySolve(h(), f64([1, 2], [2])), [0.2, 0.6]);
  await near(choleskySolve(h(), f64([1, 2], [2]), { damping: 1, relative: false }), [
    2 / 11,
    5 / 11,
  ]);
  await near(eigh(h()).values, eigenvalues);
  await near(svd(h()).s, [...eigenvalues].reverse());
  assert.is(svd(h(), { vectors: false }).u, undefined);
  await near(leastSquares(f64([1, 1, 1], [3, 1]), f64([1, 2, 6], [3])), [3]);
  for (const method of ['svd', 'lanczos'] as const) {
    await near(conditionNumber(h(), { method }), [eigenvalues[1]! / eigenvalues[0]!]);
  }
});

test('leaving one column out of two leaves a number: condition 1', async () => {
  for (const condition of ['exact', 'lanczos'] as const) {
    const result = leaveOneOut(h(), { condition });
    await near(result.residual, [5 / 3, 5 / 2]);
    await near(result.condition, [1, 1]);
  }
  const residuals = leaveOneOut(h(), { condition: 'none' });
  await near(residuals.residual, [5 / 3, 5 / 2]);
  assert.is(residuals.condition, undefined);
});

test('a consumer is scored and re-solved from its Gram matrices', async () => {
  const w = Tensor.from(new Float32Array([1, 2]), [1, 2]);
  await near(leaveGroupOut(h(), w, { damping: 0 }), [5 / 3, 10]);
  await near(leaveGroupOut(h(), w, { groupSize: 2, damping: 0 }), [18]); // w h wᵀ
  await near(ridgeUpdate(w, h(), f64([4, 7], [1, 2]), { damping: 0 }), [1, 2]);
  await near(ridgeUpdate(w, h(), f64([3, 4], [1, 2]), { damping: 0 }), [1, 1]);
});

test('what has no answer fails the read with NUMERIC, what is no option the call with CONFIG', async () => {
  const indefinite = f64([1, 2, 2, 1], [2, 2]);
  await failsWith('NUMERIC', choleskySolve(indefinite, f64([1, 1], [2])).read());
  await failsWith('NUMERIC', leaveOneOut(indefinite).residual.read());
  await failsWith('NUMERIC', eigh(f64([1, 0, Number.NaN, 1], [2, 2])).values.read());
  for (const call of [
    () => conditionNumber(h(), { method: 'qr' as 'svd' }),
    () => leaveOneOut(h(), { condition: 'all' as 'none' }),
    () => leaveOneOut(h(), { damping: Number.NaN }),
    () => leaveGroupOut(h(), Tensor.from(new Float32Array(2), [1, 2]), { groupSize: 0 }),
  ]) {
    assert.throws(call, (error: { code: string }) => error.code === 'CONFIG');
  }
});

test('a first factorisation without memory for its buffers fails instead of hanging', () => {
  const program = `
    const load = require('node-gyp-build');
    const addon = load(process.cwd());
    const solve = () => addon.tensorRead(addon.choleskySolve(h, b, 0, true));
    const h = addon.tensorFrom(new Float64Array([4]), [1, 1], 'f64', 'cpu');
    const b = addon.tensorFrom(new Float64Array([8]), [1], 'f64', 'cpu');
    (async () => {
      const tensors = [];
      let full = false;
      while (!full) {
        const tensor = addon.tensorZeros([2 ** 24], 'f32', 'cpu');
        tensors.push(tensor);
        await addon.tensorRead(addon.tensorSlice(tensor, 0, 1)).catch(() => { full = true; });
      }
      const code = await solve().then(() => 'solved', (error) => error.code);
      addon.setCacheLimit(0);
      for (const tensor of tensors) addon.tensorDispose(tensor);
      console.log(code, (await solve())[0]);
    })();`;
  const child = spawnSync(
    'bash',
    ['-c', 'ulimit -v 4000000; exec "$0" -e "$1"', process.execPath, program],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8', timeout: 120_000 },
  );
  assert.is(child.stdout.trim(), 'OUT_OF_MEMORY 2', child.stderr);
});
