import type { Command } from 'commander';
import { type Evaluation, evaluate } from '../training/evaluate.js';
import { addCommonFlags, type CommonFlags } from './common-flags.js';
import { bytes, duration, significant, whole } from './figures.js';
import type { RunVerb } from './run-verb.js';
import type { Style } from './style.js';
import { pairs } from './table.js';
import { byteCount, integer } from './values.js';

interface EvalFlags extends CommonFlags {
  text: string;
  window: number;
  stride?: number;
  maxWindows?: number;
  batch?: number;
  maxMemory?: number;
}

/** Adds `espalier eval`. */
export function addEval(program: Command, run: RunVerb): void {
  const command = program
    .command('eval')
    .argument('<model>', 'Hugging Face model directory')
    .summary("measure a model's perplexity on a text")
    .description(
      'Cuts a text into windows and measures how well the model predicts each next token.',
    )
    .requiredOption('--text <file>', 'UTF-8 text to measure on')
    .option('--window <tokens>', 'tokens in a window', integer(2), 128)
    .option('--stride <tokens>', 'tokens between windows (default: the window)', integer(1))
    .option('--max-windows <n>', 'measure only the first windows', integer(1))
    .option('--batch <windows>', 'windows computed at once (default: by memory)', integer(1))
    .option('--max-memory <size>', 'evaluate layer by layer beyond this, such as 2GB', byteCount)
    .addHelpText(
      'after',
      '\nExamples:\n  espalier eval ./model --text book.txt\n' +
        '  espalier eval ./model --text book.txt --window 512 --stride 256 --max-memory 2GB\n' +
        '  espalier eval ./model --text book.txt --json | jq .perplexity\n',
    )
    .action((model: string, flags: EvalFlags) => {
      const { device, dtype, text, window, stride, maxWindows, batch, maxMemory } = flags;
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
            ...(maxMemory === undefined ? {} : { maxMemory }),
          }),
        text: evaluationText,
      });
    });
  addCommonFlags(command);
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
      ['speed', `${whole(result.tokensPerSecond)} tokens/s, ${duration(result.seconds)} in all`],
      ['peak memory', bytes(result.peakMemoryBytes)],
      ['computed on', `${result.device}, weights ${result.dtype}`],
    ],
    style,
  );
}
