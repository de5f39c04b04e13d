// Factorisations on an emulated GPU with little memory and the stand-in for cuSOLVER: running out,
// and going on.
import { buildEmulatedGpu, buildStandIns } from '../../scripts/native-tests.mjs';
import { cudaLibraries } from '../../ts/native/cuda-libraries.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { choleskySolve } from '../../ts/ops/cholesky-solve.js';
import { conditionNumber } from '../../ts/ops/condition-number.js';
import { eigh } from '../../ts/ops/eigh.js';
import { leastSquares } from '../../ts/ops/least-squares.js';
import { leaveGroupOut } from '../../ts/ops/leave-group-out.js';
import { leaveOneOut } from '../../ts/ops/leave-one-out.js';
import { ridgeUpdate } from '../../ts/ops/ridge-update.js';
import { svd } from '../../ts/ops/svd.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';

process.env.ESPALIER_CUDA_LIB = buildEmulatedGpu();
process.env.ESPALIER_CUDA_LIBRARY_PATH = buildStandIns();
// Room for one matrix of order 600, and for nothing of that size beside it.
process.env.ESPALIER_SHIM_MEMORY = String(2 ** 22);

const { device } = resolveDevice('cuda');

/** What each op makes of 2 I, [n, n]: one of its results. */
const ops: Record<string, (h: Tensor, n: number) => Tensor> = {
  eigh: (h) => eigh(h).values,
  svd: (h) => svd(h).s,
  conditionNumber: (h) => conditionNumber(h),
  'conditionNumber by Lanczos': (h) => conditionNumber(h, { method: 'lanczos' }),
  choleskySolve: (h, n) => choleskySolve(h, ones([n], 'f64')),
  leastSquares: (h, n) => leastSquares(h, ones([n], 'f64')),
  ridgeUpdate: (h, n) => ridgeUpdate(ones([1, n], 'f32'), h, ones([1, n], 'f64')),
  leaveOneOut: (h) => leaveOneOut(h).residual,
  'leaveOneOut by Lanczos': (h) => leaveOneOut(h, { condition: 'lanczos' }).residual,
  'leaveOneOut without conditions': (h) => leaveOneOut(h, { condition: 'none' }).residual,
  leaveGroupOut: (h, n) => leaveGroupOut(h, ones([1, n], 'f32'), { groupSize: 2 }),
};

function ones(shape: number[], dtype: 'f32' | 'f64'): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = dtype === 'f32' ? new Float32Array(count) : new Float64Array(count);
  return Tensor.from(values.fill(1), shape, { device });
}

function twiceIdentity(n: number): Tensor {
  const values = new Float64Array(n * n);
  for (let i = 0; i < n; i++) values[i * n + i] = 2;
  return Tensor.from(values, [n, n], { device });
}

test('the library factorises', () => {
  assert.match(cudaLibraries().join('\n'), /factorisations by cuSOLVER/);
});

for (const [name, op] of Object.entries(ops)) {
  test(`${name} without room for its work fails its reads and leaves the device usable`, async () => {
    const run = (n: number) => scope(() => ({ result: op(twiceIdentity(n), n) })).result;
    const failing = run(600);
    const error = await fails(() => failing.read(), 'OUT_OF_MEMORY');
    assert.is((error as { op?: string }).op, name.split(' ')[0]);
    failing.dispose();
    const good = run(8);
    assert.ok([...(await good.read())].every((value) => Number.isFinite(Number(value))));
    good.dispose();
  });
}
