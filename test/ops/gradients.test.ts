import { Parameter } from '../../ts/nn/parameter.js';
import { noGrad } from '../../ts/nn/no-grad.js';
import { add } from '../../ts/ops/add.js';
import { attention } from '../../ts/ops/attention.js';
import { cast } from '../../ts/ops/cast.js';
import { dropout } from '../../ts/ops/dropout.js';
import { gatherRows } from '../../ts/ops/gather-rows.js';
import { layerNorm } from '../../ts/ops/layer-norm.js';
import { linear } from '../../ts/ops/linear.js';
import { loraLinear } from '../../ts/ops/lora-linear.js';
import { maskedMatmul } from '../../ts/ops/masked-matmul.js';
import { mergeFeatures } from '../../ts/ops/merge-features.js';
import { multiply } from '../../ts/ops/multiply.js';
import { addRmsNorm, rmsNorm } from '../../ts/ops/rms-norm.js';
import { rope } from '../../ts/ops/rope.js';
import { scale } from '../../ts/ops/scale.js';
import { subtract } from '../../ts/ops/subtract.js';
import { sumColumns } from '../../ts/ops/sum-columns.js';
import { sumRows } from '../../ts/ops/sum-rows.js';
import { transpose } from '../../ts/ops/transpose.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import type { Shape } from '../../ts/native/types.js';
import { assert, test } from '../harness.js';

type Op = (...inputs: Tensor[]) => Tensor;

/** Values without pattern in [-1, 1], the same for the same seed. */
function values(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));
}

const count = (shape: Shape) => shape.reduce((product, size) => product * size, 1);
const numbers = async (tensor: Tensor) => [...((await tensor.read()) as Float32Array)].map(Number);

/**
 * Compares the recorded gradients of Σ op(inputs) ∘ weights with fourth-order central differences of the op.
 * The ops compute in f32, so the step is large and the tolerance that of its rounding.
 */
async function check(op: Op, ...shapes: Shape[]): Promise<void> {
  const data = shapes.map((shape, n) => values(count(shape), n + 1));
  const project = async (inputs: number[][]) => {
    const output = scope(() =>
      noGrad(() => op(...inputs.map((x, n) => Tensor.from(x, shapes[n] as Shape)))),
    );
    const weights = values(output.size, 99);
    const total = (await numbers(output)).reduce(
      (sum, y, i) => sum + y * (weights[i] as number),
      0,
    );
    output.dispose();
    return total;
  };
  const parameters = data.map((x, n) => new Parameter(Tensor.from(x, shapes[n] as Shape)));
  scope(() => {
    const output = op(...parameters.map((parameter) => parameter.value));
    output.backward(Tensor.from(values(output.size, 99), output.shape));
  });
  const step = 1 / 64;
  for (const [n, parameter] of parameters.entries()) {
    if (parameter.grad === undefined) throw new Error(`input ${n} got no gradient`);
    assert.equal(parameter.grad.shape, shapes[n]);
    const gradient = await numbers(parameter.grad);
    for (const [i, got] of gradient.entries()) {
      const at = (offset: number) => {
        const moved = data.map((x) => [...x]);
        (moved[n] as number[])[i] = ((data[n] as number[])[i] as number) + offset;
        return project(moved);
      };
      const near = (await at(step)) - (await at(-step));
      const far = (await at(2 * step)) - (await at(-2 * step));
      const expected = (8 * near - far) / (12 * step);
      const message = `input ${n}, element ${i}: ${got} instead of ${expected}`;
      assert.ok(Math.abs(got - expected) < 2e-3 * Math.max(1, Math.abs(expected)), message);
    }
    parameter.grad.dispose();
  }
}

test('arithmetic passes gradients on', async () => {
  await check(add as Op, [3, 2], [3, 2]);
  await check(subtract as Op, [3, 2], [3, 2]);
  await check(multiply as Op, [3, 2], [3, 2]);
  await check((x) => multiply(x, x), [4]);
  await check((x, f) => scale(x, f, { axis: 'rows' }), [2, 3, 2], [6]);
  await check((x, f) => scale(x, f, { axis: 'columns' }), [2, 3, 2], [2]);
});

test('changes of layout pass gradients on', async () => {
  await check(transpose as Op, [3, 2]);
  await check((x) => transpose(x.slice(1, 3).reshape([3, 2])), [4, 3]);
  await check((x) => gatherRows(x, [2, 0, 2, 2]), [3, 2, 2]);
  await check(sumRows as Op, [3, 2]);
  await check(sumColumns as Op, [3, 2]);
});

test('casts between floats pass gradients on unchanged, those to integers end them', async () => {
  const parameter = new Parameter(Tensor.from([1, 2]));
  cast(cast(parameter.value, 'bf16'), 'f32').backward(Tensor.from([3, 4]));
  assert.equal(await numbers(parameter.grad as Tensor), [3, 4]);
  assert.throws(() => cast(parameter.value, 'i32').backward(Tensor.from([3, 4])));
});

test('normalisations pass gradients to input, weight and bias', async () => {
  await check((x, w) => rmsNorm(x, w, 1e-2), [3, 5], [5]);
  await check((x, w, b) => layerNorm(x, w, b, 1e-2), [3, 5], [5], [5]);
});

test('both results of a fused residual sum pass gradients on', async () => {
  const both: Op = (x, r, w) => {
    const { output, sum } = addRmsNorm(x, r, w, 1e-2);
    return add(output, multiply(sum, sum));
  };
  await check(both, [2, 5], [2, 5], [5]);
  await check((x, r) => addRmsNorm(x, r, Tensor.from([1, 2]), 1e-2).sum, [2, 2], [2, 2]);
  await check((x, r, w) => addRmsNorm(x, r, w, 1e-2).output, [2, 2], [2, 2], [2]);
});

