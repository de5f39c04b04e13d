import { join } from 'node:path';
import type { LayerShape } from '../../ts/formats/model-config.js';
import { Random } from '../../ts/common/random.js';
import { Checkpoint } from '../../ts/models/checkpoint.js';
import { layerForward } from '../../ts/models/layer-forward.js';
import { loadLayer, type LayerWeights, type LinearWeights } from '../../ts/models/layer-weights.js';
import { ropeFrequencies } from '../../ts/models/rope-frequencies.js';
import { scale } from '../../ts/ops/scale.js';
import { LAYER_BLOCKS } from '../../ts/pruning/layer-block.js';
import { sliceBlock } from '../../ts/pruning/slice-block.js';
import { unitIndices } from '../../ts/pruning/unit-indices.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, close, test } from '../harness.js';

const conformance = join(import.meta.dirname, '..', 'fixtures', 'conformance');
const random = new Random(1);

/** The product with everything but the columns of the kept units set to zero. */
function masked({ weight, bias }: LinearWeights, columns: readonly number[]): LinearWeights {
  const stays = new Set(columns);
  const factors = Float32Array.from({ length: weight.shape[1] ?? 0 }, (_, j) =>
    stays.has(j) ? 1 : 0,
  );
  const zeroed = scale(weight, Tensor.from(factors), { axis: 'columns' });
  return bias === undefined ? { weight: zeroed } : { weight: zeroed, bias };
}

for (const model of [
  'llama-gqa',
  'llama-mha-tied',
  'llama-bias-headdim',
  'llama-bf16',
  'qwen2',
  'qwen3',
  'mistral-window',
]) {
  test(`${model}: a sliced layer gives what the masked layer gives`, async () => {
    const checkpoint = await Checkpoint.open(join(conformance, model));
    const { config } = checkpoint;
    const layer = loadLayer(checkpoint, 0);
    const frequencies = Tensor.from(ropeFrequencies(config.rope, config.headDim));
    const data = Float32Array.from({ length: 2 * 9 * config.hiddenSize }, () => random.normal());
    const x = Tensor.from(data, [2, 9, config.hiddenSize]);
    for (const block of LAYER_BLOCKS) {
      const units = block.units(layer);
      const kept = random.sample(units, Math.max(1, units >> 1));
      const sliced = sliceBlock(config, block, layer, kept);
      assert.is(block.units(sliced), kept.length);
      const columns = unitIndices(kept, block.columnsPerUnit(config, layer));
      const weights = block.weights(layer);
      const zeroed = block.replace(
        layer,
        { ...weights, consumer: masked(weights.consumer, columns) },
        units,
      );
      close(
        (await layerForward(config, sliced, x, frequencies).read()) as Float32Array,
        (await layerForward(config, zeroed, x, frequencies).read()) as Float32Array,
        1e-5,
      );
    }
  });
}

test('a block that keeps all its units stays the layer that it was', async () => {
  const checkpoint = await Checkpoint.open(join(conformance, 'llama-gqa'));
  const layer: LayerWeights = loadLayer(checkpoint, 1);
  const shape: LayerShape = layer.shape;
  for (const block of LAYER_BLOCKS) {
    const all = Array.from({ length: block.units(layer) }, (_, i) => i);
    assert.is(sliceBlock(checkpoint.config, block, layer, all), layer);
  }
  assert.equal(layer.shape, shape);
});
