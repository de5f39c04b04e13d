import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../ts/common/random.js';
import { parseModelConfig } from '../../ts/formats/model-config.js';
import { decoderTensors } from '../../ts/models/decoder-tensors.js';
import { makeSafetensors } from '../formats/make-safetensors.js';

/** The config.json of a model small enough for thousands of copies. */
export const tinyConfig = {
  model_type: 'llama',
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  torch_dtype: 'float32',
  tie_word_embeddings: true,
};

/** The bytes of a safetensors file of f32 tensors filled with seeded numbers. */
export function safetensorsOf(
  specs: readonly { name: string; shape: readonly number[] }[],
  seed = 1,
): Buffer {
  const random = new Random(seed);
  const header: Record<string, unknown> = {};
  const values: number[] = [];
  for (const { name, shape } of specs) {
    const begin = values.length * 4;
    const size = shape.reduce((x, y) => x * y, 1);
    for (let i = 0; i < size; i++) values.push(0.3 * random.normal());
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, values.length * 4] };
  }
  return makeSafetensors(header, new Uint8Array(Float32Array.from(values).buffer));
}

/** Writes a tiny model with seeded weights, in one file or in two shards. */
export function writeTinyCheckpoint(
  directory: string,
  { fields = {}, sharded = false }: { fields?: Record<string, unknown>; sharded?: boolean } = {},
): void {
  const json = { ...tinyConfig, ...fields };
  const specs = decoderTensors(parseModelConfig(json, 'config.json'));
  writeFileSync(join(directory, 'config.json'), JSON.stringify(json));
  if (!sharded) {
    writeFileSync(join(directory, 'model.safetensors'), safetensorsOf(specs));
    return;
  }
  const half = specs.length >> 1;
  const weight_map: Record<string, string> = {};
  for (const [i, part] of [specs.slice(0, half), specs.slice(half)].entries()) {
    const name = `model-0000${i + 1}-of-00002.safetensors`;
    writeFileSync(join(directory, name), safetensorsOf(part, i + 1));
    for (const spec of part) weight_map[spec.name] = name;
  }
  const index = { metadata: { total_size: 0 }, weight_map };
  writeFileSync(join(directory, 'model.safetensors.index.json'), JSON.stringify(index));
}
