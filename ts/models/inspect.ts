import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { throwIfAborted } from '../common/abort.js';
import type { LayerShape, ModelFamily } from '../formats/model-config.js';
import { describeTokenizer, type TokenizerDescription } from '../formats/tokenizer-file.js';
import { Checkpoint } from './checkpoint.js';
import { pruneMemoryBytes } from './memory-estimate.js';
import { type LayerParameters, parameterCounts } from './parameter-counts.js';

/** Options of {@link inspect}. */
export interface InspectOptions {
  /** List every tensor of the checkpoint. Default false. */
  tensors?: boolean;
  signal?: AbortSignal;
}

/** What {@link inspect} finds. */
export interface Inspection {
  model: string;
  family: ModelFamily;
  hiddenSize: number;
  headDim: number;
  vocabSize: number;
  maxPositionEmbeddings: number;
  tieWordEmbeddings: boolean;
  parameters: { total: number; embedding: number; head: number; finalNorm: number };
  layers: (LayerShape & { parameters: LayerParameters })[];
  /** Parameters by stored dtype. */
  dtypes: Record<string, number>;
  memory: {
    /** Bytes of the weights as stored: mapped, so read as they are used. */
    load: number;
    /** Bytes of the weights in f32. */
    loadF32: number;
    /** Estimated peak of a prune with 128 samples of 128 tokens. */
    prune: number;
  };
  /** Undefined when the directory has no tokenizer.json. */
  tokenizer?: TokenizerDescription;
  files: { name: string; bytes: number }[];
  tensors?: {
    name: string;
    dtype: string;
    shape: readonly number[];
    bytes: number;
    file: string;
  }[];
}

/**
 * Describes a model directory without reading its weights.
 * @throws EspalierError `FORMAT`, `UNSUPPORTED` or `CONFIG` as `Checkpoint.open`, `ABORTED`.
 */
export async function inspect(
  directory: string,
  { tensors = false, signal }: InspectOptions = {},
): Promise<Inspection> {
  throwIfAborted(signal, 'inspect');
  const { config, index } = await Checkpoint.open(directory);
  const { layers, ...parameters } = parameterCounts(config);
  const entries = [...index.entries.values()];
  const dtypes: Record<string, number> = {};
  for (const { dtype, shape } of entries) {
    dtypes[dtype] = (dtypes[dtype] ?? 0) + shape.reduce((x, y) => x * y, 1);
  }
  const files = index.files.map(async (path) => ({
    name: basename(path),
    bytes: (await stat(path)).size,
  }));
  const tokenizer = await describeTokenizer(directory);
  return {
    model: directory,
    family: config.family,
    hiddenSize: config.hiddenSize,
    headDim: config.headDim,
    vocabSize: config.vocabSize,
    maxPositionEmbeddings: config.maxPositionEmbeddings,
    tieWordEmbeddings: config.tieWordEmbeddings,
    parameters,
    layers: config.layers.map((shape, i) => ({
      ...shape,
      parameters: layers[i] as LayerParameters,
    })),
    dtypes,
    memory: {
      load: entries.reduce((sum, entry) => sum + entry.bytes, 0),
      loadF32: 4 * parameters.total,
      prune: pruneMemoryBytes(config),
    },
    ...(tokenizer === undefined ? {} : { tokenizer }),
    files: await Promise.all(files),
    ...(tensors
      ? { tensors: entries.map((entry) => ({ ...pick(entry), file: basename(entry.file) })) }
      : {}),
  };
}

function pick<T extends { name: string; dtype: string; shape: readonly number[]; bytes: number }>({
  name,
  dtype,
  shape,
  bytes,
}: T) {
  return { name, dtype: dtype as string, shape, bytes };
}
