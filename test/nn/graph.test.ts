import { EspalierError } from '../../ts/common/errors.js';
import { native } from '../../ts/native/addon.js';
import { noGrad, noGradInPieces } from '../../ts/nn/no-grad.js';
import { Parameter } from '../../ts/nn/parameter.js';
import { recompute } from '../../ts/nn/recompute.js';
import { add } from '../../ts/ops/add.js';
import { multiply } from '../../ts/ops/multiply.js';
import { record } from '../../ts/tensor/recorder.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, test } from '../harness.js';

/** x ∘ y as an op of its own, so that these tests need no other rule than their own. */
function product(x: Tensor, y: Tensor): Tensor {
  const output = noGrad(() => multiply(x, y));
  record({
    op: 'product',
    inputs: [x, y],
    outputs: [output],
    saved: [x, y],
    backward: ([gradient], [a, b], wanted) => [
      wanted[0] ? multiply(gradient as Tensor, b as Tensor) : undefined,
      wanted[1] ? multiply(gradient as Tensor, a as Tensor) : undefined,
    ],
  });
  return output;
}

/** x + y, passing its gradient on as it is. */
function sum(x: Tensor, y: Tensor): Tensor {
  const output = noGrad(() => add(x, y));
  record({
    op: 'sum',
    inputs: [x, y],
    outputs: [output],
    saved: [],
    backward: ([gradient]) => [gradient, gradient],
  });
  return output;
}

const values = async (tensor: Tensor | undefined) => {
  if (tensor === undefined) throw new Error('expected a gradient');
  return [...((await tensor.read()) as Float32Array)];
};
const memory = () => native().memory().inUse;
const error = (body: () => unknown): EspalierError => {
  try {
    body();
  } catch (caught) {
    assert.instance(caught, EspalierError);
    return caught as EspalierError;
  }
  throw new Error('expected a failure');
};

test('gradients of a tensor that is used several times add up', async () => {
  const p = new Parameter(Tensor.from([2, -3]));
  // f = x³ + x² + 5x summed up, by way of tensors that disappear at the end of the scope.
  const f = scope(() => {
    const x = p.value;
    const square = product(x, x);
    return sum(sum(product(square, x), square), product(x, Tensor.from([5, 5])));
  });
  const one = Tensor.from([1, 10]);
  f.backward(one);
  assert.equal(await values(p.grad), [3 * 4 + 2 * 2 + 5, 10 * (3 * 9 - 2 * 3 + 5)]);
  for (const tensor of [f, one]) tensor.dispose();
  p.dispose();
});

test('a second walk adds to the gradient of the first', async () => {
  const p = new Parameter(Tensor.from([3]));
  for (let i = 0; i < 3; i++) {
    const f = product(p.value, p.value);
    f.backward();
    f.dispose();
  }
  assert.equal(await values(p.grad), [18]);
  p.zeroGrad();
  assert.is(p.grad, undefined);
  p.dispose();
});

test('parameters that share a gradient hold copies of their own', async () => {
  const [p, q] = [new Parameter(Tensor.from([1])), new Parameter(Tensor.from([2]))];
  const f = sum(p.value, q.value);
  f.backward();
  f.dispose();
  const again = product(p.value, p.value);
  again.backward();
  again.dispose();
  assert.equal(await values(p.grad), [3]);
  assert.equal(await values(q.grad), [1]);
  p.dispose();
  q.dispose();
});

test('the memory of a graph is free after the walk, and without a walk once the root is disposed', async () => {
  const p = new Parameter(Tensor.zeros([1000]));
  const build = () =>
    scope(() => {
      let x = p.value;
      for (let i = 0; i < 50; i++) x = product(x, x);
      return x;
    });
  await p.value.read();
  const before = memory();
  const dropped = build();
  await dropped.read();
  assert.ok(memory() > before + 40 * 4000, 'activations are kept for the walk');
  dropped.dispose();
  await p.value.read();
  assert.ok(memory() <= before, 'native memory grew');
  const walked = build();
  const gradient = Tensor.zeros([1000]);
  walked.backward(gradient);
  walked.dispose();
  gradient.dispose();
  p.zeroGrad();
  await p.value.read();
  assert.ok(memory() <= before, 'native memory grew');
  p.dispose();
});

test('nothing is recorded under noGrad, for frozen parameters and without parameters', () => {
  const p = new Parameter(Tensor.from([1]));
  const untracked = [
    noGrad(() => product(p.value, p.value)),
    product(Tensor.from([1]), Tensor.from([1])),
  ];
  p.requiresGrad = false;
  untracked.push(product(p.value, p.value));
  for (const tensor of untracked) {
    assert.is(error(() => tensor.backward()).code, 'CONFIG');
    tensor.dispose();
  }
  p.dispose();
});

