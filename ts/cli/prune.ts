import { type Command, Option } from 'commander';
import { prune } from '../systems/comp/prune.js';
import {
  COMP_METRICS,
  PRUNE_METHODS,
  type PruneOptions,
  RECOVERIES,
} from '../systems/comp/prune-options.js';
import type { PruneResult } from '../systems/comp/prune-result.js';
import { addCommonFlags, type CommonFlags } from './common-flags.js';
import { bytes, duration, percent, significant, whole } from './figures.js';
import type { RunVerb } from './run-verb.js';
import type { Style } from './style.js';
import { pairs } from './table.js';
import { autoOr, files, integer, integers, number } from './values.js';

const EXAMPLES = `
Examples:
  espalier prune ./model --output ./pruned --calibration text.txt
  espalier prune ./model --output ./pruned --calibration a.txt,b.txt --ratio 0.3 --shape per-layer
  espalier prune ./model --output ./pruned --calibration text.txt --resume
  espalier prune ./model --output ./flap --calibration text.txt --method flap

Ctrl-C saves and stops; the same command with --resume goes on.
`;

/** Adds `espalier prune`. */
export function addPrune(program: Command, run: RunVerb): void {
  const choice = (flags: string, text: string, choices: readonly string[]) =>
    new Option(flags, text).choices(choices);
  const command = program
    .command('prune')
    .argument('<model>', 'Hugging Face model directory')
    .summary('remove a part of a model without training')
    .description(
      'Removes whole layers, attention heads and MLP channels, and repairs the weights that stay, ' +
        'one layer in memory at a time. The result is a smaller Hugging Face model.',
    )
    .requiredOption('--output <dir>', 'where the result appears once it is complete')
    .requiredOption('--calibration <files>', 'UTF-8 texts, separated by commas or repeated', files)
    .option('--ratio <share>', 'of all parameters to remove (default: 0.2)', number(0, 1))
    .addOption(choice('--method <name>', 'how to choose (default: comp)', PRUNE_METHODS))
    .option('--samples <n>', 'calibration windows (default: 128)', integer(1))
    .option(
      '--self-sampled <share>',
      'of the windows that the model writes itself (default: auto)',
      autoOr(number(0, 1)),
    )
    .option('--window <tokens>', 'tokens in a window (default: 128)', integer(2))
    .addOption(choice('--metric <name>', 'score of a neuron, for comp', COMP_METRICS))
    .addOption(choice('--recover <how>', 'repair of what stays (default: refit)', RECOVERIES))
    .option(
      '--layer-share <share>',
      'of the ratio that goes to whole layers (default: auto)',
      autoOr(number(0, 1)),
    )
    .option(
      '--drop-layers <indices>',
      'layers that go, from 0, separated by commas (default: auto)',
      autoOr(integers(0)),
    )
    .option(
      '--key-value-groups <n>',
      'that stay in each layer, with their heads (default: auto)',
      autoOr(integer(1)),
    )
    .addOption(
      choice('--shape <shape>', 'widths of the layers (default: uniform; taylor: per-layer)', [
        'uniform',
        'per-layer',
      ]),
    )
    .option('--align <n>', 'widths are multiples of it (default: 8, wide models 64)', integer(1))
    .option('--protect-first <n>', 'first layers never dropped whole (default: 2)', integer(0))
    .option('--protect-last <n>', 'last layers never dropped whole (default: 1)', integer(0))
    .option(
      '--gradient-samples <n>',
      'windows of the gradient, for taylor (default: 10)',
      integer(1),
    )
    .option('--max-mask-variance <x>', 'over-fitting guard of mask tuning', number(0, Infinity))
    .option('--resume', 'go on where an interrupted run stopped')
    .option('--force', 'replace the output once the new one is complete')
    .addHelpText('after', EXAMPLES)
    .action((model: string, flags: CommonFlags & PruneOptions) =>
      run(flags, {
        computes: true,
        afterInterrupt: 'the same command with --resume goes on where this one stopped',
        work: (long) => prune(model, { ...pruneOptions(flags), ...long }),
        text: pruneText,
        warnings: (result) => result.warnings,
      }),
    );
  addCommonFlags(command, ['auto', 'stored']);
}

/** What of the flags is an option of `prune`. */
function pruneOptions(flags: CommonFlags & PruneOptions): PruneOptions {
  const {
    dtype: _,
    threads: _t,
    json: _j,
    jsonStream: _s,
    quiet: _q,
    verbose: _v,
    ...rest
  } = flags;
  return rest;
}

/** The result as a table for people. */
export function pruneText(result: PruneResult, style: Style): string {
  const { parameters, layers, widths, heldOutLoss, calibration, method } = result;
  const dropped = layers.dropped.length === 0 ? '' : ` (without ${layers.dropped.join(', ')})`;
  const facts: [string, string][] = [
    ['output', style.bold(result.output)],
    ['method', method],
    ['parameters', `${whole(parameters.before)} → ${whole(parameters.after)}`],
    ['removed', `${percent(result.ratio)} (asked: ${percent(result.nominalRatio)})`],
    ['layers', `${layers.before} → ${layers.after}${dropped}`],
    ['heads', `${range(widths.numAttentionHeads)} on ${range(widths.numKeyValueHeads)} key/value`],
    ['MLP width', range(widths.intermediateSize)],
    [
      'calibration',
      `${calibration.training + calibration.heldOut} windows of ${calibration.window}` +
        (calibration.sampled === 0 ? '' : ` (${calibration.sampled} written by the model)`),
    ],
    [
      'perplexity',
      `${perplexity(heldOutLoss.before)} → ${perplexity(heldOutLoss.trial ?? heldOutLoss.after)} on ` +
        `${heldOutLoss.trial === undefined ? '' : 'held-out '}calibration text`,
    ],
    ['time', duration(result.seconds)],
    ['peak memory', bytes(result.peakMemoryBytes)],
  ];
  return pairs(facts, style);
}

function perplexity(loss: number): string {
  return Number.isFinite(loss) ? significant(Math.exp(loss)) : '-';
}

/** `280`, or `240 to 352` where layers differ. */
function range(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (values.length === 0) return '-';
  return low === high ? String(low) : `${low} to ${high}`;
}
