import type { Products } from '../native/addon.js';
import type { LayerShape } from '../formats/model-config.js';
import { cast } from '../ops/cast.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Checkpoint } from './checkpoint.js';
import { layerTensorName } from './decoder-tensors.js';
import type { StoredWeights } from './stored-weights.js';

/**
 * In which dtype weights are held: as stored (`auto`), or all in f32; with `bf16` all in bf16, and
 * products multiply bf16 too, as PyTorch does with a bf16 model.
 */
export type WeightDType = 'auto' | 'f32' | 'bf16';

/** How weights are held: in a dtype, or as f32 copies that can be trained. */
export type HeldAs = WeightDType | 'parameter';

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
  dtype: HeldAs = 'auto',
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

/** How a model multiplies whose weights are held so. */
export function productsOf(held: HeldAs): Products {
  return held === 'bf16' ? 'bf16' : 'f32';
}

/** One weight by its full name, mapped or cast. */
export function loadWeight(checkpoint: StoredWeights, name: string, held: HeldAs): Tensor {
  const stored = checkpoint.tensor(name);
  if (held === 'auto' || stored.dtype === held) return stored;
  const converted = cast(stored, held === 'parameter' ? 'f32' : held);
  stored.dispose();
  return converted;
}

/** The tensors of a layer by the names they have inside a checkpoint's layer. */
export function namedLayerTensors(layer: LayerWeights): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  const norm = (name: string, weight: Tensor | undefined) => {
    if (weight !== undefined) tensors.set(`${name}.weight`, weight);
  };
  norm('input_layernorm', layer.inputNorm);
  norm('self_attn.q_norm', layer.queryNorm);
  norm('self_attn.k_norm', layer.keyNorm);
  norm('post_attention_layernorm', layer.postAttentionNorm);
  for (const [name, { weight, bias }] of namedLayerLinears(layer)) {
    tensors.set(`${name}.weight`, weight);
    if (bias !== undefined) tensors.set(`${name}.bias`, bias);
  }
  return tensors;
}

/** The linear layers of a layer by the names they have inside a checkpoint's layer. */
export function namedLayerLinears(layer: LayerWeights): Map<string, LinearWeights> {
  return new Map([
    ['self_attn.q_proj', layer.query],
    ['self_attn.k_proj', layer.key],
    ['self_attn.v_proj', layer.value],
    ['self_attn.o_proj', layer.output],
    ['mlp.gate_proj', layer.gate],
    ['mlp.up_proj', layer.up],
    ['mlp.down_proj', layer.down],
  ]);
}

/** The linear layers of layer `index` by their module path in a checkpoint. */
export function layerLinears(layer: LayerWeights, index: number): [string, LinearWeights][] {
  return [...namedLayerLinears(layer)].map(([name, linear]) => [
    layerTensorName(index, name),
    linear,
  ]);
}

/** Disposes the tensors of a layer; mapped ones give their pages back. */
export function disposeLayer(layer: LayerWeights): void {
  for (const tensor of namedLayerTensors(layer).values()) tensor.dispose();
}
