/** The label of a token that does not count in the loss. */
export const IGNORED = -100;

/** One sample as the model reads it. */
export interface Sample {
  inputIds: Int32Array;
  /**
   * What is to be learnt: for a language model an id per token, {@link IGNORED} where it does not
   * count (the model shifts them); for a classifier the class.
   */
  labels: Int32Array | number;
  /** Which part of a pair each token belongs to, where the tokenizer says so. */
  typeIds?: Uint8Array;
}

/** A data set that is read in any order. */
export interface SampleSource {
  /** How many samples there are. */
  readonly count: number;
  /** Rows that were left out because they can't be used. */
  readonly skippedRows: number;
  /** Reads samples by number, in the order asked for. */
  read(numbers: readonly number[], signal?: AbortSignal): Promise<Sample[]>;
  /** Lets go of files and threads that it opened. */
  dispose(): Promise<void>;
}

/** Several sources as one, in order. */
export function concatSources(sources: readonly SampleSource[]): SampleSource {
  const starts = [0];
  for (const { count } of sources) starts.push((starts.at(-1) as number) + count);
  return {
    count: starts.at(-1) as number,
    skippedRows: sources.reduce((sum, source) => sum + source.skippedRows, 0),
    async read(numbers, signal) {
      const samples: Sample[] = new Array(numbers.length);
      for (const [i, source] of sources.entries()) {
        const low = starts[i] as number;
        const places = numbers.flatMap((number, place) =>
          number >= low && number < low + source.count ? [place] : [],
        );
        if (places.length === 0) continue;
        const own = places.map((place) => (numbers[place] as number) - low);
        for (const [j, sample] of (await source.read(own, signal)).entries()) {
          samples[places[j] as number] = sample;
        }
      }
      return samples;
    },
    async dispose() {
      for (const source of sources) await source.dispose();
    },
  };
}
