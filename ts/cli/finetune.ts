import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type FinetuneResult, finetune } from '../training/finetune.js';
import {
  FINETUNE_TASKS,
  type FinetuneOptions,
  type FinetuneTask,
} from '../training/finetune-options.js';
import { addCommonFlags, type CommonFlags } from './common-flags.js';
import { bytes, duration, percent, significant, whole } from './figures.js';
import type { RunVerb } from './run-verb.js';
import type { Style } from './style.js';
import { pairs } from './table.js';
import { byteCount, files, integer, number, type ValueParser } from './values.js';

type LoraLayers = NonNullable<FinetuneOptions['loraLayers']>;

interface FinetuneFlags extends CommonFlags {
  data: string[];
  output: string;
  task: FinetuneTask;
  loraR?: number;
  loraAlpha?: number;
  loraDropout?: number;
  hiddenDropout?: number;
  targetModules?: string;
  loraLayers?: LoraLayers;
  rankPattern?: Record<string, number>;
  useRslora?: boolean;
  full?: boolean;
  epochs?: number;
  steps?: number;
  batchSize?: number;
  gradientAccumulation?: number;
  maxLength?: number;
  packing?: boolean;
  lr?: number;
  schedule?: 'constant' | 'linear' | 'cosine';
  warmup?: number;
  weightDecay?: number;
  maxGradNorm?: number;
  evalData?: string[];
  evalEvery?: number;
  earlyStopping?: number;
  saveEvery?: number;
  resume?: boolean;
  force?: boolean;
  gradientCheckpointing?: boolean;
  skipBadRows?: boolean;
  textColumns?: string;
  labelColumn?: string;
  prefixCache?: number;
}

const EXAMPLES = `
Examples:
  espalier finetune ./model --data book.txt --output ./adapter
  espalier finetune ./model --task instruct --data chats.jsonl --lora-r 16 --epochs 2 --output ./adapter
  espalier finetune ./bert --task classify --data train.tsv --eval-data dev.tsv --output ./adapter
  espalier finetune ./pruned --full --data book.txt --steps 500 --output ./recovered
`;

/** `all`, `last:K` or layer numbers separated by commas. */
const layers: ValueParser<LoraLayers> = (text) => {
  if (text === 'all') return text;
  const last = /^last:(\d+)$/.exec(text)?.[1];
  if (last !== undefined && Number(last) >= 1) return { last: Number(last) };
  if (/^\d+(,\d+)*$/.test(text)) return text.split(',').map(Number);
  throw new InvalidArgumentError('Expected all, last:K or layer numbers such as 0,1,5.');
};

/** A JSON file with ranks by module. */
const ranks: ValueParser<Record<string, number>> = (path) => {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new InvalidArgumentError(`${path} can't be read as JSON: ${(error as Error).message}`);
  }
  const entries = typeof value === 'object' && value !== null ? Object.values(value) : [undefined];
  if (entries.every((rank) => Number.isSafeInteger(rank))) return value as Record<string, number>;
  throw new InvalidArgumentError(`Expected an object of ranks by module in ${path}.`);
};

