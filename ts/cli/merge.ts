import type { Command } from 'commander';
import { type MergeResult, mergeAdapter } from '../training/merge-adapter.js';
import { addCommonFlags, type CommonFlags } from './common-flags.js';
import { bytes, duration, whole } from './figures.js';
import type { RunVerb } from './run-verb.js';
import type { Style } from './style.js';
import { pairs } from './table.js';
import { number } from './values.js';

interface MergeFlags extends CommonFlags {
  output: string;
  scale?: number;
  force?: boolean;
}

/** Adds `espalier merge`. */
export function addMerge(program: Command, run: RunVerb): void {
  const command = program
    .command('merge')
    .argument('<model>', 'Hugging Face model directory')
    .argument('<adapter>', 'PEFT directory with a LoRA adapter')
    .summary('add a LoRA adapter to the weights of its model')
    .description(
      "Adds scale · B A to every weight that the adapter changes, in f32, and stores it in the model's " +
        'own dtype. The result is a model without an adapter, as PEFT merges it.',
    )
    .requiredOption('--output <dir>', 'where the result appears once it is complete')
    .option('--scale <x>', "factor of the adapter's own scale (default: 1)", number(-1e9, 1e9))
    .option('--force', 'replace the output once the new one is complete')
    .addHelpText(
      'after',
      '\nExamples:\n  espalier merge ./model ./adapter --output ./merged\n' +
        '  espalier merge ./model ./adapter --output ./half --scale 0.5\n',
    )
    .action((model: string, adapter: string, flags: MergeFlags) => {
      const { output, scale, force } = flags;
      return run(flags, {
        computes: true,
        work: (long) =>
          mergeAdapter(model, adapter, {
            ...long,
            output,
            ...(scale === undefined ? {} : { scale }),
            ...(force === undefined ? {} : { force }),
          }),
        text: mergeText,
      });
    });
  addCommonFlags(command, ['auto', 'stored']);
}

/** The result as a table for people. */
export function mergeText(result: MergeResult, style: Style): string {
  return pairs(
    [
      ['output', style.bold(result.output)],
      ['merged', `${whole(result.modules)} weights, scale ${result.scale}`],
      ...(result.savedTensors === 0
        ? []
        : [['replaced', `${whole(result.savedTensors)} tensors of the head`] as const]),
      ['weights', bytes(result.bytes)],
      ['time', duration(result.seconds)],
    ],
    style,
  );
}
