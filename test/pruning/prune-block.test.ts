import { join } from 'node:path';
import { Random } from '../../ts/common/random.js';
import type { ModelConfig } from '../../ts/formats/model-config.js';
import { Checkpoint } from '../../ts/models/checkpoint.js';
import { disposeLayer, loadLayer, namedLayerTensors } from '../../ts/models/layer-weights.js';
import { loadOuter, type OuterWeights } from '../../ts/models/outer-weights.js';
import { ropeFrequencies } from '../../ts/models/rope-frequencies.js';
import type { BlockMethod, Streams } from '../../ts/pruning/block-task.js';
import { calibrationChunks, embedChunks } from '../../ts/pruning/calibration-chunks.js';
import { LAYER_BLOCKS } from '../../ts/pruning/layer-block.js';
import { pruneBlock } from '../../ts/pruning/prune-block.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, close, test } from '../harness.js';

const demo = join(import.meta.dirname, '..', '..', 'demo', 'model');
let checkpoint: Checkpoint;
let config: ModelConfig;
let outer: OuterWeights;

test.before(async () => {
  checkpoint = await Checkpoint.open(demo);
  config = checkpoint.config;
  outer = loadOuter(checkpoint);
});

const method: BlockMethod = {
  metric: 'reconstruction',
  recover: 'refit',
  dampings: [1e-3, 1e-2],
  scoreDamping: 1e-2,
  blend: 0.5,
  maskDamping: 1e-2,
  maskLimit: 10,
  increment: 0.1,
  maxRescoredWidth: 2048,
  maxWidthAtOnce: 4096,
  weighPositions: true,
  useHeldOut: true,
  compensateBias: false,
};

/** Prunes the first two layers, and reads what the second has become and both streams behind it. */
async function pruned(changes: Partial<BlockMethod>, channels = 200, groups = 3) {
  const random = new Random(3);
  const window = () => Int32Array.from({ length: 24 }, () => random.integer(config.vocabSize));
  const windows = (count: number) => Array.from({ length: count }, window);
  const chunks = calibrationChunks(
    { window: 24, training: windows(40), heldOut: windows(6), sampled: 0, available: 46 },
    352,
    352 * 4 * 24 * 8,
  );
  const teacher = embedChunks(chunks, outer.embedding);
  const streams: Streams = {
    config,
    frequencies: Tensor.from(ropeFrequencies(config.rope, config.headDim)),
    chunks,
    teacher,
    student: teacher.map((x) => x.reshape(x.shape)),
    drifted: false,
  };
  let weights = new Map<string, Tensor>();
  for (const index of [0, 1]) {
    const dense = loadLayer(checkpoint, index);
    let layer = dense;
    for (const block of LAYER_BLOCKS) {
      const task = { block, streams, dense, layer, granularity: 1, random };
      const keep = block.name === 'mlp' ? channels : groups;
      ({ layer } = await pruneBlock({ ...task, keep, method: { ...method, ...changes } }));
    }
    weights = namedLayerTensors(layer);
    if (index === 0) disposeLayer(layer);
  }
  const read = async (tensors: Iterable<Tensor>) => {
    const values: number[][] = [];
    for (const tensor of tensors) values.push([...((await tensor.read()) as Float32Array)]);
    return values;
  };
  const [student, target] = [await read(streams.student), await read(streams.teacher)];
  return { weights: await read(weights.values()), student: student.flat(), teacher: target.flat() };
}

function distance(x: number[], y: number[]): number {
  return x.reduce((sum, value, i) => sum + (value - (y[i] as number)) ** 2, 0);
}

test('looking at a wide consumer twice changes nothing but the memory', async () => {
  for (const recover of ['refit', 'mask'] as const) {
    const [once, twice] = [await pruned({ recover }), await pruned({ recover, maxWidthAtOnce: 1 })];
    for (const [i, values] of once.weights.entries()) close(twice.weights[i] ?? [], values, 1e-3);
  }
});

test('no recovery leaves the student farther from the teacher than a weaker one', async () => {
  const errors: number[] = [];
  for (const recover of ['none', 'mask', 'lstsq', 'refit'] as const) {
    const { student, teacher } = await pruned({ recover });
    errors.push(distance(student, teacher));
  }
  for (let i = 1; i < errors.length; i++) {
    assert.ok((errors[i] as number) <= (errors[i - 1] as number), errors.join(' '));
  }
});

test('a block that keeps all units and has not drifted stays as it is', async () => {
  const { student, teacher, weights } = await pruned({}, 352, 4);
  assert.equal(student, teacher);
  const dense = [...namedLayerTensors(loadLayer(checkpoint, 1)).values()];
  for (const [i, tensor] of dense.entries())
    close(weights[i] ?? [], (await tensor.read()) as Float32Array, 0);
});
