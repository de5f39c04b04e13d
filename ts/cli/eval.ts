import { type Command, Option } from 'commander';
import { TASK_NAMES, type TaskName } from '../data/tasks/tasks.js';
import { type Evaluation, evaluate } from '../training/evaluate.js';
import { type ClassifierEvaluation, evaluateClassifier } from '../training/evaluate-classifier.js';
import { evaluateTask, type TaskEvaluation } from '../training/evaluate-task.js';
import { addCommonFlags, type CommonFlags } from './common-flags.js';
import { bytes, duration, percent, significant, whole } from './figures.js';
import type { RunVerb } from './run-verb.js';
import type { Style } from './style.js';
import { pairs } from './table.js';
import { byteCount, integer } from './values.js';

interface EvalFlags extends CommonFlags {
  text?: string;
  window: number;
  stride?: number;
  maxWindows?: number;
  batch?: number;
  task?: TaskName | 'classify';
  data?: string;
  adapter?: string;
  labels?: string;
  limit?: number;
  maxMemory?: number;
}

const EXAMPLES = `
Examples:
  espalier eval ./model --text book.txt
  espalier eval ./model --text book.txt --window 512 --stride 256 --max-memory 2GB
  espalier eval ./model --text book.txt --json | jq .perplexity
  espalier eval ./model --task arc_easy --data ARC-Easy-Test.jsonl
  espalier eval ./model --adapter ./adapter --task boolq --data dev.jsonl
  espalier eval ./bert --adapter ./adapter --task classify --data dev.tsv
  espalier eval ./model --task piqa --data valid.jsonl --labels valid-labels.lst --limit 500
`;

/** Adds `espalier eval`. */
export function addEval(program: Command, run: RunVerb): void {
  const benchmark = ['task', 'data', 'labels', 'limit'];
  const command = program
    .command('eval')
    .argument('<model>', 'Hugging Face model directory')
    .summary("measure a model's perplexity on a text, or its answers to a benchmark")
    .description(
      'Measures how well a model predicts the tokens of a text, or how often it finds the right ' +
        'answer of multiple-choice questions the most likely one.',
    )
    .addOption(new Option('--text <file>', 'UTF-8 text to measure on').conflicts(benchmark))
    .addOption(
      new Option('--window <tokens>', 'tokens in a window')
        .argParser(integer(2))
        .default(128)
        .conflicts(benchmark),
    )
    .addOption(
      new Option('--stride <tokens>', 'tokens between windows (default: the window)')
        .argParser(integer(1))
        .conflicts(benchmark),
    )
    .addOption(
      new Option('--max-windows <n>', 'measure only the first windows')
        .argParser(integer(1))
        .conflicts(benchmark),
    )
    .addOption(
      new Option('--batch <windows>', 'windows computed at once (default: by memory)')
        .argParser(integer(1))
        .conflicts(benchmark),
    )
    .addOption(
      new Option('--task <name>', 'benchmark to measure on, or classify').choices([
        ...TASK_NAMES,
        'classify',
      ]),
    )
    .option('--data <file>', 'questions of the task, in the file that is published')
    .option('--labels <file>', 'their labels, for piqa (default: NAME-labels.lst beside them)')
    .option('--limit <n>', 'ask only the first questions', integer(1))
    .option('--adapter <dir>', 'PEFT directory whose adapter is put in force')
    .option('--max-memory <size>', 'evaluate layer by layer beyond this, such as 2GB', byteCount)
    .addHelpText('after', EXAMPLES)
    .action((model: string, flags: EvalFlags) => {
      const { text, task, data } = flags;
      if (text !== undefined) return runText(run, model, text, flags);
      if (task === undefined) return command.error('error: --text FILE or --task NAME is missing');
      if (data === undefined)
        return command.error(`error: --data FILE is missing for --task ${task}`);
      if (task === 'classify') return runClassify(run, model, data, flags);
      return runTask(run, model, task, data, flags);
    });
  addCommonFlags(command);
}

