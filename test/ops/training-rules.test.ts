import { native } from '../../ts/native/addon.js';
import { Parameter } from '../../ts/nn/parameter.js';
import { crossEntropyMean } from '../../ts/ops/cross-entropy-mean.js';
import { embedding } from '../../ts/ops/embedding.js';
import { gelu } from '../../ts/ops/gelu.js';
import { meanPool } from '../../ts/ops/mean-pool.js';
import { selectToken } from '../../ts/ops/select-token.js';
import { softmaxCrossEntropy } from '../../ts/ops/softmax-cross-entropy.js';
import { swiglu } from '../../ts/ops/swiglu.js';
import { tanh } from '../../ts/ops/tanh.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, test } from '../harness.js';
import { checkGradients, values } from './gradient-check.js';

const targets = Tensor.from(Int32Array.of(0, -100, 3, 1));

test('gradients of activations reach their inputs', async () => {
  await checkGradients(swiglu, [values([2, 5], 1), values([2, 5], 2)]);
  await checkGradients((x) => gelu(x), [values([7], 1)]);
  await checkGradients((x) => gelu(x, { approximate: 'tanh' }), [values([7], 1)]);
  await checkGradients(tanh, [values([7], 1)]);
});

test('the gradient of swiglu reaches one input alone', async () => {
  const up = values([5], 2);
  await checkGradients((gate) => swiglu(gate, up), [values([5], 1)]);
  await checkGradients((x) => swiglu(up, x), [values([5], 1)]);
});

test('gradients of losses reach hidden states, weights and bias, scaled by what comes from above', async () => {
  const loss = (hidden: Tensor, w: Tensor, bias?: Tensor) =>
    crossEntropyMean(hidden, w, targets, { chunk: 3, ...(bias && { bias }) });
  await checkGradients(loss, [values([4, 3], 1), values([5, 3], 2), values([5], 3)]);
  const w = values([5, 3], 2);
  await checkGradients((hidden) => loss(hidden, w), [values([4, 3], 1)]);
  const hidden = values([4, 3], 1);
  await checkGradients((x) => loss(hidden, x), [w]);
  await checkGradients((x) => softmaxCrossEntropy(x, targets), [values([4, 5], 1)]);
});

test('the gradient of an embedding adds up repeated ids and leaves the padding out', async () => {
  const ids = Tensor.from(Int32Array.of(1, 0, 1, 2), [2, 2]);
  await checkGradients((table) => embedding(ids, table), [values([4, 3], 1)]);
  const table = new Parameter(values([4, 3], 1));
  const output = embedding(ids, table.value, { paddingIndex: 1 });
  output.backward(Tensor.from(new Float32Array(12).fill(1), [2, 2, 3]));
  assert.equal(
    [...((await (table.grad as Tensor).read()) as Float32Array)],
    [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0],
  );
});

test('gradients of pooled states go back to their tokens', async () => {
  const mask = Tensor.from(Uint8Array.of(1, 1, 0, 0, 1, 0), [2, 3]);
  await checkGradients((x) => meanPool(x, mask), [values([2, 3, 4], 1)]);
  const index = Tensor.from(Int32Array.of(2, 0));
  await checkGradients((x) => selectToken(x, index), [values([2, 3, 4], 1)]);
});

test('losses compute no gradients when nothing wants one, and free them after the walk', async () => {
  const hidden = values([4, 3], 1);
  const w = values([5, 3], 2);
  const before = native().memory().tensors;
  crossEntropyMean(hidden, w, targets).dispose();
  assert.is(native().memory().tensors, before);
  const parameter = new Parameter(hidden);
  scope(() => crossEntropyMean(hidden, w, targets).backward());
  parameter.zeroGrad();
  assert.is(native().memory().tensors, before);
});
