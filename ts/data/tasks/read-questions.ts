import { existsSync } from 'node:fs';
import { parseStrictJson } from '../../formats/strict-json.js';
import { openToScan, type RawRecord, recordError, scanRecords } from '../record-scanner.js';
import type { Question, Task } from './task.js';

/** A question and where it stands. */
export interface LocatedQuestion extends Question {
  /** Line of the file, from 1. */
  line: number;
}

const decoder = new TextDecoder();

/** Options of {@link readQuestions}. */
export interface ReadQuestionsOptions {
  /** The file of labels, for a task whose rows hold none; default `NAME-labels.lst` beside it. */
  labels?: string | undefined;
  /** Read only the first questions. */
  limit?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The questions of a file of JSON lines, one at a time; blank lines are passed over.
 * @throws EspalierError `FORMAT` naming file and line for a row that is not what the task publishes,
 * `CONFIG` when a file can't be read, `ABORTED`.
 */
export async function* readQuestions(
  path: string,
  task: Task,
  { labels: asked, limit = Number.POSITIVE_INFINITY, signal }: ReadQuestionsOptions = {},
): AsyncGenerator<LocatedQuestion> {
  const beside = path.replace(/(\.jsonl?)?$/, '-labels.lst');
  const labelFile = asked ?? (task.separateLabels && existsSync(beside) ? beside : undefined);
  const labels = labelFile === undefined ? undefined : rows(labelFile, signal);
  let count = 0;
  try {
    for await (const { line, bytes } of rows(path, signal)) {
      if (count === limit) return;
      const label = (await labels?.next())?.value?.bytes;
      if (labels !== undefined && label === undefined) {
        throw recordError(path, line, `${labelFile} has only ${count} labels`);
      }
      const row = parseStrictJson(bytes, `${path}, line ${line}`);
      const question = task.question(
        row,
        label === undefined ? undefined : decoder.decode(label).trim(),
      );
      if (typeof question === 'string') throw recordError(path, line, question);
      yield { line, ...question };
      count++;
    }
    const rest = (await labels?.next())?.value;
    if (rest !== undefined) {
      throw recordError(labelFile as string, rest.line, `${path} has only ${count} questions`);
    }
  } finally {
    await labels?.return(undefined);
  }
}

/** How many questions {@link readQuestions} will find, if all are well formed. */
export async function countQuestions(
  path: string,
  { limit = Number.POSITIVE_INFINITY, signal }: ReadQuestionsOptions = {},
): Promise<number> {
  let count = 0;
  for await (const _ of rows(path, signal)) if (++count === limit) break;
  return count;
}

/** The rows of a file that hold more than white space. */
async function* rows(
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<RawRecord, undefined> {
  const handle = await openToScan(path);
  try {
    const options = signal === undefined ? {} : { signal };
    for await (const records of scanRecords(handle, path, 'lines', options)) {
      for (const record of records) if (record.bytes.some((byte) => byte > 32)) yield record;
    }
  } finally {
    await handle.close();
  }
}
