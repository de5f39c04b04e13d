import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import { emptyData } from './empty-data.js';
import { labelNumber, orderLabels } from './label-map.js';
import { type ColumnChoice, type LabelledRow, labelledRowParser } from './labelled-rows.js';
import { RowFile } from './row-file.js';
import { concatSources, type Sample, type SampleSource } from './sample.js';
import type { Tokenizer } from './tokenizer.js';

/** Options of {@link openLabelledSamples}. */
export interface LabelledSamplesOptions extends LongOperationOptions, ColumnChoice {
  /** Tokens of a sample at most, special ones included; longer texts are cut. */
  maxLength: number;
  /** Names of the classes by number; default: found in the data. */
  labels?: readonly string[];
  /** Classes that the model has already: kept, in their order, when the data names no other. */
  known?: readonly string[];
  /** Leave rows out that can't be used, and count them, instead of failing. Default false. */
  skipBadRows?: boolean;
}

/** A data set for a classifier. */
export interface LabelledSource extends SampleSource {
  /** Names of the classes by number, for `id2label`. */
  readonly labels: readonly string[];
}

/** Rows that are tokenized at once. */
const ROWS = 64;

/**
 * Opens labelled texts or pairs of texts for a classifier: `.csv`, `.tsv` or `.jsonl`, in any mixture.
 * Files are read as their samples are asked for.
 * @throws EspalierError `FORMAT` naming file and line of a row that can't be used, a class that is none
 * of `labels` among them; `CONFIG` for files of another kind, none, columns that can't be told, no rows, or
 * fewer than two classes; `ABORTED`.
 */
export async function openLabelledSamples(
  files: readonly string[],
  tokenizer: Tokenizer,
  options: LabelledSamplesOptions,
): Promise<LabelledSource> {
  if (files.length === 0) throw new EspalierError('CONFIG', 'no data files were given');
  const { labels: given, known = [], maxLength } = options;
  const found = new Set<string>();
  const opened: RowFile<LabelledRow>[] = [];
  try {
    for (const path of files) opened.push(await openRows(path, options, found));
    if (opened.every(({ count }) => count === 0)) {
      throw emptyData(
        files,
        opened.reduce((sum, { skipped }) => sum + skipped, 0),
      );
    }
    const labels = given ?? (covers(known, found) ? known : orderLabels(found));
    const whole = concatSources(opened.map((file) => source(file, tokenizer, labels, maxLength)));
    return { ...whole, labels };
  } catch (error) {
    for (const file of opened) await file.close();
    throw error;
  }
}

function covers(known: readonly string[], found: ReadonlySet<string>): boolean {
  const names = new Set(known);
  return known.length >= 2 && [...found].every((name) => names.has(name));
}

function openRows(
  path: string,
  options: LabelledSamplesOptions,
  found: Set<string>,
): Promise<RowFile<LabelledRow>> {
  const { labels, skipBadRows = false, signal, onProgress } = options;
  const { kind, parse } = labelledRowParser(path, options);
  return RowFile.open<LabelledRow>(path, {
    kind,
    skipBadRows,
    parse(text, record) {
      const row = parse(text, record);
      if (row === undefined || 'why' in row) return row;
      if (labels === undefined) found.add(row.label);
      else if (labelNumber(row.label, labels) === undefined) {
        const classes = labels.slice(0, 8).join(', ');
        return {
          why: `${JSON.stringify(row.label.slice(0, 60))} is none of the classes ${classes}`,
        };
      }
      return row;
    },
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

function source(
  file: RowFile<LabelledRow>,
  tokenizer: Tokenizer,
  labels: readonly string[],
  maxLength: number,
): SampleSource {
  return {
    count: file.count,
    skippedRows: file.skipped,
    async read(numbers, signal) {
      const samples: Sample[] = [];
      for (let i = 0; i < numbers.length; i += ROWS) {
        const rows = await file.read(numbers.slice(i, i + ROWS), signal);
        samples.push(...(await encode(rows, tokenizer, labels, maxLength, signal)));
      }
      return samples;
    },
    dispose: () => file.close(),
  };
}

async function encode(
  rows: readonly LabelledRow[],
  tokenizer: Tokenizer,
  labels: readonly string[],
  maxLength: number,
  signal: AbortSignal | undefined,
): Promise<Sample[]> {
  const paired = rows.some(({ texts }) => texts.length === 2);
  const { ids, lengths, typeIds } = await tokenizer.encodePairs(
    rows.map(({ texts }) => texts[0]),
    paired ? rows.map(({ texts }) => texts[1] ?? '') : undefined,
    { maxLength, ...(signal === undefined ? {} : { signal }) },
  );
  let at = 0;
  return rows.map(({ label }, i) => {
    const start = at;
    at += lengths[i] as number;
    return {
      inputIds: ids.slice(start, at),
      labels: labelNumber(label, labels) as number,
      ...(typeIds === undefined ? {} : { typeIds: typeIds.slice(start, at) }),
    };
  });
}
