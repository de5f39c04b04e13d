import type { ModelConfig } from '../formats/model-config.js';
import { add } from '../ops/add.js';
import { addRmsNorm, rmsNorm } from '../ops/rms-norm.js';
import { swiglu } from '../ops/swiglu.js';
import { region } from '../tensor/region.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  type Attend,
  attentionContext,
  attentionProjections,
  causalAttention,
} from './attention-block.js';
import type { ForwardContext } from './forward-context.js';
import type { LayerWeights } from './layer-weights.js';
import { project } from './project.js';

/**
 * The places inside a layer that can be looked at, in the order in which they are computed; all are
 * [batch, sequence, width]: the normalised stream (`attentionInput`), the projections before norms
 * and rotation (`query`, `key`, `value`), the input of o_proj (`context`), what attention adds to the
 * stream (`attentionOutput`), the stream after it (`residual`), normalised (`mlpInput`), the two MLP
 * projections (`gate`, `up`), the input of down_proj (`activation`) and what the MLP adds
 * (`mlpOutput`).
 */
export type LayerTap =
  | 'attentionInput'
  | 'query'
  | 'key'
  | 'value'
  | 'context'
  | 'attentionOutput'
  | 'residual'
  | 'mlpInput'
  | 'gate'
  | 'up'
  | 'activation'
  | 'mlpOutput';

/** Options of {@link layerForward}. */
export interface LayerForwardOptions {
  /** Called, inside the layer's scope, with each intermediate tensor; `keep()` what must live on. */
  tap?: (tap: LayerTap, tensor: Tensor) => void;
  /** Rotates and attends in place of the usual: position i of a sequence sees those up to i. */
  attend?: Attend | undefined;
  /** Adapters, dropout and padding of this pass; default none. */
  context?: ForwardContext;
}

/**
 * One decoder layer: x + attention(norm(x)), then + mlp(norm(·)).
 * @param x the residual stream, f32 [batch, sequence, hidden].
 * @param frequencies see `ropeFrequencies`, as a tensor [headDim / 2].
 * @returns the stream leaving the layer, same shape.
 */
export function layerForward(
  config: ModelConfig,
  layer: LayerWeights,
  x: Tensor,
  frequencies: Tensor,
  { tap, attend, context = {} }: LayerForwardOptions = {},
): Tensor {
  const { numAttentionHeads, intermediateSize } = layer.shape;
  const key = `layer [${x.shape}] ${numAttentionHeads} ${intermediateSize}`;
  const forward = () => {
    const eps = config.rmsNormEps;
    const attentionInput = rmsNorm(x, layer.inputNorm, eps);
    const projections = attentionProjections(layer, attentionInput, context);
    const attending = attend ?? causalAttention(frequencies, context.keyMask);
    const heads = attentionContext(config, layer, projections, frequencies, attending);
    const [attentionOutput] = project(heads, [layer.output], context) as [Tensor];
    const norm = addRmsNorm(attentionOutput, x, layer.postAttentionNorm, eps);
    const [gate, up] = project(norm.output, [layer.gate, layer.up], context) as [Tensor, Tensor];
    const activation = swiglu(gate, up);
    const [mlpOutput] = project(activation, [layer.down], context) as [Tensor];
    if (tap !== undefined) {
      tap('attentionInput', attentionInput);
      tap('query', projections.query);
      tap('key', projections.key);
      tap('value', projections.value);
      tap('context', heads);
      tap('attentionOutput', attentionOutput);
      tap('residual', norm.sum);
      tap('mlpInput', norm.output);
      tap('gate', gate);
      tap('up', up);
      tap('activation', activation);
      tap('mlpOutput', mlpOutput);
    }
    return add(norm.sum, mlpOutput);
  };
  return scope(() => region(x.device, key, forward));
}
