import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EspalierError } from '../../ts/common/errors.js';
import { native } from '../../ts/native/addon.js';
import { AdamW } from '../../ts/nn/adamw.js';
import { clipGradNorm } from '../../ts/nn/clip-grad-norm.js';
import { lrSchedule } from '../../ts/nn/lr-schedule.js';
import { Parameter } from '../../ts/nn/parameter.js';
import { SGD } from '../../ts/nn/sgd.js';
import { embedding } from '../../ts/ops/embedding.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';

const read = async (tensor: Tensor | undefined) => [
  ...((await (tensor as Tensor).read()) as Float32Array),
];
const near = (got: number[], expected: number[]) => {
  assert.is(got.length, expected.length);
  for (const [i, value] of got.entries()) {
    const error = Math.abs(value - (expected[i] as number));
    assert.ok(error < 2e-6, `${value} for ${expected[i]}`);
  }
};
const code = (expected: string) => (error: unknown) =>
  error instanceof EspalierError && error.code === expected;

/** One element's AdamW in double precision. */
function* adamw(p: number, gradients: number[], lr: number, decay: number): Generator<number> {
  let [m, v, t, value] = [0, 0, 0, p];
  for (const g of gradients) {
    t++;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    value *= 1 - lr * decay;
    value -= (lr * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8);
    yield value;
  }
}

test('AdamW steps by the formulas, with a learning rate that changes and groups of their own', async () => {
  const a = new Parameter(Tensor.from([0.5]));
  const b = new Parameter(Tensor.from([-1]));
  const optimizer = new AdamW([['a', a], { parameters: [['b', b]], lr: 0.02, weightDecay: 0 }], {
    lr: 0.1,
  });
  const gradients = [0.3, -2, 0.001, 1];
  const forA = [...adamw(0.5, gradients, 0.1, 0.01)];
  const forB = [...adamw(-1, gradients, 0.02, 0)];
  for (const [i, g] of gradients.entries()) {
    a.grad = Tensor.from([g]);
    b.grad = Tensor.from([g]);
    optimizer.step();
    optimizer.zeroGrad();
    assert.is(a.grad, undefined);
    near(await read(a.value), [forA[i] as number]);
    near(await read(b.value), [forB[i] as number]);
  }
  optimizer.lr = 0;
  a.grad = Tensor.from([1]);
  const before = await read(a.value);
  optimizer.step();
  assert.equal(await read(a.value), before);
});

test('a parameter without a gradient is left alone and counts its own steps', async () => {
  const a = new Parameter(Tensor.from([1]));
  const b = new Parameter(Tensor.from([1]));
  const optimizer = new AdamW([a, b], { lr: 0.1 });
  for (const both of [false, false, true]) {
    a.grad = Tensor.from([1]);
    b.grad = both ? Tensor.from([1]) : undefined;
    optimizer.step();
  }
  near(await read(b.value), [...adamw(1, [1], 0.1, 0.01)]);
  assert.equal(await read(optimizer.state().get('0.step')), [3]);
  assert.equal(await read(optimizer.state().get('1.step')), [1]);
});

test('an optimiser that loads the state of another goes on with the same bits', async () => {
  for (const make of [
    (p: Parameter) => new AdamW([['w', p]], { lr: 0.1 }),
    (p: Parameter) => new SGD([['w', p]], { lr: 0.1, momentum: 0.9, nesterov: true }),
  ]) {
    const p = new Parameter(Tensor.from([1, -2, 3]));
    const first = make(p);
    p.grad = Tensor.from([0.1, 5, -1]);
    first.step();
    const q = new Parameter(Tensor.from(await read(p.value)));
    const second = make(q);
    second.loadState(first.state());
    q.grad = p.grad;
    first.step();
    second.step();
    assert.equal(await read(q.value), await read(p.value));
    const other = new Map([['v.step', Tensor.from([1])]]);
    assert.throws(() => second.loadState(other), code('CONFIG'));
    const [key] = [...first.state().keys()];
    assert.throws(
      () => second.loadState(new Map([[key as string, Tensor.from([1, 2])]])),
      code('SHAPE'),
    );
  }
});

test('SGD follows its velocity', async () => {
  const p = new Parameter(Tensor.from([1]));
  const optimizer = new SGD([p], { lr: 0.1, momentum: 0.5, weightDecay: 0.1 });
  let [value, velocity] = [1, 0];
  for (const g of [1, -2, 0.5]) {
    velocity = 0.5 * velocity + g + 0.1 * value;
    value -= 0.1 * velocity;
    p.grad = Tensor.from([g]);
    optimizer.step();
    near(await read(p.value), [value]);
  }
});

test('clipping brings the gradients of many parameters to a common norm', async () => {
  const a = new Parameter(Tensor.from([0, 0]));
  const b = new Parameter(Tensor.from([0]));
  const none = new Parameter(Tensor.from([0]));
  a.grad = Tensor.from([3, 0]);
  b.grad = Tensor.from([4]);
  const norm = clipGradNorm([a, ['b', b], none], 1);
  assert.equal(await read(norm), [5]);
  near([...(await read(a.grad)), ...(await read(b.grad))], [0.6, 0, 0.8]);
  near(await read(clipGradNorm([a, b], Number.POSITIVE_INFINITY)), [1]);
  assert.equal(await read(clipGradNorm([none], 1)), [0]);
  assert.throws(() => clipGradNorm([a], -1), code('CONFIG'));
});

