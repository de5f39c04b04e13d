import { gatherColumns } from '../../ts/ops/gather-columns.js';
import { gatherRows } from '../../ts/ops/gather-rows.js';
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

test('gathering refuses numbers outside its own dimension', () => {
  const shape = (error: { code?: string }) => error.code === 'SHAPE';
  assert.throws(() => gatherRows(x, [2]), shape);
  assert.throws(() => gatherColumns(x, [3]), shape);
  assert.throws(() => gatherColumns(x, [Number.NaN]), shape);
});
