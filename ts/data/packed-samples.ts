import { EspalierError } from '../common/errors.js';
import { IGNORED, type Sample, type SampleSource } from './sample.js';
import type { TokenStore } from './token-store.js';

/**
 * Windows of one length over a long row of tokens, in which an id stands as it is where it is learnt
 * and as ~id where it is not. What is left over at the end is dropped, unless it is all there is.
 * Windows run over the borders of texts; the first token of a text is not learnt, since nothing in
 * front of it could tell it.
 * @param store is disposed with the source
 * @throws EspalierError `CONFIG` for a window under 2 tokens or fewer than 2 tokens in all.
 */
export function packedSamples(
  store: TokenStore,
  window: number,
  skippedRows: number,
): SampleSource {
  if (!Number.isInteger(window) || window < 2) {
    throw new EspalierError('CONFIG', `maxLength must be a whole number from 2, got ${window}`);
  }
  if (store.length < 2) throw new EspalierError('CONFIG', 'the data has no text to learn from');
  const length = Math.min(window, store.length);
  return {
    count: Math.floor(store.length / length),
    skippedRows,
    async read(numbers) {
      const samples: Sample[] = [];
      for (const number of numbers)
        samples.push(signedSample(await store.read(number * length, length)));
      return samples;
    },
    dispose: () => store.dispose(),
  };
}

/** The sample of ids that stand as ~id where they are not learnt. */
export function signedSample(signed: Int32Array): Sample {
  return {
    inputIds: signed.map((id) => (id < 0 ? ~id : id)),
    labels: signed.map((id) => (id < 0 ? IGNORED : id)),
  };
}
