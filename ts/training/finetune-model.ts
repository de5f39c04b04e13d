import { EspalierError } from '../common/errors.js';
import { inTurns } from '../common/pieces.js';
import { type AdapterConfig, makeAdapterConfig } from '../formats/adapter-config.js';
import { Classifier } from '../models/classifier.js';
import { classifierHead, isEncoder } from '../models/classifier-head.js';
import { adapterSetInPieces } from '../models/create-adapter-set.js';
import type { Decoder } from '../models/decoder.js';
import { loadClassifier } from '../models/load-classifier.js';
import { loadModel } from '../models/load-model.js';
import type { ResolvedFinetune } from './finetune-options.js';

/** A model with what is trained in it. */
export interface FinetuneModel {
  model: Decoder | Classifier;
  /** The configuration of its adapters; undefined when every weight is trained. */
  config: AdapterConfig | undefined;
  /** Frees model and adapters. */
  dispose(): void;
}

/**
 * Loads the model of a training and puts what is trained in place.
 * @param labels names of the classes, for `classify`
 * @throws EspalierError as `loadModel`, `loadClassifier` and `createAdapterSet`
 */
export async function openFinetuneModel(
  directory: string,
  options: ResolvedFinetune,
  labels: readonly string[] | undefined,
  device: string,
): Promise<FinetuneModel> {
  const { full: trainable, dtype, seed, hiddenDropout } = options;
  const load = { device, dtype, trainable };
  const model =
    labels === undefined
      ? await loadModel(directory, load)
      : await loadClassifier(directory, {
          ...load,
          labels,
          numLabels: labels.length,
          seed,
          ...(hiddenDropout !== undefined && { hiddenDropout }),
        });
  try {
    if (hiddenDropout !== undefined && !isEncoder(model.config)) {
      throw new EspalierError(
        'CONFIG',
        'hiddenDropout: only encoders have dropout in their layers',
        {
          op: 'finetune',
          details: { option: 'hiddenDropout' },
        },
      );
    }
    if (trainable) {
      model.trainAll();
      return { model, config: undefined, dispose: () => model.dispose() };
    }
    const config = adapterConfig(model, options, directory);
    const set = await inTurns(adapterSetInPieces(model, config, seed));
    model.adapter = set;
    const dispose = () => {
      set.dispose();
      model.dispose();
    };
    return { model, config, dispose };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function adapterConfig(
  model: Decoder | Classifier,
  options: ResolvedFinetune,
  directory: string,
): AdapterConfig {
  const { targetModules, loraLayers } = options;
  const paths = [...model.linears.keys()];
  const everything = targetModules === 'all-linear';
  const limited = loraLayers !== 'all';
  // PEFT reads the layers of an adapter only beside a list of modules.
  const ends = [...new Set(paths.map((path) => path.replace(/^.*?\.\d+\./, '')))];
  return makeAdapterConfig({
    r: options.loraR,
    loraAlpha: options.loraAlpha,
    loraDropout: options.loraDropout,
    useRslora: options.useRslora,
    targetModules: everything ? ends : targetModules,
    layersToTransform: limited ? layerNumbers(paths, loraLayers) : null,
    rankPattern: options.rankPattern,
    taskType: model instanceof Classifier ? 'SEQ_CLS' : 'CAUSAL_LM',
    modulesToSave: model instanceof Classifier ? [...classifierHead(model.config).modules] : null,
    baseModelNameOrPath: directory,
  });
}

function layerNumbers(
  paths: readonly string[],
  layers: { last: number } | readonly number[],
): readonly number[] {
  if (!('last' in layers)) return layers;
  const numbers = paths.map((path) => Number(/\.(\d+)\./.exec(path)?.[1] ?? 0));
  const count = Math.max(...numbers) + 1;
  return Array.from({ length: count }, (_, i) => i).slice(-layers.last);
}