test('rotary embedding turns gradients back', async () => {
  const frequencies = Tensor.from([1, 0.3]);
  await check((x) => rope(x, frequencies, { offset: 5, scale: 1.5 }), [1, 2, 2, 4]);
});

test('attention passes gradients to queries, keys and values', async () => {
  await check((q, k, v) => attention(q, k, v), [1, 3, 2, 3], [1, 4, 1, 3], [1, 4, 1, 3]);
  const keyMask = Tensor.from(Uint8Array.of(1, 0, 1));
  await check(
    (q, k, v) => attention(q, k, v, { causal: false, keyMask: keyMask.reshape([1, 3]), scale: 1 }),
    [1, 3, 1, 2],
    [1, 3, 1, 2],
    [1, 3, 1, 2],
  );
});

test('two inputs of one op do not share the memory of their gradients', async () => {
  const [x, r] = [new Parameter(Tensor.from([1, 2])), new Parameter(Tensor.from([3, 4]))];
  const { output } = addRmsNorm(x.value, r.value, Tensor.from([1, 1]), 0);
  output.backward(Tensor.from([1, 0]));
  const before = await numbers(r.grad as Tensor);
  x.grad?.copyFrom(Tensor.from([0, 0]));
  assert.equal(await numbers(r.grad as Tensor), before);
});

test('dropout drops the same elements of the gradient', async () => {
  const parameter = new Parameter(Tensor.from(new Float32Array(100).fill(1)));
  const output = dropout(parameter.value, 0.25, 7);
  output.backward(Tensor.from(new Float32Array(100).fill(1)));
  const kept = await numbers(output);
  assert.equal(await numbers(parameter.grad as Tensor), kept);
  assert.ok(kept.includes(0) && kept.some((x) => Math.abs(x - 4 / 3) < 1e-6));
});

test('dense and adapted layers pass gradients to what is trained', async () => {
  await check((x, w, b) => linear(x, w, b), [2, 3, 4], [5, 4], [5]);
  await check((x, w) => linear(x, w), [3, 4], [2, 4]);
  const frozen = (n: number, k: number) => Tensor.from(values(n * k, 31), [n, k]);
  for (const dropout of [0, 0.5]) {
    await check(
      (x, a, b, a2, b2, bias) => {
        const [y, z, plain] = loraLinear(x as Tensor, [
          { weight: frozen(5, 4), lora: { a: a as Tensor, b: b as Tensor, scale: 1.5, dropout } },
          {
            weight: frozen(5, 4),
            bias: bias as Tensor,
            lora: { a: a2 as Tensor, b: b2 as Tensor, scale: 0.5, dropout: 0.2, seed: 3 },
          },
          { weight: frozen(5, 4) },
        ]) as [Tensor, Tensor, Tensor];
        return add(multiply(y, z), plain);
      },
      [2, 3, 4],
      [2, 4],
      [5, 2],
      [3, 4],
      [5, 3],
      [5],
    );
  }
});

test('a frozen layer keeps no input, and a trained weight under adapters is refused', async () => {
  const x = new Parameter(Tensor.from(values(6, 1), [2, 3]));
  const w = new Parameter(Tensor.from(values(12, 2), [4, 3]));
  assert.throws(() => loraLinear(x.value, [{ weight: w.value }]), /frozen/);
  w.requiresGrad = false;
  const [y] = loraLinear(x.value, [{ weight: w.value }]) as [Tensor];
  y.backward(Tensor.from(values(8, 3), [2, 4]));
  assert.is(w.grad, undefined);
  assert.equal(x.grad?.shape, [2, 3]);
  for (const each of [y, x, w]) each.dispose();
});

test('masked products pass gradients to what they kept', async () => {
  const rows = [0, 2, 3];
  const columns = [1, 3];
  const mask = Tensor.from(
    Uint8Array.from({ length: 20 }, (_, i) => ((i * 7) % 3 > 0 ? 1 : 0)),
    [5, 4],
  );
  for (const options of [
    { rows },
    { rows, compact: true },
    { columns },
    { rows, columns, compact: true },
    { rows, columns },
    { mask },
  ]) {
    const kept = (x: Tensor, w: Tensor, b: Tensor) => maskedMatmul(x, w, { ...options, bias: b });
    await check(kept as Op, [2, 3, 4], [5, 4], [5]);
    if ('columns' in options) await check(kept as Op, [3, 2], [5, 4], [5]);
  }
  mask.dispose();
});

test('merged features send each source its part of the gradient', async () => {
  const scales = [2, 0.5, -1];
  const permutation = [3, 0, 5, 1, 4, 2];
  await check(
    (x, y, z) => mergeFeatures([x as Tensor, y as Tensor, z as Tensor], { scales }),
    [1, 2],
    [3, 2],
    [2, 2],
  );
  await check((x, y) => mergeFeatures([x as Tensor, y as Tensor], { permutation }), [4, 3], [2, 3]);
  const host = { data: new Uint16Array([0x3f80, 0x4000]), shape: [1, 2], dtype: 'bf16' as const };
  const merged = mergeFeatures([host, Tensor.from([3, 4], [1, 2])], { permutation: [1, 0] });
  assert.equal(await numbers(merged), [3, 4, 1, 2]);
  merged.dispose();
});
