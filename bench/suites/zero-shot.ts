import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LocatedQuestion, readQuestions } from '../../ts/data/tasks/read-questions.js';
import { TASKS, type TaskName } from '../../ts/data/tasks/tasks.js';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { Checkpoint } from '../../ts/models/checkpoint.js';
import { judge } from '../../ts/training/choice-metrics.js';
import { ChoiceScorer } from '../../ts/training/choice-scorer.js';
import { type EncodedQuestion, encodeQuestions } from '../../ts/training/encode-question.js';
import type { EvaluationPlan } from '../../ts/training/evaluation-plan.js';
import {
  evaluateTask,
  type ScoredQuestion,
  type TaskEvaluation,
} from '../../ts/training/evaluate-task.js';
import { check, formatFigure, interleave, ratio, type Suite, type Timing } from '../harness.js';
import { inputOptions, modelDirectory } from '../inputs.js';
import type { Peer } from '../peers/peer.js';

/** Where the tasks' files lie below `--tasks`, as they are published. */
const FILES: Readonly<Record<TaskName, { data: string; labels?: string; own: string }>> = {
  arc_easy: { data: 'arc/ARC-Easy-Test.jsonl', own: 'arc.jsonl' },
  arc_challenge: { data: 'arc/ARC-Challenge-Test.jsonl', own: 'arc.jsonl' },
  piqa: { data: 'piqa/valid.jsonl', labels: 'piqa/valid-labels.lst', own: 'piqa.jsonl' },
  boolq: { data: 'boolq/val.jsonl', own: 'boolq.jsonl' },
  hellaswag: { data: 'hellaswag/hellaswag_val.jsonl', own: 'hellaswag.jsonl' },
  winogrande: { data: 'winogrande/dev.jsonl', own: 'winogrande.jsonl' },
};

/** Fewer questions are over before anything can be timed. */
const LEAST_TIMED = 32;

const ownTasks = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  'test',
  'fixtures',
  'tasks',
);

interface PeerScores {
  logLikelihoods: number[][];
  gold: number[];
  choices: string[][];
  seconds: number;
}

/** Both sides on the same questions. */
interface Comparison {
  ours: TaskEvaluation;
  theirs: PeerScores;
  /** Largest difference of a log-likelihood over its size. */
  gap: number;
  /** Questions for which both choose the same, plainly and per character. */
  same: number;
}

async function compare(
  peer: Peer,
  directory: string,
  task: TaskName,
  files: { data: string; labels?: string },
  limit: number,
): Promise<Comparison> {
  const scored: ScoredQuestion[] = [];
  const ours = await evaluateTask(directory, {
    task,
    ...files,
    limit,
    dtype: 'f32',
    onQuestion: (question) => scored.push(question),
  });
  const theirs = await askPeer(peer, task, files, limit);
  check(theirs.gold.length === scored.length, `${task}: both read the same questions`);
  let gap = 0;
  let same = 0;
  for (const [i, { logLikelihoods, gold }] of scored.entries()) {
    const expected = theirs.logLikelihoods[i] as number[];
    const answers = theirs.choices[i] as string[];
    check(gold === theirs.gold[i], `${task}: question ${i + 1} has the same right answer`);
    for (const [c, value] of expected.entries()) {
      gap = Math.max(gap, Math.abs((logLikelihoods[c] as number) - value) / Math.abs(value));
    }
    const [mine, other] = [judge(logLikelihoods, answers), judge(expected, answers)];
    if (mine.best === other.best && mine.bestPerCharacter === other.bestPerCharacter) same++;
  }
  check(gap <= 1e-4, `${task}: a log-likelihood differs by ${gap} of its size`);
  return { ours, theirs, gap, same };
}

function askPeer(
  peer: Peer,
  task: TaskName,
  { data, labels }: { data: string; labels?: string },
  limit: number,
): Promise<PeerScores> {
  return peer.call('zero_shot_score', { task, data, labels: labels ?? null, limit, batch: 16 });
}

/** How much faster a question's choices are computed together than each by itself. */
async function sharingGain(
  directory: string,
  task: TaskName,
  files: { data: string; labels?: string },
  limit: number,
  rounds: number,
): Promise<number> {
  const checkpoint = await Checkpoint.open(directory);
  const tokenizer = await Tokenizer.open(directory);
  const asked: LocatedQuestion[] = [];
  for await (const question of readQuestions(files.data, TASKS[task], { ...files, limit })) {
    asked.push(question);
  }
  const encode = (texts: readonly string[]) => tokenizer.encodeAll(texts);
  const place = { path: files.data, positions: checkpoint.config.maxPositionEmbeddings };
  const together = await encodeQuestions(asked, encode, place);
  await tokenizer.dispose();
  const apart = together.flatMap((one) =>
    one.choices.map((choice) => ({ ...one, choices: [choice] })),
  );
  const plan: EvaluationPlan = {
    batch: 2048,
    chunk: 2048,
    resident: true,
    load: 'auto',
    dtype: 'stored',
  };
  const scorer = new ChoiceScorer(checkpoint, plan);
  const timed = (questions: EncodedQuestion[]) => async () => {
    const start = performance.now();
    await scorer.score(questions);
    return (performance.now() - start) / 1000;
  };
  const contenders = [
    { name: 'together', run: timed(together) },
    { name: 'apart', run: timed(apart) },
  ];
  const [own, other] = (await interleave(contenders, { rounds, least: 0 })) as [Timing, Timing];
  scorer.dispose();
  checkpoint.close();
  return ratio(other, own);
}

