// Whole models on the GPU, beside what other libraries computed.
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { add } from '../../ts/ops/add.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';
import { gpu, runOnGpu } from './gpu.js';

for (const file of [
  'test/models/conformance.test.ts',
  'test/models/training-conformance.test.ts',
]) {
  test(`models give what stock transformers and PEFT give: ${file}`, async () => {
    const { code, output } = await runOnGpu(file);
    assert.is(code, 0, output);
  });
}

test('auto is the GPU where there is one, and tensors go there and back', async () => {
  const { device } = resolveDevice();
  assert.is(device, gpu);
  const x = Tensor.from([1, 2, 3, 4], [2, 2]);
  const there = x.to(device);
  assert.is(there.device, device);
  const sum = add(there, there);
  assert.equal([...((await sum.read()) as Float32Array)], [2, 4, 6, 8]);
  x.copyFrom(sum);
  assert.equal([...((await x.read()) as Float32Array)], [2, 4, 6, 8]);
  await fails(() => add(x, there), 'DEVICE_MISMATCH');
  await fails(() => x.to('cuda:77'), 'DEVICE_UNAVAILABLE');
  for (const tensor of [x, there, sum]) tensor.dispose();
});
