import { throwIfAborted } from '../common/abort.js';
import { packageVersion } from '../common/environment.js';
import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import { parseBytes } from '../common/parse-bytes.js';
import {
  countQuestions,
  type LocatedQuestion,
  readQuestions,
} from '../data/tasks/read-questions.js';
import { TASK_NAMES, TASKS, type TaskName } from '../data/tasks/tasks.js';
import { Tokenizer } from '../data/tokenizer.js';
import { Checkpoint } from '../models/checkpoint.js';
import type { AdapterSet } from '../nn/adapter-set.js';
import { resolveDevice } from '../native/resolve-device.js';
import { checkTokenIds } from './check-token-ids.js';
import { accuracy, judge } from './choice-metrics.js';
import { ChoiceScorer } from './choice-scorer.js';
import { type EncodedQuestion, encodeQuestions } from './encode-question.js';
import { checkPlanOptions, planEvaluation } from './evaluation-plan.js';
import { openAdapter } from './open-adapter.js';

/** Options of {@link evaluateTask}. */
export interface EvaluateTaskOptions extends LongOperationOptions {
  /** Which benchmark. */
  task: TaskName;
  /** Its questions, in the file that is published. */
  data: string;
  /** For piqa: the file of labels; default `NAME-labels.lst` beside the data. */
  labels?: string;
  /** Ask only the first questions. */
  limit?: number;
  /**
   * Memory to stay under, in bytes or as `2GB`; default: 80 % of what is free. A model that does not
   * fit is evaluated layer by layer.
   */
  maxMemory?: number | string;
  /** Default `auto`: the CPU. */
  device?: string;
  /** How weights are held, as for `evaluate`; default `auto`, as stored. */
  dtype?: 'auto' | 'f32' | 'bf16' | 'stored';
  /** A PEFT directory whose adapter is put in force; default none. */
  adapter?: string;
  /** Called with the scores of every question, in the order of the file. */
  onQuestion?: (question: ScoredQuestion) => void;
}

/** What a model thinks of the choices of one question. */
export interface ScoredQuestion {
  /** Line of the file, from 1. */
  line: number;
  /** Of each choice, in nats. */
  logLikelihoods: number[];
  /** Index of the right choice. */
  gold: number;
  /** Index of the most likely choice. */
  best: number;
}

/** What {@link evaluateTask} measures. */
export interface TaskEvaluation {
  task: TaskName;
  /** Share of questions whose most likely choice is the right one. */
  acc: number;
  /** Standard error of `acc`; NaN for a single question. */
  accStderr: number;
  /** As `acc`, by log-likelihood per character; for the tasks for which the harness reports it. */
  accNorm?: number;
  /** Standard error of `accNorm`. */
  accNormStderr?: number;
  /** As `acc`, by log-likelihood per byte; for the same tasks. */
  accBytes?: number;
  /** Standard error of `accBytes`. */
  accBytesStderr?: number;
  questions: number;
  /** Choices of all questions. */
  choices: number;
  /** Choices whose context was too long for the model and lost its beginning. */
  truncated: number;
  /** Time of reading, tokenizing and computing, without loading. */
  seconds: number;
  /** Tokens that the choices have with their contexts, per second. */
  tokensPerSecond: number;
  /** Largest resident memory of the process so far, mapped weights included. */
  peakMemoryBytes: number;
  model: string;
  data: string;
  device: string;
  /** The dtype in which the weights were held. */
  dtype: string;
  version: string;
}

/** Questions that are sorted by length together. */
const QUESTIONS_AT_ONCE = 512;

/**
 * Measures a model on a multiple-choice benchmark, with the prompts and scores of
 * lm-evaluation-harness (no examples in the prompt): the choice counts as chosen whose continuation
 * the model finds most likely.
 * @throws EspalierError `CONFIG` for options and files, `FORMAT` naming file and line for a row that
 * does not fit the task, `FORMAT` and `UNSUPPORTED` for the model, `OUT_OF_MEMORY`, `ABORTED`.
 */