function runText(run: RunVerb, model: string, text: string, flags: EvalFlags): Promise<void> {
  const { device, dtype, window, stride, maxWindows, batch, maxMemory, adapter } = flags;
  return run(flags, {
    computes: true,
    work: (long) =>
      evaluate(model, {
        ...long,
        device,
        dtype,
        text,
        window,
        ...(stride === undefined ? {} : { stride }),
        ...(maxWindows === undefined ? {} : { maxWindows }),
        ...(batch === undefined ? {} : { batch }),
        ...(adapter === undefined ? {} : { adapter }),
        ...(maxMemory === undefined ? {} : { maxMemory }),
      }),
    text: evaluationText,
  });
}

function runClassify(run: RunVerb, model: string, data: string, flags: EvalFlags): Promise<void> {
  const { device, dtype, adapter, limit } = flags;
  return run(flags, {
    computes: true,
    work: (long) =>
      evaluateClassifier(model, {
        ...long,
        device,
        data: data.split(','),
        ...(dtype === 'stored' ? {} : { dtype }),
        ...(adapter === undefined ? {} : { adapter }),
        ...(limit === undefined ? {} : { limit }),
      }),
    text: classifierText,
  });
}

function runTask(
  run: RunVerb,
  model: string,
  task: TaskName,
  data: string,
  flags: EvalFlags,
): Promise<void> {
  const { device, dtype, labels, limit, maxMemory, adapter } = flags;
  return run(flags, {
    computes: true,
    work: (long) =>
      evaluateTask(model, {
        ...long,
        device,
        dtype,
        task,
        data,
        ...(labels === undefined ? {} : { labels }),
        ...(limit === undefined ? {} : { limit }),
        ...(adapter === undefined ? {} : { adapter }),
        ...(maxMemory === undefined ? {} : { maxMemory }),
      }),
    text: taskText,
    warnings: ({ truncated, choices }) =>
      truncated === 0
        ? []
        : [`${truncated} of ${choices} choices were too long and lost their beginning`],
  });
}

/** The result as a table for people. */
export function evaluationText(result: Evaluation, style: Style): string {
  return pairs(
    [
      ['perplexity', style.bold(significant(result.perplexity, 5))],
      ['loss', `${significant(result.nll, 5)} nats a token`],
      ['bits a byte', significant(result.bitsPerByte)],
      ['windows', `${whole(result.windows)} of ${result.window} tokens, stride ${result.stride}`],
      ['tokens', whole(result.tokens)],
      ...cost(result),
    ],
    style,
  );
}

/** The result of a benchmark as a table for people. */
export function taskText(result: TaskEvaluation, style: Style): string {
  const { acc, accStderr, accNorm, accNormStderr = Number.NaN } = result;
  const share = (value: number, stderr: number) =>
    Number.isFinite(stderr) ? `${percent(value)} ± ${percent(stderr)}` : percent(value);
  return pairs(
    [
      ['task', result.task],
      ['acc', style.bold(share(acc, accStderr))],
      ...(accNorm === undefined
        ? []
        : ([['acc_norm', style.bold(share(accNorm, accNormStderr))]] as const)),
      ['questions', `${whole(result.questions)} with ${whole(result.choices)} choices`],
      ...cost(result),
    ],
    style,
  );
}

/** The result of a classifier as a table for people. */
export function classifierText(result: ClassifierEvaluation, style: Style): string {
  const { accuracy, accuracyStderr, macroF1, labels, confusion, samples } = result;
  const rows = confusion.map(
    (row, i) =>
      [`is ${labels[i]}`, row.map((n, j) => `${whole(n)} ${labels[j]}`).join(', ')] as const,
  );
  const shown = Number.isFinite(accuracyStderr) ? ` ± ${percent(accuracyStderr)}` : '';
  return pairs(
    [
      ['accuracy', style.bold(`${percent(accuracy)}${shown}`)],
      ['macro F1', percent(macroF1)],
      ['samples', whole(samples)],
      ...(labels.length <= 12 ? rows : []),
      ['speed', `${whole(result.samplesPerSecond)} samples/s, ${duration(result.seconds)} in all`],
    ],
    style,
  );
}

function cost(result: Evaluation | TaskEvaluation): [string, string][] {
  return [
    ['speed', `${whole(result.tokensPerSecond)} tokens/s, ${duration(result.seconds)} in all`],
    ['peak memory', bytes(result.peakMemoryBytes)],
    ['computed on', `${result.device}, weights ${result.dtype}`],
  ];
}
