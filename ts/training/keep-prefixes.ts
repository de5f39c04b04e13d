import { EspalierError } from '../common/errors.js';
import { Classifier } from '../models/classifier.js';
import type { Decoder } from '../models/decoder.js';
import { Encoder } from '../models/encoder.js';
import { PrefixCache } from '../models/prefix-cache.js';

/**
 * Lets a model keep what the layers below the lowest trained one give for each sample.
 * @param bytes memory for it
 * @returns the cache, which the caller frees
 * @throws EspalierError `CONFIG` for an encoder whose frozen layers drop out: what they give differs
 * from step to step
 */
export function keepPrefixes(model: Decoder | Classifier, bytes: number): PrefixCache {
  const trunk = model instanceof Classifier ? model.trunk : model;
  if (trunk instanceof Encoder && trunk.config.hiddenDropout > 0) {
    throw new EspalierError(
      'CONFIG',
      `prefixCache: the model drops ${trunk.config.hiddenDropout} of its hidden states out, anew in ` +
        'every step, so what its frozen layers give cannot be kept',
      {
        op: 'finetune',
        remedy: 'turn that off with --hidden-dropout 0, or leave the cache out',
        details: { option: 'prefixCache' },
      },
    );
  }
  const cache = new PrefixCache(bytes);
  trunk.prefixCache = cache;
  return cache;
}