/** Adds `espalier finetune`. */
export function addFinetune(program: Command, run: RunVerb): void {
  const command = program
    .command('finetune')
    .argument('<model>', 'Hugging Face model directory')
    .summary('train a model on your own text, instructions or labels')
    .description(
      'Trains LoRA adapters on a frozen model, or with --full every weight. The result is a PEFT ' +
        'directory, or a model directory.',
    )
    .requiredOption('--data <files>', 'what to train on: .txt, .jsonl, or .csv and .tsv', files)
    .requiredOption('--output <dir>', 'where the result appears once it is complete')
    .addOption(new Option('--task <name>', 'what for').choices(FINETUNE_TASKS).default('causal-lm'))
    .option('--lora-r <rank>', 'rank of the adapters (default: 8)', integer(1))
    .option('--lora-alpha <x>', 'scale times rank (default: twice the rank)', number(0, 1e9))
    .option('--lora-dropout <p>', 'dropout before the adapters (default: 0)', number(0, 0.99))
    .option(
      '--hidden-dropout <p>',
      "dropout in an encoder's layers (default: config.json's)",
      number(0, 0.99),
    )
    .option('--target-modules <names>', 'such as q_proj,v_proj (default: all-linear)')
    .option('--lora-layers <layers>', 'all, last:K or numbers (default: all)', layers)
    .option('--rank-pattern <file>', 'JSON file with ranks by module', ranks)
    .option('--use-rslora', 'scale by alpha / √rank')
    .option('--full', 'train every weight')
    .option('--epochs <n>', 'passes over the data (default: 3)', integer(1))
    .addOption(
      new Option('--steps <n>', 'optimiser steps instead of passes')
        .argParser(integer(1))
        .conflicts('epochs'),
    )
    .option('--batch-size <n>', 'sequences in a batch (default: 8)', integer(1))
    .option('--gradient-accumulation <n>', 'batches in a step (default: 1)', integer(1))
    .option('--max-length <tokens>', 'tokens of a sample at most (default: 512)', integer(2))
    .option('--packing', 'put rows one after the other into windows')
    .option('--lr <x>', 'learning rate (default: 2e-4, with --full 2e-5)', number(0, 1e3))
    .addOption(
      new Option('--schedule <name>', 'how it changes (default: linear)').choices([
        'constant',
        'linear',
        'cosine',
      ]),
    )
    .option('--warmup <steps>', 'steps over which it rises (default: 0)', integer(0))
    .option('--weight-decay <x>', 'decoupled weight decay (default: 0)', number(0, 1e3))
    .option(
      '--max-grad-norm <x>',
      'clip gradients to this norm, 0: never (default: 1)',
      number(0, 1e9),
    )
    .option('--eval-data <files>', 'data that is measured, not trained on', files)
    .option('--eval-every <steps>', 'steps between evaluations (default: a pass)', integer(1))
    .option('--early-stopping <n>', 'stop after n evaluations without a new best', integer(1))
    .option('--save-every <steps>', 'steps between checkpoints (default: 200)', integer(1))
    .option('--resume', 'go on where an interrupted run stopped')
    .option('--force', 'replace the output once the new one is complete')
    .option('--gradient-checkpointing', 'keep less in memory and compute layers twice')
    .option('--skip-bad-rows', 'leave unusable rows out instead of failing')
    .option('--text-columns <names>', 'one column, or two for pairs (default: found by name)')
    .option('--label-column <name>', 'column with the class (default: found by name)')
    .option('--prefix-cache <size>', 'memory for what frozen lower layers give', byteCount)
    .addHelpText('after', EXAMPLES)
    .action((model: string, flags: FinetuneFlags) =>
      run(flags, {
        computes: true,
        work: (long) => finetune(model, { ...long, ...optionsOf(flags) }),
        text: finetuneText,
        warnings: ({ skippedRows, skippedSteps }) => [
          ...(skippedRows === 0 ? [] : [`${whole(skippedRows)} rows could not be used`]),
          ...(skippedSteps === 0
            ? []
            : [`${whole(skippedSteps)} steps had a loss or gradient that is not finite`]),
        ],
        afterInterrupt: 'continue with the same command and --resume',
      }),
    );
  addCommonFlags(command, ['auto', 'f32', 'bf16']);
}

function optionsOf(flags: FinetuneFlags): FinetuneOptions {
  const { targetModules, textColumns, dtype, json, jsonStream, quiet, verbose, threads, ...rest } =
    flags;
  return {
    ...rest,
    ...(dtype !== 'stored' && { dtype }),
    ...(targetModules !== undefined && {
      targetModules: targetModules === 'all-linear' ? targetModules : targetModules.split(','),
    }),
    ...(textColumns !== undefined && { textColumns: textColumns.split(',') }),
  };
}

/** The result as a table for people. */
export function finetuneText(result: FinetuneResult, style: Style): string {
  const { heldOut, stoppedEarly, labels } = result;
  const accuracy = heldOut?.accuracy;
  return pairs(
    [
      ['output', style.bold(result.output)],
      ['trained', `${whole(result.trainedParameters)} parameters`],
      ['data', `${whole(result.samples)} samples, ${whole(result.tokens)} tokens`],
      ['steps', `${whole(result.steps)}${stoppedEarly ? ', stopped early' : ''}`],
      ['loss', `${significant(result.loss)} nats, smoothed`],
      ...(heldOut === undefined
        ? []
        : [['held out', `${significant(heldOut.loss)} nats`] as const]),
      ...(accuracy === undefined ? [] : [['accuracy', style.bold(percent(accuracy))] as const]),
      ...(labels === undefined ? [] : [['classes', labels.slice(0, 8).join(', ')] as const]),
      ['time', duration(result.seconds)],
      ['peak memory', bytes(result.peakMemoryBytes)],
    ],
    style,
  );
}
