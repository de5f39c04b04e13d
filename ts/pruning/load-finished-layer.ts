import type { ModelConfig } from '../formats/model-config.js';
import { readSafetensors } from '../formats/safetensors-reader.js';
import { type SharedDType, tensorDType } from '../formats/safetensors-dtype.js';
import { EspalierError } from '../common/errors.js';
import type { LayerWeights, LinearWeights } from '../models/layer-weights.js';
import { MappedFile } from '../tensor/mapped-file.js';
import type { Tensor } from '../tensor/tensor.js';
import type { FinishedLayer } from './partial-result.js';

/**
 * Loads a layer that an interrupted run has finished.
 * @param device where its tensors are put; on the CPU they are mapped
 * @throws EspalierError `FORMAT` when the file isn't what the run wrote
 */
export async function loadFinishedLayer(
  path: string,
  { shape, biases }: FinishedLayer,
  config: ModelConfig,
  device: string,
): Promise<LayerWeights> {
  const { entries } = await readSafetensors(path);
  const file = MappedFile.open(path);
  const load = (name: string): Tensor => {
    const entry = entries.get(name);
    const dtype = entry === undefined ? undefined : tensorDType(entry.dtype);
    if (entry === undefined || dtype === undefined) {
      throw new EspalierError('FORMAT', `${path} has no usable tensor ${name}`);
    }
    const mapped = file.tensor(entry.offset, entry.shape, dtype as SharedDType);
    if (device === 'cpu') return mapped;
    const copy = mapped.to(device);
    mapped.dispose();
    return copy;
  };
  const linear = (name: string, bias: boolean): LinearWeights =>
    bias
      ? { weight: load(`${name}.weight`), bias: load(`${name}.bias`) }
      : { weight: load(`${name}.weight`) };
  try {
    return {
      shape,
      inputNorm: load('input_layernorm.weight'),
      query: linear('self_attn.q_proj', biases.query),
      key: linear('self_attn.k_proj', biases.query),
      value: linear('self_attn.v_proj', biases.query),
      output: linear('self_attn.o_proj', biases.output),
      postAttentionNorm: load('post_attention_layernorm.weight'),
      gate: linear('mlp.gate_proj', biases.mlp),
      up: linear('mlp.up_proj', biases.mlp),
      down: linear('mlp.down_proj', biases.mlp),
      ...(config.queryKeyNorm
        ? { queryNorm: load('self_attn.q_norm.weight'), keyNorm: load('self_attn.k_norm.weight') }
        : {}),
    };
  } finally {
    file.close();
  }
}
