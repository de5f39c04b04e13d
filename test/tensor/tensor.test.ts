import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../../ts/native/addon.js';
import { add } from '../../ts/ops/add.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';

test('content that two tensors hold lives until both are disposed, in either order', async () => {
  const { inUse: before, tensors } = native().memory();
  for (const originalFirst of [true, false]) {
    const original = Tensor.from([1, 2, 3]);
    const second = new Tensor(original);
    const [first, last] = originalFirst ? [original, second] : [second, original];
    first.dispose();
    first.dispose();
    await fails(() => first.read(), 'CONFIG');
    const refused = await fails(() => add(last, first), 'CONFIG');
    assert.match(refused.message, 'disposed');
    await fails(() => new Tensor(first), 'CONFIG');
    assert.equal(await last.read(), Float32Array.of(1, 2, 3));
    assert.equal(last.shape, [3]);
    last.dispose();
    await fails(() => last.read(), 'CONFIG');
  }
  assert.is(native().memory().tensors, tensors);
  assert.is(native().memory().inUse, before);
});

test('a scope disposes what it made, not a second holder of it', async () => {
  const made: Tensor[] = [];
  scope(() => {
    const tensor = Tensor.from([4]);
    made.push(tensor, new Tensor(tensor));
  });
  const [tensor, second] = made as [Tensor, Tensor];
  assert.ok(tensor.disposed);
  assert.equal(await second.read(), Float32Array.of(4));
  second.dispose();
});

test('what nobody disposed goes with its tensors, and is counted', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const before = native().memory();
  const waste = () => {
    for (let i = 0; i < 100; i++) {
      const tensor = Tensor.zeros([1000]);
      if (i % 2 === 0) tensor.dispose();
    }
  };
  waste();
  for (let i = 0; i < 10 && native().memory().tensors > before.tensors; i++) {
    await turn();
    collectGarbage();
    await turn();
  }
  const { tensors, leaked, inUse } = native().memory();
  assert.is(tensors, before.tensors);
  assert.is(leaked, before.leaked + 50);
  assert.is(inUse, before.inUse);
});
