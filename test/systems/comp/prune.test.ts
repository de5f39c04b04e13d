import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgressEvent } from '../../../ts/common/events.js';
import { Tokenizer } from '../../../ts/data/tokenizer.js';
import { loadModel } from '../../../ts/models/load-model.js';
import { Checkpoint } from '../../../ts/models/checkpoint.js';
import { drawCalibration } from '../../../ts/pruning/calibration.js';
import { modelParameters } from '../../../ts/systems/comp/parameter-budget.js';
import { prune } from '../../../ts/systems/comp/prune.js';
import { evaluate } from '../../../ts/training/evaluate.js';
import { PRUNE_METHODS, type PruneOptions } from '../../../ts/systems/comp/prune-options.js';
import { assert, fails, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';
import { calibrationText, demoModel, filesOf, smallModel } from './small-model.js';

const folder = temporaryDirectory();
let count = 0;

function options(extra: Partial<PruneOptions> = {}): PruneOptions {
  const output = join(folder, `result-${count++}`);
  return {
    output,
    calibration: calibrationText,
    samples: 12,
    window: 32,
    selfSampled: 0,
    ...extra,
  };
}

/** The mean loss of a directory's model on the held-out windows of a run. */
async function heldOutLoss(directory: string, run: PruneOptions): Promise<number> {
  const tokenizer = await Tokenizer.open(directory);
  const { samples = 128, window = 128, seed = 0 } = run;
  const draw = { files: [calibrationText], samples, window, seed, heldOut: 0.1 };
  const { heldOut } = await drawCalibration(tokenizer, 1e9, draw);
  await tokenizer.dispose();
  const model = await loadModel(directory);
  const losses = await model.tokenLosses(heldOut.map((ids) => [...ids]));
  model.dispose();
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function configOf(directory: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
}

for (const shape of ['uniform', 'per-layer'] as const) {
  for (const method of PRUNE_METHODS) {
    test(`${method}, ${shape}: the result loads again and is the model that was measured`, async () => {
      const run = options({ method, shape, ratio: 0.25 });
      const result = await prune(demoModel, run);
      assert.ok(result.ratio >= 0.25 - 1e-9, String(result.ratio));
      assert.ok(result.ratio <= 0.265 || result.warnings.length > 0, String(result.ratio));
      const loss = await heldOutLoss(run.output, run);
      assert.ok(Math.abs(loss - result.heldOutLoss.after) < 1e-5 * loss, `${loss}`);
      const { config } = await Checkpoint.open(run.output);
      assert.is(modelParameters(config), result.parameters.after);
      assert.is('espalier' in configOf(run.output), !uniform(config.layers));
      if (shape === 'uniform') assert.ok(uniform(config.layers));
    });
  }
}

function uniform(layers: readonly object[]): boolean {
  return layers.every((layer) => JSON.stringify(layer) === JSON.stringify(layers[0]));
}

const families = [
  'llama-mha-tied',
  'llama-bias-headdim',
  'llama-f16-sharded',
  'llama-bf16',
  'qwen2',
  'qwen3',
  'mistral-window',
];
for (const name of families) {
  test(`${name}: a pruned model of this family loads again`, async () => {
    const model = smallModel(name);
    const run = options({ ratio: 0.3 });
    const result = await prune(model, run);
    const loss = await heldOutLoss(run.output, run);
    assert.ok(Math.abs(loss - result.heldOutLoss.after) < 1e-4 * loss);
    const [before, after] = [await Checkpoint.open(model), await Checkpoint.open(run.output)];
    for (const [tensor, entry] of after.index.entries) {
      assert.is(entry.dtype, before.index.entries.get(tensor)?.dtype, tensor);
    }
    const raw = configOf(run.output);
    assert.is(raw.num_hidden_layers, result.layers.after);
    assert.is(raw.intermediate_size, result.widths.intermediateSize[0]);
    assert.is(raw.num_key_value_heads, result.widths.numKeyValueHeads[0]);
    assert.is(raw.model_type, configOf(model).model_type);
  });
}

test('each recovery is at least as good as the one before it', async () => {
  const after: number[] = [];
  for (const recover of ['none', 'mask', 'lstsq', 'refit'] as const) {
    const run = options({ ratio: 0.3, recover, layerShare: 0, samples: 40, window: 64 });
    after.push((await prune(demoModel, run)).heldOutLoss.trial as number);
  }
  for (let i = 1; i < after.length; i++) {
    assert.ok((after[i] as number) < (after[i - 1] as number) + 0.02, after.join(' '));
  }
  assert.ok((after[3] as number) < (after[0] as number) - 0.1, after.join(' '));
});

test('every metric prunes', async () => {
  for (const metric of [
    'sensitivity',
    'residual',
    'spectral',
    'blend',
    'reconstruction',
  ] as const) {
    const result = await prune(demoModel, options({ metric, layerShare: 0, ratio: 0.15 }));
    assert.ok(result.heldOutLoss.after < result.heldOutLoss.before + 1, metric);
  }
});

test('layers are dropped and the others renumbered', async () => {
  const run = options({ layerShare: 1, ratio: 0.18, protectFirst: 1 });
  const result = await prune(demoModel, run);
  assert.is(result.layers.dropped.length, 1);
  assert.is(result.layers.after, 4);
  const { index } = await Checkpoint.open(run.output);
  const layers = new Set(
    [...index.entries.keys()].map((name) => /layers\.(\d+)\./.exec(name)?.[1]),
  );
  layers.delete(undefined);
  assert.equal([...layers].map(Number).sort(), [0, 1, 2, 3]);
});

test('protected layers are never dropped', async () => {
  const result = await prune(
    demoModel,
    options({ method: 'shortgpt', ratio: 0.15, protectFirst: 3 }),
  );
  assert.ok(
    result.layers.dropped.every((layer) => layer === 3),
    result.layers.dropped.join(),
  );
});

test('a ratio of 0 leaves every weight as it was', async () => {
  const run = options({ ratio: 0 });
  const result = await prune(demoModel, run);
  assert.is(result.ratio, 0);
  const [before, after] = [await loadModel(demoModel), await loadModel(run.output)];
  const input = [[1, 20, 30, 40, 50]];
  assert.equal(await after.forward(input).read(), await before.forward(input).read());
});

test('a model with widths of its own per layer can be pruned again', async () => {
  const first = options({ shape: 'per-layer', layerShare: 0, ratio: 0.2 });
  await prune(demoModel, first);
  assert.ok('espalier' in configOf(first.output));
  const second = options({ ratio: 0.2, layerShare: 0 });
  const result = await prune(first.output, second);
  assert.ok(result.ratio >= 0.2);
  const loss = await heldOutLoss(second.output, second);
  assert.ok(Math.abs(loss - result.heldOutLoss.after) < 1e-5 * loss);
});

test('the same seed gives the same bytes, another seed other ones', async () => {
  const runs = [options({ seed: 3 }), options({ seed: 3 }), options({ seed: 4 })];
  for (const run of runs) await prune(demoModel, run);
  const [first, same, other] = runs.map((run) => filesOf(run.output));
  assert.equal([...(same?.keys() ?? [])], [...(first?.keys() ?? [])]);
  for (const [name, bytes] of first ?? []) assert.ok(same?.get(name)?.equals(bytes), name);
  const weights = 'model.safetensors';
  assert.not.ok(other?.get(weights)?.equals(first?.get(weights) as Buffer));
});

test('the result has the tokenizer, a record of the run and nothing else', async () => {
  const run = options();
  await prune(demoModel, run);
  assert.equal(
    [...filesOf(run.output).keys()],
    [
      'LICENSE',
      'config.json',
      'model.safetensors',
      'run.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ],
  );
  assert.not.ok(existsSync(`${run.output}.partial`));
  const record = JSON.parse(readFileSync(join(run.output, 'run.json'), 'utf8'));
  assert.is(record.command, 'prune');
  assert.is(record.options.method, 'comp');
  assert.is(Object.keys(record.inputs).length, 3);
});

test('layers and groups that are given go without a search', async () => {
  const run = options({ ratio: 0.3, dropLayers: [3, 0], keyValueGroups: 4 });
  const { layers, widths, splits, ratio } = await prune(demoModel, run);
  assert.equal(layers.dropped, [0, 3]);
  assert.equal(widths.numKeyValueHeads, [4, 4, 4]);
  assert.is(splits.length, 1);
  assert.ok(ratio >= 0.3);
  const chosen = await prune(demoModel, options({ ratio: 0.3, dropLayers: [] }));
  assert.equal(chosen.layers.dropped, []);
  for (const dropLayers of [[5], [0, 1, 2, 3, 4]]) {
    const error = await fails(() => prune(demoModel, options({ dropLayers })), 'CONFIG');
    assert.match(error.message, 'dropLayers');
  }
});

test('progress tells the phases in order, each from its beginning to its end', async () => {
  for (const [selfSampled, own] of [
    [0, []],
    [0.5, ['sample']],
  ] as const) {
    const phases: { name: string; completed: number[]; total: number }[] = [];
    const onProgress = ({ phase: name, completed, total }: ProgressEvent) => {
      if (phases.at(-1)?.name !== name) phases.push({ name, completed: [], total });
      phases.at(-1)?.completed.push(completed);
    };
    await prune(demoModel, options({ selfSampled, onProgress }));
    const names = phases.map(({ name }) => name);
    assert.equal(names, ['tokenize', ...own, 'calibrate', 'search', 'prune', 'write']);
    for (const { name, completed, total } of phases) {
      const ascending = [...completed].sort((a, b) => a - b);
      assert.equal(completed, ascending, name);
      assert.is(completed.at(-1), total, name);
    }
  }
});

test('half of the windows are written by the model, which keeps it able beyond the text', async () => {
  const texts = join(import.meta.dirname, '..', '..', '..', 'demo', 'text');
  const after: number[] = [];
  for (const selfSampled of [0, 'auto'] as const) {
    const run = options({
      selfSampled,
      calibration: join(texts, 'wizard-of-oz.txt'),
      samples: 32,
      window: 64,
      layerShare: 0,
      keyValueGroups: 4,
    });
    const { calibration } = await prune(demoModel, run);
    assert.is(calibration.training + calibration.heldOut, 32);
    assert.is(calibration.sampled, selfSampled === 0 ? 0 : 16);
    const text = join(texts, 'stories.txt');
    after.push((await evaluate(run.output, { text, window: 64, maxWindows: 100 })).perplexity);
  }
  assert.ok((after[1] as number) < (after[0] as number), after.join(' '));
});

test('the same seed lets the model write the same', async () => {
  const run = options({ selfSampled: 0.9, layerShare: 0 });
  const { perLayer } = await prune(demoModel, run);
  assert.equal((await prune(demoModel, { ...run, force: true })).perLayer, perLayer);
});

test('what the variance guard leaves standing goes elsewhere, so that the ratio is met', async () => {
  const at = async (maxMaskVariance: number) => {
    const run = options({ shape: 'per-layer', ratio: 0.2, layerShare: 0, maxMaskVariance });
    const { ratio, warnings, widths } = await prune(demoModel, run);
    assert.ok(ratio >= 0.2 - 1e-9 && ratio <= 0.215, `${maxMaskVariance}: ${ratio}`);
    const exceeded = warnings.some((warning) => warning.includes('guard'));
    return { exceeded, widths: widths.intermediateSize };
  };
  const [free, guarded, shut] = [await at(1), await at(0.02), await at(0)];
  assert.not.ok(free.exceeded);
  assert.ok(shut.exceeded);
  assert.not.equal(guarded.widths, free.widths);
});

test('a number of heads that stock transformers refuses is a warning', async () => {
  for (const [keyValueGroups, refused] of [
    [3, true],
    [2, false],
  ] as const) {
    const { warnings } = await prune(demoModel, options({ keyValueGroups, layerShare: 0 }));
    assert.is(
      warnings.some((warning) => warning.includes('stock transformers')),
      refused,
    );
  }
});