function filesOf(task: TaskName, root: string | undefined): { data: string; labels?: string } {
  const { data, labels, own } = FILES[task];
  if (root !== undefined && existsSync(join(root, data))) {
    const file = { data: join(root, data) };
    return labels === undefined ? file : { ...file, labels: join(root, labels) };
  }
  const file = { data: join(ownTasks, own) };
  return task === 'piqa' ? { ...file, labels: join(ownTasks, 'piqa-labels.lst') } : file;
}

/** Multiple-choice tasks beside stock transformers. */
export const suite: Suite = {
  claim:
    'Log-likelihoods of multiple-choice tasks are those of stock transformers to 1e-4, the choices ' +
    'the same, and they come faster: what the choices of a question begin with is computed once.',
  options: { ...inputOptions, tasks: { type: 'string' }, limit: { type: 'string' } },
  async run(context) {
    const { options, quick, report, say } = context;
    const peer = await context.peer();
    if (peer === undefined) throw new Error('this suite needs the peer: npm run bench:peers');
    const root = (options.tasks as string | undefined) ?? process.env.ESPALIER_TASKS;
    const limit = Number(options.limit ?? (quick ? 8 : 400));
    const rows: string[][] = [];
    let worst = 0;
    let differing = 0;
    for (const name of ['babyllama-tok105', 'demo-3m']) {
      const directory = modelDirectory(name, options);
      if (directory === undefined) {
        say(`${name} left out: give --models`);
        continue;
      }
      await peer.call('zero_shot_load', { directory });
      for (const task of Object.keys(FILES) as TaskName[]) {
        // Some of PIQA's answers have more characters than this model has positions.
        if (task === 'piqa' && name === 'babyllama-tok105' && root !== undefined) continue;
        const files = filesOf(task, root);
        say(`${name}: ${task}`);
        const { ours, theirs, gap, same } = await compare(peer, directory, task, files, limit);
        worst = Math.max(worst, gap);
        differing += ours.questions - same;
        let speeds = ['', '', '', ''];
        if (ours.questions >= LEAST_TIMED) {
          const timings = await interleave(
            [
              {
                name: 'espalier',
                run: async () =>
                  (await evaluateTask(directory, { task, ...files, limit, dtype: 'f32' })).seconds,
              },
              {
                name: 'transformers',
                run: async () => (await askPeer(peer, task, files, limit)).seconds,
              },
            ],
            { rounds: quick ? 1 : 3, least: 0 },
          );
          const [own, other] = timings as [Timing, Timing];
          const gain = await sharingGain(directory, task, files, limit, quick ? 1 : 3);
          speeds = [
            formatFigure(ours.choices / own.median),
            formatFigure(ours.choices / other.median),
            ratio(other, own).toFixed(2),
            gain.toFixed(2),
          ];
          report.target(`${name}, ${task}: times as fast`, ratio(other, own), 'at least', 1);
        }
        rows.push([
          name,
          task,
          `${ours.questions} (${ours.choices})`,
          String(ours.truncated),
          formatFigure(gap),
          `${same} of ${theirs.gold.length}`,
          percent(ours.acc, ours.accStderr),
          ours.accNorm === undefined ? '' : percent(ours.accNorm, ours.accNormStderr),
          ...speeds,
        ]);
      }
    }
    report.target('largest relative difference of a log-likelihood', worst, 'at most', 1e-4);
    report.target('questions answered differently', differing, 'at most', 0);
    report.table(
      'The same questions on both sides, f32',
      [
        'model',
        'task',
        'questions (choices)',
        'truncated',
        'largest difference',
        'same choice',
        'acc',
        'acc_norm',
        'log-likelihoods/s',
        'transformers',
        'times as fast',
        'gain of sharing',
      ],
      rows,
    );
    report.note(
      'The peer computes every choice with its whole context, 16 at once, sorted by length, as ' +
        'lm-evaluation-harness does. Times are those of reading, tokenizing and computing on both sides; ' +
        `tasks of fewer than ${LEAST_TIMED} questions are not timed. ` +
        'The gain of sharing is the time of our own ' +
        'computation of every choice by itself over that of the choices of a question together.',
    );
    report.note(
      "Without published files (`--tasks`), a task's questions are the few of the tests. These models " +
        'are far too small to know the answers: what is compared is the arithmetic.',
    );
  },
};

function percent(value: number, stderr = Number.NaN): string {
  return `${(100 * value).toFixed(1)} ± ${(100 * stderr).toFixed(1)} %`;
}
