import { Tensor } from '../../ts/tensor/tensor.js';
import { native } from '../../ts/native/addon.js';
import { maskedMatmul } from '../../ts/ops/masked-matmul.js';
import { assert, test } from '../harness.js';

const x = Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]);
const w = Tensor.from([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1], [4, 3]);

test('maskedMatmul takes kept rows and columns as numbers', async () => {
  const y = maskedMatmul(x, w, { rows: [0, 3], columns: [0, 2] });
  assert.equal(Array.from((await y.read()) as Float32Array), [1, 0, 0, 4, 4, 0, 0, 10]);
  const compact = maskedMatmul(x, w, { rows: [0, 3], columns: [0, 2], compact: true });
  assert.equal(compact.shape, [2, 2]);
  assert.equal(Array.from((await compact.read()) as Float32Array), [1, 4, 4, 10]);
});

test('maskedMatmul takes a mask of floats like one of bytes', async () => {
  const bits = [1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0];
  const bytes = maskedMatmul(x, w, { mask: Tensor.from(Uint8Array.from(bits), [4, 3]) });
  const floats = maskedMatmul(x, w, { mask: Tensor.from(bits, [4, 3]) });
  assert.equal(Array.from((await bytes.read()) as Float32Array), [1, 0, 3, 1, 4, 0, 6, 4]);
  assert.equal(await floats.read(), await bytes.read());
});

test('maskedMatmul refuses wrong numbers at once and wrong tensors on read', async () => {
  for (const rows of [[4], [-1], [0.5], [1, 1], [2, 0]]) {
    assert.throws(
      () => maskedMatmul(x, w, { rows }),
      (error: { code?: string }) => error.code === 'SHAPE',
    );
  }
  const unsorted = maskedMatmul(x, w, { rows: Tensor.from(Int32Array.of(2, 0)) });
  let code: string | undefined;
  await unsorted.read().catch((error: { code?: string }) => {
    code = error.code;
  });
  assert.is(code, 'SHAPE');
});

test('maskedMatmul leaves no temporaries behind', () => {
  const before = native().memory().tensors;
  const mask = Tensor.from([1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0], [4, 3]);
  maskedMatmul(x, w, { rows: [1], columns: [0], mask }).dispose();
  mask.dispose();
  assert.is(native().memory().tensors, before);
});
