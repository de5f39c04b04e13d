import { copyFile, mkdir, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../ts/common/random.js';
import { parseModelConfig } from '../ts/formats/model-config.js';
import { writeWeights } from '../ts/formats/weights-writer.js';
import type { TensorSource } from '../ts/formats/tensor-source.js';
import { decoderTensors } from '../ts/models/decoder-tensors.js';

const llama = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  torch_dtype: 'bfloat16',
  tie_word_embeddings: false,
  vocab_size: 32000,
  bos_token_id: 1,
  eos_token_id: 2,
};

/** config.json of real models, by name. */
export const SHAPES: Readonly<Record<string, Record<string, unknown>>> = {
  'llama-2-7b': {
    ...llama,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    max_position_embeddings: 4096,
  },
  'tinyllama-1.1b': {
    ...llama,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 22,
    num_attention_heads: 32,
    num_key_value_heads: 4,
    max_position_embeddings: 2048,
  },
  // No real model: proves that suites work where a GPU is emulated.
  tiny: {
    ...llama,
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 256,
    vocab_size: 512,
  },
  'qwen2.5-0.5b': {
    ...llama,
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    hidden_size: 896,
    intermediate_size: 4864,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    max_position_embeddings: 32768,
    rms_norm_eps: 1e-6,
    rope_theta: 1000000,
    tie_word_embeddings: true,
    vocab_size: 151936,
  },
};

/** Numbers in the pool that all tensors draw stretches of. */
const POOL = 1 << 22;
const STRETCH = 1 << 15;

/**
 * Writes a checkpoint of a real model's shape with random weights, scaled as models are initialised:
 * standard deviation 0.02, output projections smaller by √(2 layers). Tensors are stretches of one
 * pool of normal numbers, each from a random place, because 7 billion draws would take minutes. The
 * tokenizer is the demo's.
 * @param directory where it goes; must have room
 * @param layers fewer layers than the shape has
 * @returns bytes of weights
 */
export async function writeSyntheticCheckpoint(
  directory: string,
  shape: string,
  { layers, seed = 0, f32 = false }: { layers?: number; seed?: number; f32?: boolean } = {},
): Promise<number> {
  const known = SHAPES[shape];
  if (known === undefined) {
    throw new Error(`no shape ${shape}; there are ${Object.keys(SHAPES).join(', ')}`);
  }
  const json: Record<string, unknown> = { ...known };
  if (layers !== undefined) json.num_hidden_layers = layers;
  if (f32) json.torch_dtype = 'float32';
  const config = parseModelConfig(json, shape);
  const random = new Random(seed);
  const pool = Float32Array.from({ length: POOL + STRETCH }, () => random.normal());
  const residual = 0.02 / Math.sqrt(2 * config.layers.length);
  const pools = new Map([0.02, residual].map((std) => [std, elements(pool, std, f32)]));
  const ones = elements(new Float32Array(POOL).fill(1), 1, f32);
  const width = f32 ? 4 : 2;

  const sources = decoderTensors(config).map(({ name, shape: dims }): TensorSource => {
    const norm = name.includes('norm');
    const output = /(o_proj|down_proj)\.weight$/.test(name);
    const bytes = norm ? ones : pools.get(output ? residual : 0.02)!;
    const count = dims.reduce((a, b) => a * b, 1);
    const origin = random.uint32();
    return {
      name,
      dtype: f32 ? 'F32' : 'BF16',
      shape: dims,
      async *chunks() {
        const stretches = new Random(origin);
        for (let done = 0; done < count; done += STRETCH) {
          const start = stretches.integer(norm ? 1 : POOL);
          const size = Math.min(STRETCH, count - done);
          yield bytes.subarray(start * width, (start + size) * width);
        }
      },
    };
  });

  const bytes = sources.reduce((sum, s) => sum + width * s.shape.reduce((a, b) => a * b, 1), 0);
  await mkdir(directory, { recursive: true });
  const { bavail, bsize } = await statfs(directory);
  const needed = Math.ceil((2 * bytes + 1e9) / 1e9);
  if (bavail * bsize < needed * 1e9) {
    const free = Math.floor((bavail * bsize) / 1e9);
    throw new Error(`${shape} and its pruned copy need ${needed} GB of disk, ${free} GB are free`);
  }
  await writeFile(join(directory, 'config.json'), JSON.stringify(json, null, 2));
  const model = join(demoDirectory(), 'model');
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    await copyFile(join(model, file), join(directory, file));
  }
  await writeWeights(directory, sources);
  return bytes;
}

/** The demo's model and texts, which are always there. */
export function demoDirectory(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', 'demo');
}

function elements(values: Float32Array, scale: number, f32: boolean): Uint8Array {
  const scaled = values.map((value) => value * scale);
  if (f32) return new Uint8Array(scaled.buffer);
  const bits = new Uint32Array(scaled.buffer);
  return new Uint8Array(
    Uint16Array.from(bits, (b) => (b + 0x7fff + ((b >>> 16) & 1)) >>> 16).buffer,
  );
}
