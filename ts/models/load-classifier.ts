import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EspalierError } from '../common/errors.js';
import { deriveSeed, Random } from '../common/random.js';
import { readLabelNames } from '../formats/classifier-config.js';
import {
  type EncoderConfig,
  isEncoderConfig,
  parseEncoderConfig,
} from '../formats/encoder-config.js';
import type { ModelConfig } from '../formats/model-config.js';
import { readJsonFile } from '../formats/read-json-file.js';
import { MODEL_CONFIG_FILE } from '../formats/read-model-config.js';
import { readWeightsIndex } from '../formats/weights-index.js';
import { resolveDevice } from '../native/resolve-device.js';
import { Tensor } from '../tensor/tensor.js';
import { Checkpoint } from './checkpoint.js';
import { Classifier } from './classifier.js';
import { classifierHead } from './classifier-head.js';
import { Decoder } from './decoder.js';
import { Encoder } from './encoder.js';
import { encoderPrefix, encoderTensors } from './encoder-names.js';
import { loadLayer, loadWeight, productsOf, type WeightDType } from './layer-weights.js';
import { loadOuter } from './outer-weights.js';
import { StoredWeights } from './stored-weights.js';
import { withAdapter } from './with-adapter.js';

/** Options of {@link loadClassifier}. */
export interface LoadClassifierOptions {
  /** Where it computes; `auto`, the default, is the GPU where one can be used. */
  device?: string;
  /** As `loadModel`: `auto`, the default, keeps weights as stored; `bf16` also multiplies in bf16. */
  dtype?: WeightDType;
  /** Number of classes; default as config.json names them. A head of another size starts anew. */
  numLabels?: number;
  /** Names of the classes; default those of config.json, or `LABEL_0` … */
  labels?: readonly string[];
  /** Hold every weight as an f32 copy that can be trained; default false. */
  trainable?: boolean;
  /** A PEFT directory whose adapter is put in force; the config.json in it names the classes. */
  adapter?: string;
  /** Probability of the dropout inside an encoder's layers, in training; default config.json's. */
  hiddenDropout?: number;
  /** Seed of a head that the checkpoint does not have; default 0. */
  seed?: number;
}

/**
 * Loads an encoder or decoder with a head that scores classes of whole sequences. The trunk may come
 * from a checkpoint of any head; a head that is not there, or has another number of classes, starts
 * with random weights.
 * @throws EspalierError `FORMAT`, `UNSUPPORTED` or `CONFIG` as `Checkpoint.open`, `CONFIG` when the
 * number of classes is not known or under 2
 */
export async function loadClassifier(
  directory: string,
  options: LoadClassifierOptions = {},
): Promise<Classifier> {
  const { adapter } = options;
  const known = adapter === undefined ? undefined : await adapterLabels(adapter);
  const model = await loadBase(directory, {
    ...options,
    ...(known !== undefined && options.labels === undefined && { labels: known }),
  });
  return withAdapter(model, adapter);
}

/** The classes that the config.json beside an adapter names. */
async function adapterLabels(adapter: string): Promise<readonly string[] | undefined> {
  const path = join(adapter, MODEL_CONFIG_FILE);
  return existsSync(path) ? readLabelNames(await readJsonFile(path)) : undefined;
}

