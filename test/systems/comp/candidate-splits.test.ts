import { Random } from '../../../ts/common/random.js';
import { type ModelConfig, parseModelConfig } from '../../../ts/formats/model-config.js';
import { decoderTensors } from '../../../ts/models/decoder-tensors.js';
import {
  candidateSplits,
  layersOnly,
  RATIO_TOLERANCE,
} from '../../../ts/systems/comp/candidate-splits.js';
import { distributeChannels } from '../../../ts/systems/comp/distribute-channels.js';
import { modelParameters } from '../../../ts/systems/comp/parameter-budget.js';
import { type Split, splitRatio, splitShapes } from '../../../ts/systems/comp/split.js';
import { assert, test } from '../../harness.js';

/** A seeded configuration of a plausible shape. */
function randomConfig(random: Random): ModelConfig {
  const kv = 1 + random.integer(4);
  const headDim = 2 * (2 + random.integer(15));
  const biased = random.integer(2) === 0;
  return parseModelConfig(
    {
      model_type: 'llama',
      vocab_size: 50 + random.integer(300),
      hidden_size: 8 * (2 + random.integer(20)),
      intermediate_size: 4 * (8 + random.integer(150)),
      num_hidden_layers: 2 + random.integer(8),
      num_attention_heads: kv * (1 + random.integer(3)),
      num_key_value_heads: kv,
      head_dim: headDim,
      attention_bias: biased,
      mlp_bias: biased,
      tie_word_embeddings: random.integer(2) === 0,
    },
    'config.json',
  );
}

/** What a split leaves, counted tensor by tensor. */
function countedRatio(config: ModelConfig, split: Split): number {
  const size = (shape: readonly number[]) => shape.reduce((x, y) => x * y, 1);
  const pruned = { ...config, layers: splitShapes(config, split) };
  const left = decoderTensors(pruned).reduce((sum, { shape }) => sum + size(shape), 0);
  return 1 - left / modelParameters(config);
}

test('every split removes what it says, at least the ratio and hardly more', () => {
  const random = new Random(9);
  let tight = 0;
  let all = 0;
  for (let i = 0; i < 300; i++) {
    const config = randomConfig(random);
    const ratio = 0.05 + 0.5 * random.float();
    const middle = Math.floor(config.layers.length / 2);
    const splits = candidateSplits(config, {
      ratio,
      layerShare: 'auto',
      dropSets: [[], [middle]],
      align: 8,
      halve: true,
      groups: 'auto' as const,
    });
    const least = Math.min(...splits.map((split) => split.ratio));
    for (const split of splits) {
      assert.ok(Math.abs(split.ratio - countedRatio(config, split)) < 1e-12);
      assert.ok(split.ratio >= ratio - 1e-9, `${split.ratio} < ${ratio}`);
      assert.ok(split.ratio <= Math.max(ratio + RATIO_TOLERANCE, least + 1e-9));
      assert.ok(split.channels.every((width) => width >= 1));
      assert.ok(split.groups.every((groups) => groups >= 1));
    }
    if (splits.length > 0) all++;
    if (least <= ratio + RATIO_TOLERANCE) tight++;
  }
  assert.ok(all > 200 && tight > 0.95 * all, `${tight} of ${all}`);
});

test('widths are multiples of the alignment that was asked for', () => {
  const random = new Random(10);
  for (let i = 0; i < 100; i++) {
    const config = randomConfig(random);
    const request = {
      ratio: 0.2,
      layerShare: 0,
      dropSets: [[]],
      align: 16,
      halve: false,
      groups: 'auto' as const,
    };
    for (const { channels } of candidateSplits(config, request)) {
      const width = config.layers[0]?.intermediateSize;
      assert.ok(channels.every((kept) => kept % 16 === 0 || kept === width));
    }
  }
});

test('a layer share fixes how many layers go', () => {
  const config = { ...randomConfig(new Random(3)) };
  const layers = Array.from({ length: 8 }, () => ({
    intermediateSize: 256,
    numAttentionHeads: 4,
    numKeyValueHeads: 4,
  }));
  const deep = { ...config, layers, hiddenSize: 64, headDim: 16, vocabSize: 100 };
  const dropSets = [[], [3], [3, 4], [3, 4, 5]];
  const count = (layerShare: number) =>
    candidateSplits(deep, {
      ratio: 0.25,
      layerShare,
      dropSets,
      align: 8,
      halve: true,
      groups: 'auto' as const,
    }).map((split) => split.dropped.length);
  assert.ok(count(0).every((dropped) => dropped === 0));
  assert.ok(count(0.5).every((dropped) => dropped === 1));
  assert.ok(count(0).length > 0 && count(0.5).length > 0);
});

test('layers alone: the fewest that reach the ratio', () => {
  const config = randomConfig(new Random(5));
  const order = (count: number) => Array.from({ length: count }, (_, i) => i);
  const split = layersOnly(config, 0.3, order, config.layers.length - 1);
  assert.ok(split !== undefined && split.ratio >= 0.3);
  const fewer = split.dropped.slice(1);
  assert.ok(splitRatio(config, { ...split, dropped: fewer }) < 0.3);
  assert.is(layersOnly(config, 0.999, order, 1), undefined);
});

test('per-layer widths keep the ratio and give influential layers more', () => {
  const random = new Random(6);
  for (let i = 0; i < 100; i++) {
    const config = randomConfig(random);
    const [split] = candidateSplits(config, {
      ratio: 0.15,
      layerShare: 0,
      dropSets: [[]],
      align: 1,
      halve: true,
      groups: 99,
    });
    if (split === undefined) continue;
    const influence = config.layers.map(() => random.float());
    const uneven = distributeChannels(config, split, influence, 0.15, 1);
    assert.ok(Math.abs(uneven.ratio - countedRatio(config, uneven)) < 1e-12);
    assert.ok(uneven.ratio >= 0.15 - 1e-9 && uneven.ratio <= 0.15 + RATIO_TOLERANCE);
    const most = influence.indexOf(Math.max(...influence));
    const least = influence.indexOf(Math.min(...influence));
    assert.ok((uneven.channels[most] as number) >= (uneven.channels[least] as number));
  }
});

test('head counts that a search proposes divide the hidden size, as transformers demands', () => {
  const random = new Random(10);
  let fewer = 0;
  for (let i = 0; i < 200; i++) {
    const config = randomConfig(random);
    const [{ numAttentionHeads, numKeyValueHeads }] = config.layers as [
      ModelConfig['layers'][number],
    ];
    const splits = candidateSplits(config, {
      ratio: 0.2,
      layerShare: 'auto',
      dropSets: [[]],
      align: 8,
      halve: true,
      groups: 'auto',
    });
    for (const { groups } of splits) {
      const [left = 0] = groups;
      if (left === numKeyValueHeads) continue;
      fewer++;
      assert.is(config.hiddenSize % (left * (numAttentionHeads / numKeyValueHeads)), 0);
    }
  }
  assert.ok(fewer > 10, `${fewer} splits with fewer heads`);
});