test('a walk starts in the middle with a gradient from elsewhere', async () => {
  const [p, q] = [new Parameter(Tensor.from([2, 3])), new Parameter(Tensor.from([5, 7]))];
  const bottom = product(p.value, p.value);
  // The top sees the bottom's output as an input of its own, as another machine would.
  const features = new Parameter(noGrad(() => bottom.reshape([2])));
  const top = product(features.value, q.value);
  const seed = Tensor.from([1, 1]);
  top.backward(seed);
  assert.equal(await values(q.grad), [4, 9]);
  bottom.backward(features.grad);
  assert.equal(await values(p.grad), [5 * 4, 7 * 6]);
  for (const thing of [bottom, top, seed, features, p, q]) thing.dispose();
});

test('reshapes and slices lead gradients back to their place', async () => {
  const p = new Parameter(Tensor.from([1, 2, 3, 4, 5, 6], [3, 2]));
  const f = scope(() => {
    const row = p.value.slice(1, 2).reshape([2]);
    return product(row, row);
  });
  const seed = Tensor.from([1, 1]);
  f.backward(seed);
  assert.equal(p.grad?.shape, [3, 2]);
  assert.equal(await values(p.grad), [0, 0, 6, 8, 0, 0]);
  for (const thing of [f, seed, p]) thing.dispose();
});

test('recomputing a block gives the same gradients in less memory', async () => {
  const p = new Parameter(Tensor.from(new Float32Array(1000).fill(1.01)));
  const block = (x: Tensor) => {
    let y = x;
    for (let i = 0; i < 10; i++) y = product(y, p.value);
    return y;
  };
  const run = async (keepNothing: boolean) => {
    const f = scope(() => {
      let x = p.value;
      for (let i = 0; i < 5; i++) {
        x = keepNothing ? recompute(([y]) => block(y as Tensor), [x], [p.value]) : block(x);
      }
      return x;
    });
    await f.read();
    const held = memory();
    const gradient = Tensor.from(new Float32Array(1000).fill(1));
    f.backward(gradient);
    const result = await values(p.grad);
    p.zeroGrad();
    f.dispose();
    gradient.dispose();
    return { result, held };
  };
  await p.value.read();
  const before = memory();
  const whole = await run(false);
  const again = await run(true);
  assert.equal(again.result, whole.result);
  assert.ok(again.held - before < (whole.held - before) / 4, 'activations were kept');
  await p.value.read();
  assert.ok(memory() <= before, 'native memory grew');
  p.dispose();
});

test('a walk that makes no sense is refused and leaves no gradient', () => {
  const p = new Parameter(Tensor.from([1, 2]));
  const f = product(p.value, p.value);
  const wrong = Tensor.from([1]);
  assert.is(error(() => f.backward()).code, 'SHAPE');
  assert.is(error(() => f.backward(wrong)).code, 'SHAPE');
  const right = Tensor.from([1, 1]);
  f.backward(right);
  assert.is(error(() => f.backward(right)).code, 'CONFIG');
  p.zeroGrad();
  const shared = product(p.value, p.value);
  const [one, two] = [product(shared, shared), product(shared, p.value)];
  one.backward(right);
  assert.match(error(() => two.backward(right)).message, 'product');
  for (const thing of [f, wrong, right, shared, one, two, p]) thing.dispose();
});

test('a walk in pieces gives the same bits as at once, and one given up frees what it kept', async () => {
  const p = new Parameter(Tensor.from([1.5, -0.25, 3]));
  const build = () =>
    scope(() => {
      let x = p.value;
      for (let i = 0; i < 20; i++) x = sum(product(x, p.value), p.value);
      return x;
    });
  const seed = Tensor.from([1, 2, 3]);
  await p.value.read();
  const before = memory();
  const walk = async (pieces: number) => {
    const f = build();
    const walking = f.backwardInPieces(seed);
    let steps = 0;
    while (steps < pieces && !walking.next().done) steps++;
    walking.return();
    const gradient = p.grad && (await values(p.grad));
    f.dispose();
    p.zeroGrad();
    await p.value.read();
    assert.ok(memory() <= before, `native memory grew after ${steps} pieces`);
    return { steps, gradient };
  };
  const f = build();
  f.backward(seed);
  const expected = await values(p.grad);
  f.dispose();
  p.zeroGrad();
  const whole = await walk(1000);
  assert.equal(whole.gradient, expected);
  assert.is(whole.steps, 40);
  for (const pieces of [0, 1, 17, 39]) await walk(pieces);
  for (const thing of [seed, p]) thing.dispose();
});

test('noGrad in pieces records nothing of its own and all of what others do in between', async () => {
  const p = new Parameter(Tensor.from([3]));
  const pieces = noGradInPieces(
    (function* () {
      yield;
      return product(p.value, p.value);
    })(),
  );
  pieces.next();
  const between = product(p.value, p.value);
  const { value: inside } = pieces.next() as { value: Tensor };
  assert.is(error(() => inside.backward()).code, 'CONFIG');
  between.backward();
  assert.equal(await values(p.grad), [6]);
  for (const thing of [p, between, inside]) thing.dispose();
});
