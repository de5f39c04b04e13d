import { headMeanLoss } from '../../models/decoder-head.js';
import { layerForward } from '../../models/layer-forward.js';
import { LayerFeed } from '../../models/layer-feed.js';
import { disposeLayer, loadLayer } from '../../models/layer-weights.js';
import { Parameter } from '../../nn/parameter.js';
import { LAYER_BLOCKS } from '../../pruning/layer-block.js';
import { taylorScores, type WeightGradient } from '../../pruning/taylor-scores.js';
import { settled } from '../../tensor/settle.js';
import { keep, scope } from '../../tensor/scope.js';
import { Tensor } from '../../tensor/tensor.js';
import type { LayerUnitScores } from './unit-plan.js';
import { embeddedChunks, withOuter, type Workbench } from './workbench.js';

/**
 * Scores every unit of the unpruned model by Σ |w · ∂L/∂w|, with L the mean loss over all chunks of
 * the bench. The streams entering the layers are kept, and each layer is computed again on the way
 * back: one layer's weights and gradients are in memory at a time, where LLM-Pruner holds all.
 * @returns by layer
 */
export async function taylorSurvey(bench: Workbench): Promise<LayerUnitScores[]> {
  const entering = await enteringStreams(bench);
  let gradients: Tensor[] = [];
  try {
    gradients = await streamGradients(bench, entering.pop() as Tensor[]);
    const scores: LayerUnitScores[] = [];
    for (let layer = bench.config.layers.length - 1; layer >= 0; layer--) {
      const streams = entering.pop() as Tensor[];
      scores.unshift(await layerScores(bench, layer, streams, gradients));
      bench.onLayer?.('gradients', layer);
    }
    return scores;
  } finally {
    for (const x of [...entering.flat(), ...gradients]) x.dispose();
  }
}

/** The residual streams entering every layer, and at last the ones leaving the last, by chunk. */
async function enteringStreams(bench: Workbench): Promise<Tensor[][]> {
  const { checkpoint, config, frequencies, signal } = bench;
  const entering = [embeddedChunks(bench)];
  const feed = new LayerFeed(checkpoint);
  try {
    for (const [i] of config.layers.entries()) {
      const layer = feed.take(i);
      const next: Tensor[] = [];
      entering.push(next);
      try {
        for (const x of entering[i] as Tensor[]) {
          const y = layerForward(config, layer, x, frequencies);
          next.push(y);
          await settled(y, signal);
        }
      } finally {
        disposeLayer(layer);
      }
    }
    return entering;
  } catch (error) {
    for (const x of entering.flat()) x.dispose();
    throw error;
  } finally {
    feed.dispose();
  }
}

/** The gradients of the mean loss in the streams leaving the last layer, which are freed. */
async function streamGradients(bench: Workbench, leaving: Tensor[]): Promise<Tensor[]> {
  const { config, chunks, signal } = bench;
  const windows = chunks.reduce((sum, chunk) => sum + chunk.windows, 0);
  const streams = leaving.map((x) => new Parameter(x));
  const gradients: Tensor[] = [];
  try {
    await withOuter(bench, async (outer) => {
      for (const [i, chunk] of chunks.entries()) {
        const stream = streams[i] as Parameter;
        scope(() => {
          const loss = headMeanLoss(config, outer, stream.value, chunk.targets);
          loss.backward(
            Tensor.from([chunk.windows / windows], [1], { device: loss.device }).reshape([]),
          );
        });
        gradients.push(takeGradient(stream));
        await settled(gradients[i] as Tensor, signal);
      }
    });
    return gradients;
  } catch (error) {
    for (const gradient of gradients) gradient.dispose();
    throw error;
  } finally {
    for (const stream of streams) stream.dispose();
  }
}

/**
 * Walks back through one layer: the gradients in the streams leaving it are replaced by those in the
 * streams entering it, and the streams are freed.
 */
async function layerScores(
  { checkpoint, config, frequencies, signal }: Workbench,
  index: number,
  entering: Tensor[],
  gradients: Tensor[],
): Promise<LayerUnitScores> {
  const layer = loadLayer(checkpoint, index, 'f32');
  const streams = entering.map((x) => new Parameter(x));
  const weights = new Map<Tensor, Parameter>();
  for (const block of LAYER_BLOCKS) {
    const { producers, consumer } = block.weights(layer);
    for (const { weight } of [...producers, consumer]) weights.set(weight, new Parameter(weight));
  }
  try {
    for (const [i, stream] of streams.entries()) {
      scope(() => {
        const y = layerForward(config, layer, stream.value, frequencies);
        y.backward(gradients[i] as Tensor);
      });
      gradients[i]?.dispose();
      gradients[i] = takeGradient(stream);
      await settled(gradients[i] as Tensor, signal);
      stream.dispose();
    }
    const scored = (weight: Tensor): WeightGradient => ({
      weight,
      gradient: weights.get(weight)?.grad as Tensor,
    });
    const scores: Partial<LayerUnitScores> = {};
    for (const block of LAYER_BLOCKS) {
      const { producers, consumer } = block.weights(layer);
      scores[block.name] = await taylorScores({
        producers: producers.map(({ weight }) => scored(weight)),
        consumer: scored(consumer.weight),
        rowsPerUnit: block.rowsPerUnit(config, layer),
        columnsPerUnit: block.columnsPerUnit(config, layer),
        ...(signal === undefined ? {} : { signal }),
      });
    }
    return scores as LayerUnitScores;
  } finally {
    for (const parameter of [...streams, ...weights.values()]) parameter.dispose();
    disposeLayer(layer);
  }
}

/** Takes the gradient of a tensor over, out of every scope. */
function takeGradient(parameter: Parameter): Tensor {
  const gradient = keep(parameter.grad as Tensor);
  parameter.grad = undefined;
  return gradient;
}
