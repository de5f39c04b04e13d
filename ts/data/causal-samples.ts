import { extname } from 'node:path';
import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import { emptyData } from './empty-data.js';
import { type InstructRow, parseInstructRow } from './instruct-row.js';
import { packedSamples, signedSample } from './packed-samples.js';
import { recordError } from './record-scanner.js';
import { RowFile } from './row-file.js';
import { concatSources, type Sample, type SampleSource } from './sample.js';
import type { EncodedSequences } from './sequence-encoder.js';
import { appendTextFile } from './text-tokens.js';
import { TokenStore } from './token-store.js';
import type { Tokenizer } from './tokenizer.js';

/** Options of {@link openCausalSamples}. */
export interface CausalSamplesOptions extends LongOperationOptions {
  /** Tokens of a sample at most; longer rows are cut at the end. */
  maxLength: number;
  /** Put the rows of JSON lines one after the other into windows of `maxLength`. Default false. */
  packing?: boolean;
  /** Leave rows out that can't be used, and count them, instead of failing. Default false. */
  skipBadRows?: boolean;
}

/** Rows that are tokenized at once. */
const ROWS = 64;

/**
 * Opens data for a language model: `.txt`, in windows of `maxLength` over the whole text, and
 * `.jsonl` with `{text}`, `{prompt, completion}` or `{messages}`, a sample a row. Files are read as
 * their samples are asked for; only tokens of packed ones are held, beyond 64 MB in a temporary file.
 * @throws EspalierError `FORMAT` naming file and line of a row that can't be used, `CONFIG` for files of
 * another kind, none, none that can be read, or without a sample, `UNSUPPORTED` for conversations without a chat template,
 * `ABORTED`.
 */
export async function openCausalSamples(
  files: readonly string[],
  tokenizer: Tokenizer,
  options: CausalSamplesOptions,
): Promise<SampleSource> {
  const { maxLength, packing = false } = options;
  if (!Number.isInteger(maxLength) || maxLength < 2) {
    throw new EspalierError('CONFIG', `maxLength must be a whole number from 2, got ${maxLength}`);
  }
  if (files.length === 0) throw new EspalierError('CONFIG', 'no data files were given');
  const texts = files.filter((file) => kindOf(file) === 'text');
  const rows = files.filter((file) => kindOf(file) === 'rows');
  const sources: SampleSource[] = [];
  try {
    for (const file of rows) sources.push(await openRows(file, tokenizer, options));
    if (texts.length === 0 && !packing) return filled(concatSources(sources), files);
    const store = new TokenStore();
    try {
      for (const file of texts) await appendTextFile(store, file, tokenizer, options);
      const skipped = sources.reduce((sum, source) => sum + source.skippedRows, 0);
      if (!packing) {
        if (store.length < 2) throw emptyData(texts);
        return concatSources([...sources, packedSamples(store, maxLength, 0)]);
      }
      for (const source of sources) await appendRows(store, source, options);
      if (store.length < 2) throw emptyData(files, skipped);
      const packed = packedSamples(store, maxLength, skipped);
      await concatSources(sources).dispose();
      return packed;
    } catch (error) {
      await store.dispose();
      throw error;
    }
  } catch (error) {
    await concatSources(sources).dispose();
    throw error;
  }
}

function filled(source: SampleSource, files: readonly string[]): SampleSource {
  if (source.count === 0) throw emptyData(files, source.skippedRows);
  return source;
}

function kindOf(file: string): 'text' | 'rows' {
  const extension = extname(file).toLowerCase();
  if (extension === '.txt') return 'text';
  if (extension === '.jsonl' || extension === '.ndjson') return 'rows';
  throw new EspalierError('CONFIG', `${file} is neither .txt nor .jsonl`, {
    remedy: 'name the file after what is in it',
    details: { path: file },
  });
}

/** The rows of a file, uncut when they are to be packed. */
async function openRows(
  path: string,
  tokenizer: Tokenizer,
  options: CausalSamplesOptions,
): Promise<SampleSource> {
  const { maxLength, packing = false, skipBadRows = false, signal, onProgress } = options;
  const file = await RowFile.open<NumberedRow>(path, {
    kind: 'lines',
    parse(text, { line }) {
      const row = parseInstructRow(text);
      return row === undefined || 'why' in row ? row : { row, line };
    },
    skipBadRows,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return {
    count: file.count,
    skippedRows: file.skipped,
    async read(numbers, stop) {
      const samples: Sample[] = [];
      for (let i = 0; i < numbers.length; i += ROWS) {
        const rows = await file.read(numbers.slice(i, i + ROWS), stop);
        for (const signed of split(await encodeRows(path, rows, tokenizer, stop))) {
          samples.push(signedSample(packing ? signed : signed.slice(0, maxLength)));
        }
      }
      return samples;
    },
    dispose: () => file.close(),
  };
}

/** A row and the line on which it begins. */
interface NumberedRow {
  row: InstructRow;
  line: number;
}

/** Tokenizes rows; what the chat template refuses is looked up, so that its line can be named. */
async function encodeRows(
  path: string,
  rows: readonly NumberedRow[],
  tokenizer: Tokenizer,
  signal: AbortSignal | undefined,
): Promise<EncodedSequences> {
  try {
    return await tokenizer.encodeLearnt(
      rows.map(({ row }) => row),
      signal,
    );
  } catch (error) {
    if (!(error instanceof EspalierError) || error.code !== 'FORMAT') throw error;
    const [only] = rows;
    if (rows.length === 1 && only !== undefined) throw recordError(path, only.line, error.message);
    for (const row of rows) await encodeRows(path, [row], tokenizer, signal);
    throw error;
  }
}

function* split({ ids, lengths }: EncodedSequences): Generator<Int32Array> {
  let at = 0;
  for (const length of lengths) {
    at += length;
    yield ids.subarray(at - length, at);
  }
}

async function appendRows(
  store: TokenStore,
  source: SampleSource,
  { signal, onProgress }: CausalSamplesOptions,
): Promise<void> {
  for (let i = 0; i < source.count; i += ROWS) {
    const last = Math.min(source.count, i + ROWS);
    const numbers = Array.from({ length: last - i }, (_, j) => i + j);
    for (const { inputIds, labels } of await source.read(numbers, signal)) {
      // Nothing in front of a text could tell its first token.
      const learnt = labels as Int32Array;
      await store.append(
        inputIds.map((id, j) => (j === 0 || (learnt[j] as number) < 0 ? ~id : id)),
      );
    }
    onProgress?.({ phase: 'tokenize', completed: last, total: source.count, unit: 'rows' });
  }
}
