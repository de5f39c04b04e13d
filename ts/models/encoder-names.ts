import type { EncoderConfig, EncoderFamily } from '../formats/encoder-config.js';

/** The module paths of an encoder layer. */
export interface EncoderLayerNames {
  query: string;
  key: string;
  value: string;
  output: string;
  attentionNorm: string;
  up: string;
  down: string;
  outputNorm: string;
}

/** The module paths outside the layers. */
export interface EncoderOuterNames {
  words: string;
  positions: string;
  /** Undefined: the family has no segments. */
  types: string | undefined;
  norm: string;
}

/** The module of a classifier that contains the trunk, as its checkpoints name it. */
export function encoderPrefix(family: EncoderFamily): string {
  return `${family}.`;
}

/** The paths outside the layers, without the family's prefix. */
export function encoderOuterNames(config: EncoderConfig): EncoderOuterNames {
  return {
    words: 'embeddings.word_embeddings',
    positions: 'embeddings.position_embeddings',
    types: config.typeVocabSize > 0 ? 'embeddings.token_type_embeddings' : undefined,
    norm: 'embeddings.LayerNorm',
  };
}

/** The paths of one layer, without the family's prefix. */
export function encoderLayerNames(family: EncoderFamily, layer: number): EncoderLayerNames {
  if (family === 'distilbert') {
    const path = `transformer.layer.${layer}`;
    return {
      query: `${path}.attention.q_lin`,
      key: `${path}.attention.k_lin`,
      value: `${path}.attention.v_lin`,
      output: `${path}.attention.out_lin`,
      attentionNorm: `${path}.sa_layer_norm`,
      up: `${path}.ffn.lin1`,
      down: `${path}.ffn.lin2`,
      outputNorm: `${path}.output_layer_norm`,
    };
  }
  const path = `encoder.layer.${layer}`;
  return {
    query: `${path}.attention.self.query`,
    key: `${path}.attention.self.key`,
    value: `${path}.attention.self.value`,
    output: `${path}.attention.output.dense`,
    attentionNorm: `${path}.attention.output.LayerNorm`,
    up: `${path}.intermediate.dense`,
    down: `${path}.output.dense`,
    outputNorm: `${path}.output.LayerNorm`,
  };
}

/** Every tensor of the trunk with its shape, by name without the family's prefix. */
export function encoderTensors(
  config: EncoderConfig,
): { name: string; shape: readonly number[] }[] {
  const { hiddenSize: hidden, intermediateSize: width, family } = config;
  const outer = encoderOuterNames(config);
  const tensors = [
    { name: `${outer.words}.weight`, shape: [config.vocabSize, hidden] },
    { name: `${outer.positions}.weight`, shape: [config.positionRows, hidden] },
  ];
  if (outer.types !== undefined) {
    tensors.push({ name: `${outer.types}.weight`, shape: [config.typeVocabSize, hidden] });
  }
  const linear = (name: string, rows: number, columns: number) =>
    tensors.push(
      { name: `${name}.weight`, shape: [rows, columns] },
      { name: `${name}.bias`, shape: [rows] },
    );
  const norm = (name: string) =>
    tensors.push(
      { name: `${name}.weight`, shape: [hidden] },
      { name: `${name}.bias`, shape: [hidden] },
    );
  norm(outer.norm);
  for (let layer = 0; layer < config.numHiddenLayers; layer++) {
    const names = encoderLayerNames(family, layer);
    for (const part of ['query', 'key', 'value', 'output'] as const) {
      linear(names[part], hidden, hidden);
    }
    norm(names.attentionNorm);
    linear(names.up, width, hidden);
    linear(names.down, hidden, width);
    norm(names.outputNorm);
  }
  return tensors;
}