async function loadBase(directory: string, options: LoadClassifierOptions): Promise<Classifier> {
  const { dtype = 'auto', trainable = false, seed = 0 } = options;
  const { device } = resolveDevice(options.device);
  const held = trainable ? 'parameter' : dtype;
  const path = join(directory, MODEL_CONFIG_FILE);
  const json = await readJsonFile(path);
  const labels = labelNames(json, options, path);
  if (!isEncoderConfig(json)) {
    const checkpoint = await Checkpoint.open(directory, { head: false, device });
    try {
      const { config } = checkpoint;
      const outer = loadOuter(checkpoint, held, { head: false });
      const layers = config.layers.map((_, i) => loadLayer(checkpoint, i, held));
      const head = headTensors(checkpoint, config, labels.length, seed);
      return new Classifier(new Decoder(config, outer, layers), head, labels);
    } finally {
      checkpoint.close();
    }
  }
  const config = { ...parseEncoderConfig(json, path), ...dropoutOf(options) };
  const stored = new StoredWeights(directory, await readWeightsIndex(directory), device);
  try {
    const family = encoderPrefix(config.family);
    // A checkpoint of the bare trunk names its tensors without the family.
    const prefix = stored.index.entries.has(`${family}embeddings.word_embeddings.weight`)
      ? family
      : '';
    const tensors = new Map<string, Tensor>();
    for (const { name, shape } of encoderTensors(config)) stored.check(`${prefix}${name}`, shape);
    for (const { name } of encoderTensors(config)) {
      tensors.set(`${family}${name}`, loadWeight(stored, `${prefix}${name}`, held));
    }
    const head = headTensors(stored, config, labels.length, seed);
    return new Classifier(new Encoder(config, tensors, productsOf(held)), head, labels);
  } finally {
    stored.close();
  }
}

function dropoutOf({
  hiddenDropout,
}: LoadClassifierOptions): Pick<EncoderConfig, 'hiddenDropout'> | undefined {
  if (hiddenDropout === undefined) return undefined;
  if (hiddenDropout >= 0 && hiddenDropout < 1) return { hiddenDropout };
  throw new EspalierError('CONFIG', `hiddenDropout must be in [0, 1), got ${hiddenDropout}`);
}

function labelNames(
  json: Record<string, unknown>,
  { numLabels, labels }: LoadClassifierOptions,
  path: string,
): readonly string[] {
  const named = labels ?? readLabelNames(json);
  const count = numLabels ?? named?.length;
  if (count === undefined) {
    throw new EspalierError('CONFIG', `${path} names no classes`, {
      remedy: 'say how many there are with numLabels',
    });
  }
  if (!Number.isInteger(count) || count < 2) {
    throw new EspalierError(
      'CONFIG',
      `numLabels must be a whole number of at least 2, got ${count}`,
    );
  }
  if (named?.length === count) return named;
  if (labels !== undefined) {
    throw new EspalierError('CONFIG', `labels has ${labels.length} names for ${count} classes`);
  }
  return Array.from({ length: count }, (_, i) => `LABEL_${i}`);
}

/** The head's weights as f32 copies: stored ones where they fit, new ones otherwise. */
function headTensors(
  stored: StoredWeights,
  config: EncoderConfig | ModelConfig,
  classes: number,
  seed: number,
): Map<string, Tensor> {
  const head = classifierHead(config);
  const tensors = new Map<string, Tensor>();
  for (const [i, path] of head.layers.entries()) {
    const rows = i === head.layers.length - 1 ? classes : config.hiddenSize;
    const shapes = new Map([[`${path}.weight`, [rows, config.hiddenSize]]]);
    if (head.bias) shapes.set(`${path}.bias`, [rows]);
    const complete = [...shapes].every(
      ([name, shape]) => storedName(stored, name)?.shape.join() === shape.join(),
    );
    for (const [name, shape] of shapes) {
      const entry = storedName(stored, name);
      if (complete && entry !== undefined) {
        stored.check(entry.name, shape);
        tensors.set(name, loadWeight(stored, entry.name, 'parameter'));
      } else if (name.endsWith('.bias')) {
        tensors.set(name, Tensor.zeros(shape, 'f32', stored.device));
      } else {
        const random = new Random(deriveSeed(seed, i));
        const size = rows * config.hiddenSize;
        const range = head.initializerRange;
        tensors.set(
          name,
          Tensor.from(
            Float32Array.from({ length: size }, () => range * random.normal()),
            shape,
            { device: stored.device },
          ),
        );
      }
    }
  }
  return tensors;
}

/** Where a head's weight lies; the trunk's checkpoint names its pooler without the family. */
function storedName(stored: StoredWeights, name: string) {
  const { entries } = stored.index;
  return entries.get(name) ?? entries.get(name.replace(/^bert\./, ''));
}
