import type { LayerShape, ModelConfig } from '../formats/model-config.js';

/** The tensors outside the layers, by their names in a checkpoint. */
export const EMBEDDING_TENSOR = 'model.embed_tokens.weight';
export const FINAL_NORM_TENSOR = 'model.norm.weight';
export const HEAD_TENSOR = 'lm_head.weight';

/** Which part of a layer a tensor belongs to. */
export type DecoderPart = 'attention' | 'mlp' | 'norm';

/** A tensor that a decoder layer consists of. */
export interface LayerTensorSpec {
  /** Its name inside the layer, such as `self_attn.q_proj.weight`. */
  name: string;
  shape: readonly number[];
  part: DecoderPart;
}

/** The name of a layer's tensor in a checkpoint. */
export function layerTensorName(layer: number, name: string): string {
  return `model.layers.${layer}.${name}`;
}

/** The tensors of one layer with their shapes, in the order in which they are used. */
export function layerTensors(config: ModelConfig, layer: LayerShape): LayerTensorSpec[] {
  const { hiddenSize: hidden, headDim, queryBias, outputBias, mlpBias } = config;
  const width = layer.intermediateSize;
  const queries = layer.numAttentionHeads * headDim;
  const keys = layer.numKeyValueHeads * headDim;
  const norm = (name: string, size: number): LayerTensorSpec[] => [
    { name: `${name}.weight`, shape: [size], part: 'norm' },
  ];
  const linear = (
    name: string,
    part: DecoderPart,
    rows: number,
    columns: number,
    bias: boolean,
  ) => {
    const specs: LayerTensorSpec[] = [{ name: `${name}.weight`, shape: [rows, columns], part }];
    if (bias) specs.push({ name: `${name}.bias`, shape: [rows], part });
    return specs;
  };
  return [
    ...norm('input_layernorm', hidden),
    ...linear('self_attn.q_proj', 'attention', queries, hidden, queryBias),
    ...linear('self_attn.k_proj', 'attention', keys, hidden, queryBias),
    ...linear('self_attn.v_proj', 'attention', keys, hidden, queryBias),
    ...(config.queryKeyNorm ? norm('self_attn.q_norm', headDim) : []),
    ...(config.queryKeyNorm ? norm('self_attn.k_norm', headDim) : []),
    ...linear('self_attn.o_proj', 'attention', hidden, queries, outputBias),
    ...norm('post_attention_layernorm', hidden),
    ...linear('mlp.gate_proj', 'mlp', width, hidden, mlpBias),
    ...linear('mlp.up_proj', 'mlp', width, hidden, mlpBias),
    ...linear('mlp.down_proj', 'mlp', hidden, width, mlpBias),
  ];
}

/** The tensors outside the layers with their shapes; a tied model has no head of its own. */
export function outerTensors(config: ModelConfig): { name: string; shape: readonly number[] }[] {
  const { vocabSize, hiddenSize } = config;
  return [
    { name: EMBEDDING_TENSOR, shape: [vocabSize, hiddenSize] },
    { name: FINAL_NORM_TENSOR, shape: [hiddenSize] },
    ...(config.tieWordEmbeddings ? [] : [{ name: HEAD_TENSOR, shape: [vocabSize, hiddenSize] }]),
  ];
}

/** Every tensor that a checkpoint of this configuration must have, by full name. */
export function decoderTensors(
  config: ModelConfig,
): { name: string; shape: readonly number[]; layer?: number; part: DecoderPart | 'outer' }[] {
  return [
    ...outerTensors(config).map((spec) => ({ ...spec, part: 'outer' as const })),
    ...config.layers.flatMap((shape, layer) =>
      layerTensors(config, shape).map((spec) => ({
        ...spec,
        name: layerTensorName(layer, spec.name),
        layer,
      })),
    ),
  ];
}