export async function evaluateTask(
  directory: string,
  options: EvaluateTaskOptions,
): Promise<TaskEvaluation> {
  const { task, data, limit, signal, onProgress, onQuestion } = options;
  const { device } = resolveDevice(options.device);
  checkOptions(options);
  const maxMemory =
    options.maxMemory === undefined ? undefined : parseBytes(options.maxMemory, 'maxMemory');
  const total = await countQuestions(data, { limit, signal });
  if (total === 0) throw new EspalierError('CONFIG', `${data} has no questions`);
  const checkpoint = await Checkpoint.open(directory, { device });
  let adapter: AdapterSet | undefined;
  let tokenizer: Tokenizer | undefined;
  let scorer: ChoiceScorer | undefined;
  try {
    adapter = await openAdapter(checkpoint, options.adapter);
    tokenizer = await Tokenizer.open(directory, signal);
    const plan = planEvaluation(
      checkpoint,
      { window: 1, count: Number.MAX_SAFE_INTEGER },
      { ...options, maxMemory },
    );
    scorer = new ChoiceScorer(checkpoint, plan, { adapter, signal });
    const tally = new Tally();
    const report = (completed: number) =>
      onProgress?.({
        phase: 'evaluate',
        completed,
        total,
        unit: 'questions',
        ...(tally.questions === 0 ? {} : { values: { acc: tally.best / tally.questions } }),
      });
    report(0);
    const start = performance.now();
    const source = encodedParts(checkpoint, tokenizer, options);
    try {
      let next = source.next();
      for (let part = await next; !part.done; part = await next) {
        next = source.next();
        next.catch(() => undefined);
        const questions = part.value;
        const scores = await scorer.score(questions, (count) => report(tally.questions + count));
        for (const [i, encoded] of questions.entries()) {
          const scored = tally.add(encoded, scores[i] as number[]);
          onQuestion?.(scored);
        }
      }
    } finally {
      await source.return(undefined);
    }
    throwIfAborted(signal, 'evaluate');
    const seconds = (performance.now() - start) / 1000;
    return {
      task,
      ...tally.accuracies(TASKS[task].normalized),
      questions: tally.questions,
      choices: tally.choices,
      truncated: tally.truncated,
      seconds,
      tokensPerSecond: tally.tokens / seconds,
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      model: directory,
      data,
      device,
      dtype: plan.dtype,
      version: packageVersion(),
    };
  } finally {
    scorer?.dispose();
    adapter?.dispose();
    await tokenizer?.dispose();
    checkpoint.close();
  }
}

/** Counts what is right. */
class Tally {
  questions = 0;
  choices = 0;
  truncated = 0;
  tokens = 0;
  best = 0;
  perCharacter = 0;
  perByte = 0;

  add({ question, choices, truncated }: EncodedQuestion, logLikelihoods: number[]): ScoredQuestion {
    const { line, gold, answers } = question;
    const verdict = judge(logLikelihoods, answers);
    this.questions++;
    this.choices += choices.length;
    this.truncated += truncated;
    for (const { input } of choices) this.tokens += input.length;
    if (verdict.best === gold) this.best++;
    if (verdict.bestPerCharacter === gold) this.perCharacter++;
    if (verdict.bestPerByte === gold) this.perByte++;
    return { line, logLikelihoods, gold, best: verdict.best };
  }

  accuracies(normalized: boolean) {
    const acc = accuracy(this.best, this.questions);
    const accNorm = accuracy(this.perCharacter, this.questions);
    const accBytes = accuracy(this.perByte, this.questions);
    const plain = { acc: acc.value, accStderr: acc.stderr };
    if (!normalized) return plain;
    return {
      ...plain,
      accNorm: accNorm.value,
      accNormStderr: accNorm.stderr,
      accBytes: accBytes.value,
      accBytesStderr: accBytes.stderr,
    };
  }
}

/** The questions, tokenized, in parts that are sorted and computed together. */
async function* encodedParts(
  { config, directory }: Checkpoint,
  tokenizer: Tokenizer,
  { task, data, labels, limit, signal }: EvaluateTaskOptions,
): AsyncGenerator<EncodedQuestion[], undefined> {
  const encode = async (texts: readonly string[]) => {
    const ids = await tokenizer.encodeAll(texts, signal === undefined ? {} : { signal });
    for (const each of ids) checkTokenIds(each, config, directory);
    return ids;
  };
  const place = { path: data, positions: config.maxPositionEmbeddings };
  let part: LocatedQuestion[] = [];
  for await (const question of readQuestions(data, TASKS[task], { labels, limit, signal })) {
    part.push(question);
    if (part.length < QUESTIONS_AT_ONCE) continue;
    yield await encodeQuestions(part, encode, place);
    part = [];
  }
  if (part.length > 0) yield await encodeQuestions(part, encode, place);
}

function checkOptions(options: EvaluateTaskOptions): void {
  const { task, limit, labels } = options;
  if (!TASK_NAMES.includes(task)) {
    throw new EspalierError('CONFIG', `task must be one of ${TASK_NAMES.join(', ')}, got ${task}`);
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1)) {
    throw new EspalierError('CONFIG', `limit must be a whole number from 1, got ${limit}`);
  }
  if (labels !== undefined && !TASKS[task].separateLabels) {
    throw new EspalierError('CONFIG', `labels: the rows of ${task} hold their own labels`);
  }
  checkPlanOptions(options);
}
