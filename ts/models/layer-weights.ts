import type { Products } from '../native/addon.js';
import type { LayerShape } from '../formats/model-config.js';
import { cast } from '../ops/cast.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Checkpoint } from './checkpoint.js';
import { layerTensorName } from './decoder-tensors.js';

/**
 * In which dtype weights are held: as stored (`auto`), or all in f32; with `bf16` all in bf16, and
 * products multiply bf16 too, as PyTorch does with a bf16 model.
 */
export type WeightDType = 'auto' | 'f32' | 'bf16';

/** A dense product y = x Wᵀ + b: weight [out, in], bias [out]. */
export interface LinearWeights {
  weight: Tensor;
  bias?: Tensor;
  /** How factors are multiplied; default `f32`. */
  products?: Products;
}

/** The weights of one decoder layer. */
export interface LayerWeights {
  shape: LayerShape;
  /** [hidden] */
  inputNorm: Tensor;
  /** [heads · headDim, hidden] */
  query: LinearWeights;
  /** [kvHeads · headDim, hidden] */
  key: LinearWeights;
  /** [kvHeads · headDim, hidden] */
  value: LinearWeights;
  /** [headDim], qwen3 only */
  queryNorm?: Tensor;
  /** [headDim], qwen3 only */
  keyNorm?: Tensor;
  /** [hidden, heads · headDim] */
  output: LinearWeights;
  /** [hidden] */
  postAttentionNorm: Tensor;
  /** [intermediate, hidden] */
  gate: LinearWeights;
  /** [intermediate, hidden] */
  up: LinearWeights;
  /** [hidden, intermediate] */
  down: LinearWeights;
}

/**
 * The weights of layer `index`, mapped, or cast where they are not stored in the `dtype` asked for.
 * Dispose them with {@link disposeLayer}.
 * @throws EspalierError as `Checkpoint.tensor`.
 */
export function loadLayer(
  checkpoint: Checkpoint,
  index: number,
  dtype: WeightDType = 'auto',
): LayerWeights {
  const { config } = checkpoint;
  const load = (name: string) => loadWeight(checkpoint, layerTensorName(index, name), dtype);
  const linear = (name: string, bias: boolean): LinearWeights => ({
    weight: load(`${name}.weight`),
    ...(bias ? { bias: load(`${name}.bias`) } : {}),
    products: productsOf(dtype),
  });
  const layer: LayerWeights = {
    shape: config.layers[index] as LayerShape,
    inputNorm: load('input_layernorm.weight'),
    query: linear('self_attn.q_proj', config.queryBias),
    key: linear('self_attn.k_proj', config.queryBias),
    value: linear('self_attn.v_proj', config.queryBias),
    output: linear('self_attn.o_proj', config.outputBias),
    postAttentionNorm: load('post_attention_layernorm.weight'),
    gate: linear('mlp.gate_proj', config.mlpBias),
    up: linear('mlp.up_proj', config.mlpBias),
    down: linear('mlp.down_proj', config.mlpBias),
  };
  if (config.queryKeyNorm) {
    layer.queryNorm = load('self_attn.q_norm.weight');
    layer.keyNorm = load('self_attn.k_norm.weight');
  }
  return layer;
}

/** How a model multiplies whose weights are held in `dtype`. */
export function productsOf(dtype: WeightDType): Products {
  return dtype === 'bf16' ? 'bf16' : 'f32';
}

/** One weight by its full name, mapped or cast. */
export function loadWeight(checkpoint: Checkpoint, name: string, dtype: WeightDType): Tensor {
  const stored = checkpoint.tensor(name);
  if (dtype === 'auto' || stored.dtype === dtype) return stored;
  const converted = cast(stored, dtype);
  stored.dispose();
  return converted;
}

/** The tensors of a layer by the names they have inside a checkpoint's layer. */
export function namedLayerTensors(layer: LayerWeights): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  const norm = (name: string, weight: Tensor | undefined) => {
    if (weight !== undefined) tensors.set(`${name}.weight`, weight);
  };
  const linear = (name: string, { weight, bias }: LinearWeights) => {
    tensors.set(`${name}.weight`, weight);
    if (bias !== undefined) tensors.set(`${name}.bias`, bias);
  };
  norm('input_layernorm', layer.inputNorm);
  linear('self_attn.q_proj', layer.query);
  linear('self_attn.k_proj', layer.key);
  linear('self_attn.v_proj', layer.value);
  norm('self_attn.q_norm', layer.queryNorm);
  norm('self_attn.k_norm', layer.keyNorm);
  linear('self_attn.o_proj', layer.output);
  norm('post_attention_layernorm', layer.postAttentionNorm);
  linear('mlp.gate_proj', layer.gate);
  linear('mlp.up_proj', layer.up);
  linear('mlp.down_proj', layer.down);
  return tensors;
}

/** Disposes the tensors of a layer; mapped ones give their pages back. */
export function disposeLayer(layer: LayerWeights): void {
  for (const tensor of namedLayerTensors(layer).values()) tensor.dispose();
}
