import { gatherColumns } from '../../ts/ops/gather-columns.js';
import { gatherRows } from '../../ts/ops/gather-rows.js';
import { principalSubmatrix } from '../../ts/ops/principal-submatrix.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, test } from '../harness.js';

const x = Tensor.from([0, 1, 2, 3, 4, 5], [2, 3]);

test('gathering takes numbers and i32 tensors alike', async () => {
  assert.equal(
    Array.from((await gatherRows(x, [1, 0, 1]).read()) as Float32Array),
    [3, 4, 5, 0, 1, 2, 3, 4, 5],
  );
  assert.equal(Array.from((await gatherColumns(x, [2, 2]).read()) as Float32Array), [2, 2, 5, 5]);
  const indices = Tensor.from(Int32Array.of(2, 2));
  assert.equal(await gatherColumns(x, indices).read(), await gatherColumns(x, [2, 2]).read());
});

test('a principal submatrix takes the same rows and columns', async () => {
  const square = Tensor.from([0, 1, 2, 3, 4, 5, 6, 7, 8], [3, 3]);
  const part = principalSubmatrix(square, [2, 0]);
  assert.equal(part.shape, [2, 2]);
  assert.equal(Array.from((await part.read()) as Float32Array), [8, 6, 2, 0]);
  assert.throws(() => principalSubmatrix(square, [3]), /SHAPE|indices/);
  assert.throws(() => principalSubmatrix(x, [0]), /square/);
});

test('a principal submatrix may use its matrix up', async () => {
  const square = Tensor.from([0, 1, 2, 3, 4, 5, 6, 7, 8], [3, 3]);
  const part = principalSubmatrix(square, [0, 2], { consume: true });
  assert.equal(square.disposed, true);
  assert.equal(Array.from((await part.read()) as Float32Array), [0, 2, 6, 8]);
});

test('gathering refuses numbers outside its own dimension', () => {
  const shape = (error: { code?: string }) => error.code === 'SHAPE';
  assert.throws(() => gatherRows(x, [2]), shape);
  assert.throws(() => gatherColumns(x, [3]), shape);
  assert.throws(() => gatherColumns(x, [Number.NaN]), shape);
});
