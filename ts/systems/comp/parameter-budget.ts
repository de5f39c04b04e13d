import type { LayerShape, ModelConfig } from '../../formats/model-config.js';
import { decoderTensors, layerTensors } from '../../models/decoder-tensors.js';

/** All parameters of a model; tied tables count once. */
export function modelParameters(config: ModelConfig): number {
  return decoderTensors(config).reduce((sum, { shape }) => sum + count(shape), 0);
}

/** The parameters of one layer. */
export function layerParameters(config: ModelConfig, layer: LayerShape): number {
  return layerTensors(config, layer).reduce((sum, { shape }) => sum + count(shape), 0);
}

/** The parameters that one MLP channel owns. */
export function channelParameters(config: ModelConfig): number {
  return 3 * config.hiddenSize + (config.mlpBias ? 2 : 0);
}

/** The parameters that one key/value group owns: its k and v head and its query heads. */
export function groupParameters(config: ModelConfig, layer: LayerShape): number {
  const { hiddenSize, headDim, queryBias } = config;
  const heads = layer.numAttentionHeads / layer.numKeyValueHeads;
  return headDim * (2 * hiddenSize * (heads + 1) + (queryBias ? heads + 2 : 0));
}

/** What the parts of a model count. */
export interface ParameterCosts {
  total: number;
  /** Whole layers. */
  layers: number[];
  /** One key/value group, by layer. */
  groups: number[];
  /** One MLP channel. */
  channel: number;
}

const known = new WeakMap<ModelConfig, ParameterCosts>();

/** What the parts of a model count; computed once per configuration. */
export function parameterCosts(config: ModelConfig): ParameterCosts {
  const before = known.get(config);
  if (before !== undefined) return before;
  const costs: ParameterCosts = {
    total: modelParameters(config),
    layers: config.layers.map((layer) => layerParameters(config, layer)),
    groups: config.layers.map((layer) => groupParameters(config, layer)),
    channel: channelParameters(config),
  };
  known.set(config, costs);
  return costs;
}

/** A layer with `groups` key/value groups and `channels` MLP channels. */
export function narrowedShape(layer: LayerShape, groups: number, channels: number): LayerShape {
  const heads = layer.numAttentionHeads / layer.numKeyValueHeads;
  return {
    ...layer,
    numKeyValueHeads: groups,
    numAttentionHeads: groups * heads,
    intermediateSize: channels,
  };
}

function count(shape: readonly number[]): number {
  return shape.reduce((x, y) => x * y, 1);
}