test('a step whose norm is not finite changes nothing', async () => {
  const p = new Parameter(Tensor.from([1, 2]));
  for (const optimizer of [new AdamW([p]), new SGD([p], { momentum: 0.9 })]) {
    p.grad = Tensor.from([1, Number.NaN]);
    optimizer.step(clipGradNorm([p], 1));
    assert.equal(await read(p.value), [1, 2]);
    for (const tensor of optimizer.state().values()) {
      assert.ok((await read(tensor)).every((value) => value === 0));
    }
  }
});

test('optimisers refuse nothing, repetition and numbers out of range, and free what they hold', () => {
  assert.throws(() => new AdamW([]), code('CONFIG'));
  const p = new Parameter(Tensor.from([1]));
  assert.throws(() => new SGD([p, p]), code('CONFIG'));
  const q = new Parameter(Tensor.from([1]));
  assert.throws(() => new AdamW([['a', p], { parameters: [['a', q]] }]), code('CONFIG'));
  p.grad = Tensor.from([1]);
  assert.throws(() => new AdamW([p], { betas: [1, 0.9] }).step(), code('CONFIG'));
  const before = native().memory().tensors;
  const optimizer = new AdamW([p]);
  optimizer.step();
  assert.is(native().memory().tensors, before + 3);
  optimizer.dispose();
  assert.is(native().memory().tensors, before);
});

test('a step one of whose gradients failed changes nothing, says why, and can be taken again', async () => {
  for (const make of [
    (a: Parameter, b: Parameter) => new AdamW([a, { parameters: [b], lr: 0.5 }], { lr: 0.1 }),
    (a: Parameter, b: Parameter) =>
      new SGD([a, { parameters: [b], lr: 0.5 }], { lr: 0.1, momentum: 0.9 }),
  ]) {
    const a = new Parameter(Tensor.from([1, 2]));
    const b = new Parameter(Tensor.from([3, 4]));
    const optimizer = make(a, b);
    const table = Tensor.from([1, 1], [1, 2]);
    const step = async (id: number) => {
      a.grad = Tensor.from([1, -1]);
      b.grad = embedding(Tensor.from(Int32Array.of(id)), table).reshape([2]);
      await optimizer.step();
    };
    const error = await fails(() => step(7), 'SHAPE');
    assert.is((error as EspalierError).op, 'embedding');
    assert.equal(
      [await read(a.value), await read(b.value)],
      [
        [1, 2],
        [3, 4],
      ],
    );
    for (const tensor of optimizer.state().values()) {
      assert.ok((await read(tensor)).every((value) => value === 0));
    }
    await step(0);
    const [x] = await read(a.value);
    const [y] = await read(b.value);
    assert.ok(Math.abs(1 - (x as number) - 0.1) < 2e-3, `${x}`);
    assert.ok(Math.abs(3 - (y as number) - 0.5) < 2e-2, `${y}`);
  }
});

test('a step without memory for its state or gradients changes nothing, and is taken when there is some', () => {
  const file = fileURLToPath(new URL('./children/short-of-memory.ts', import.meta.url));
  const child = spawnSync(process.execPath, ['--import', 'tsx', file], { encoding: 'utf8' });
  assert.is(child.status, 0, child.stderr);
  const { code, op, kept, before, after, ...rest } = JSON.parse(child.stdout);
  assert.equal([code, op], ['OUT_OF_MEMORY', 'tensorZeros']);
  assert.ok(kept < 72 * 2 ** 20, `${kept} bytes of state are kept`);
  assert.equal(before, { small: 0, large: 0, even: true });
  near([after.small, after.large], [-0.1, -0.5]);
  assert.ok(after.even);
  assert.equal(rest.wayBack, { code: 'OUT_OF_MEMORY', op: 'multiply' });
  near([rest.untouched, rest.moved], [3, ...adamw(3, [1], 0.1, 0.01)]);
});

test('a rate that is scheduled scales the rates of groups of their own', async () => {
  for (const make of [
    (a: Parameter, b: Parameter) => new AdamW([a, { parameters: [b], lr: 0.02 }], { lr: 0.1 }),
    (a: Parameter, b: Parameter) => new SGD([a, { parameters: [b], lr: 0.02 }], { lr: 0.1 }),
  ]) {
    const rate = lrSchedule({ kind: 'linear', lr: 0.1, warmupSteps: 2, totalSteps: 6 });
    const moves: number[] = [];
    for (const own of [false, true]) {
      const [a, b] = [0, 1].map(() => new Parameter(Tensor.from([0]))) as [Parameter, Parameter];
      const optimizer = make(a, b);
      for (let step = 0; step <= 6; step++) {
        a.grad = Tensor.from([1]);
        b.grad = Tensor.from([1]);
        optimizer.lr = rate(step);
        const [before] = await read((own ? b : a).value);
        await optimizer.step();
        const [after] = await read((own ? b : a).value);
        moves.push((before as number) - (after as number));
      }
    }
    // Equal gradients make AdamW move by its rate, but for the decay of what is near 0.
    for (let step = 0; step <= 6; step++) {
      const move = moves[step] as number;
      const own = moves[7 + step] as number;
      assert.ok(Math.abs(move - rate(step)) < 1e-3, `step ${step}: ${move}`);
      assert.ok(Math.abs(own - 0.2 * rate(step)) < 1e-3, `step ${step}: ${own}`);
    }
  }
});
