import { join } from 'node:path';
import { Random } from '../../../ts/common/random.js';
import { parseModelConfig } from '../../../ts/formats/model-config.js';
import { Checkpoint } from '../../../ts/models/checkpoint.js';
import type { Decoder } from '../../../ts/models/decoder.js';
import { loadModel } from '../../../ts/models/load-model.js';
import { ropeFrequencies } from '../../../ts/models/rope-frequencies.js';
import { calibrationChunks, disposeChunks } from '../../../ts/pruning/calibration-chunks.js';
import { prune } from '../../../ts/systems/comp/prune.js';
import type { PruneOptions } from '../../../ts/systems/comp/prune-options.js';
import { taylorSplits } from '../../../ts/systems/comp/taylor-splits.js';
import { taylorSurvey } from '../../../ts/systems/comp/taylor-survey.js';
import type { LayerUnitScores } from '../../../ts/systems/comp/unit-plan.js';
import { Tensor } from '../../../ts/tensor/tensor.js';
import { evaluate } from '../../../ts/training/evaluate.js';
import { assert, close, fails, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';
import { calibrationText, demoModel, filesOf } from './small-model.js';

const conformance = join(import.meta.dirname, '..', '..', 'fixtures', 'conformance');
const folder = temporaryDirectory();
let count = 0;

function options(extra: Partial<PruneOptions> = {}): PruneOptions {
  const output = join(folder, `result-${count++}`);
  return {
    output,
    calibration: calibrationText,
    samples: 12,
    window: 32,
    method: 'taylor',
    ...extra,
  };
}

/** Five random windows, which go through the model in chunks of 2, 2 and 1. */
function windowsOf(vocabSize: number): Int32Array[] {
  const random = new Random(3);
  return Array.from({ length: 5 }, () =>
    Int32Array.from({ length: 12 }, () => random.integer(vocabSize)),
  );
}

async function survey(directory: string): Promise<LayerUnitScores[]> {
  const checkpoint = await Checkpoint.open(directory);
  const { config } = checkpoint;
  const training = windowsOf(config.vocabSize);
  const calibration = { window: 12, training, heldOut: [], available: 5, sampled: 0 };
  const chunks = calibrationChunks(calibration, 1, 2 * 4 * 12);
  assert.equal(
    chunks.map(({ windows }) => windows),
    [2, 2, 1],
  );
  const frequencies = Tensor.from(ropeFrequencies(config.rope, config.headDim));
  try {
    return await taylorSurvey({ checkpoint, config, frequencies, chunks });
  } finally {
    disposeChunks(chunks);
    frequencies.dispose();
    checkpoint.close();
  }
}

/** Σ |value| over the elements of a matrix whose row or column belongs to a unit. */
function groupSums(
  values: Float64Array,
  columns: number,
  along: 'rows' | 'columns',
  width: number,
) {
  const length = along === 'rows' ? values.length / columns : columns;
  const sums = new Float64Array(length / width);
  for (const [i, value] of values.entries()) {
    const place = along === 'rows' ? Math.floor(i / columns) : i % columns;
    const unit = Math.floor(place / width);
    sums[unit] = (sums[unit] as number) + Math.abs(value);
  }
  return sums;
}

/** The same scores, from the gradients of the whole model at once. */
async function direct(model: Decoder): Promise<LayerUnitScores[]> {
  const { config } = model;
  model.trainAll();
  const loss = model.loss(windowsOf(config.vocabSize).map((ids) => [...ids]));
  loss.backward();
  loss.dispose();
  const parameters = new Map(model.trainableParameters());
  const scores: LayerUnitScores[] = [];
  for (const [l, { numAttentionHeads, numKeyValueHeads }] of config.layers.entries()) {
    const sums = async (name: string, along: 'rows' | 'columns', width: number) => {
      const parameter = parameters.get(`model.layers.${l}.${name}.weight`);
      const [w, g] = [await parameter!.value.read(), await parameter!.grad!.read()];
      const products = Float64Array.from(w as Float32Array, (x, i) => x * Number(g[i]));
      return groupSums(products, parameter!.value.shape[1] as number, along, width);
    };
    const { headDim } = config;
    const wide = (headDim * numAttentionHeads) / numKeyValueHeads;
    const attention = await Promise.all([
      sums('self_attn.q_proj', 'rows', wide),
      sums('self_attn.k_proj', 'rows', headDim),
      sums('self_attn.v_proj', 'rows', headDim),
      sums('self_attn.o_proj', 'columns', wide),
    ]);
    const mlp = await Promise.all([
      sums('mlp.gate_proj', 'rows', 1),
      sums('mlp.up_proj', 'rows', 1),
      sums('mlp.down_proj', 'columns', 1),
    ]);
    const total = (parts: Float64Array[]) =>
      parts.reduce((a, b) => a.map((x, i) => x + (b[i] as number)));
    scores.push({ attention: total(attention), mlp: total(mlp) });
  }
  return scores;
}

for (const name of ['llama-gqa', 'llama-bf16', 'qwen2', 'qwen3', 'mistral-window']) {
  test(`${name}: scores layer by layer are those of the whole model's gradients`, async () => {
    const directory = join(conformance, name);
    const scores = await survey(directory);
    const model = await loadModel(directory, { trainable: true });
    const expected = await direct(model);
    model.dispose();
    assert.is(scores.length, expected.length);
    for (const [i, { attention, mlp }] of scores.entries()) {
      close(attention, expected[i]!.attention, 1e-4);
      close(mlp, expected[i]!.mlp, 1e-4);
    }
  });
}

test('a channel scores what moving each of its weights does to the loss', async () => {
  const directory = join(conformance, 'llama-gqa');
  const scores = await survey(directory);
  const model = await loadModel(directory, { trainable: true });
  const ids = windowsOf(model.config.vocabSize).map((window) => [...window]);
  const loss = async () => {
    const losses = await model.tokenLosses(ids);
    return losses.reduce((sum, x) => sum + x, 0) / losses.length;
  };
  const channel = 3;
  const { gate, up, down } = model.layers[1]!;
  let expected = 0;
  for (const { weight } of [gate, up, down]) {
    const values = Float32Array.from((await weight.read()) as Float32Array);
    const [rows, columns] = weight.shape as [number, number];
    const own = Array.from({ length: weight === down.weight ? rows : columns }, (_, i) =>
      weight === down.weight ? i * columns + channel : channel * columns + i,
    );
    const moved = async (at: number, by: number) => {
      const changed = values.slice();
      changed[at] = (changed[at] as number) + by;
      weight.copyFrom(Tensor.from(changed, [rows, columns]));
      return loss();
    };
    for (const at of own) {
      const step = 0.02;
      const slope = ((await moved(at, step)) - (await moved(at, -step))) / (2 * step);
      expected += Math.abs((values[at] as number) * slope);
    }
    weight.copyFrom(Tensor.from(values, [rows, columns]));
  }
  model.dispose();
  const got = scores[1]!.mlp[channel] as number;
  assert.ok(Math.abs(got - expected) < 0.02 * expected, `${got} for ${expected}`);
});

test('layers protected by default or on request are left as they were, the others reach the ratio', async () => {
  const before = await Checkpoint.open(demoModel);
  for (const [extra, whole] of [
    [{}, [0]],
    [{ protectFirst: 1, protectLast: 2 }, [0, 3, 4]],
  ] as const) {
    const run = options({ ratio: 0.25, ...extra });
    const result = await prune(demoModel, run);
    assert.ok(result.ratio >= 0.25 && result.ratio <= 0.265, String(result.ratio));
    assert.equal(result.layers.dropped, []);
    const after = await Checkpoint.open(run.output);
    for (const [name, { shape }] of before.index.entries) {
      const layer = Number(/layers\.(\d+)\./.exec(name)?.[1] ?? -1);
      if (layer >= 0 && !(whole as readonly number[]).includes(layer)) continue;
      const [old, now] = [before.tensor(name), after.tensor(name)];
      assert.equal(now.shape, shape);
      assert.equal(await now.read(), await old.read(), name);
      old.dispose();
      now.dispose();
    }
    const widths = result.widths.intermediateSize;
    const pruned = widths.filter((_, i) => !(whole as readonly number[]).includes(i));
    assert.ok(
      pruned.every((width) => width === pruned[0] && width < 352),
      widths.join(),
    );
    const limits = { text: calibrationText, window: 32, maxWindows: 8 };
    assert.ok(Number.isFinite((await evaluate(run.output, limits)).perplexity));
    after.close();
  }
  before.close();
});

test('the same options give the same bytes', async () => {
  const [first, second] = [options({ ratio: 0.3 }), options({ ratio: 0.3 })];
  await prune(demoModel, first);
  await prune(demoModel, second);
  assert.equal(filesOf(first.output), filesOf(second.output));
});

test('the gradient chooses better than chance', async () => {
  const losses: number[] = [];
  for (const method of ['taylor', 'random'] as const) {
    const run = options({ method, shape: 'uniform', layerShare: 0, samples: 40, window: 64 });
    losses.push((await prune(demoModel, run)).heldOutLoss.after);
  }
  assert.ok(losses[0]! < losses[1]! - 0.3, losses.join(' '));
});

/** A LLaMA of so many layers. */
function deep(layers: number) {
  return parseModelConfig(
    {
      model_type: 'llama',
      vocab_size: 64,
      hidden_size: 64,
      intermediate_size: 256,
      num_hidden_layers: layers,
      num_attention_heads: 8,
      num_key_value_heads: 8,
    },
    'config.json',
  );
}

test('32 layers are protected as published, and heads and channels go in like shares first', () => {
  const config = deep(32);
  const request = { align: 8, halve: true, groups: 'auto' } as const;
  const ends = { protectFirst: 'auto', protectLast: 'auto' } as const;
  const [split] = taylorSplits(config, { ratio: 0.2, ...request, ...ends });
  const whole = split!.channels.flatMap((width, i) => (width === 256 ? [i] : []));
  assert.equal(whole, [0, 1, 2, 3, 30, 31]);
  assert.is(split!.groups[10], 6);
  assert.is(split!.groups[31], 8);
  assert.ok(Math.abs(split!.channels[10]! / 256 - 0.75) < 0.07, String(split!.channels[10]));
});

test('protection gives way to the ratio unless it was asked for', async () => {
  const request = { align: 8, halve: true, groups: 'auto' } as const;
  const ends = { protectFirst: 'auto', protectLast: 'auto' } as const;
  const [split] = taylorSplits(deep(16), { ratio: 0.88, ...request, ...ends });
  assert.ok(split!.ratio >= 0.88 && split!.channels[15] === 256 && split!.channels[1]! < 256);
  await fails(() => prune(demoModel, options({ ratio: 0.5, protectFirst: 3 })), 'CONFIG');
});
