import { type Command, Option } from 'commander';
import { integer } from './values.js';

/** The flags that every verb takes. */
export interface CommonFlags {
  device: 'auto' | 'cpu' | 'cuda';
  dtype: 'auto' | 'f32' | 'bf16' | 'stored';
  threads?: number;
  seed: number;
  json?: boolean;
  jsonStream?: boolean;
  quiet?: boolean;
  verbose?: boolean;
}

/**
 * Adds the common flags to a verb, under their own heading of the help.
 * @param dtypes what `--dtype` may be for this verb
 */
export function addCommonFlags(
  command: Command,
  dtypes: readonly string[] = ['auto', 'f32', 'bf16', 'stored'],
): Command {
  const group = (flags: string, text: string) =>
    new Option(flags, text).helpGroup('Common options:');
  return command
    .addOption(
      group('--device <name>', 'where to compute').choices(['auto', 'cpu', 'cuda']).default('auto'),
    )
    .addOption(
      group(
        '--dtype <name>',
        'type of the weights in memory; auto: as stored; bf16: products in bf16 too',
      )
        .choices(dtypes)
        .default('auto'),
    )
    .addOption(
      group(
        '--threads <n>',
        'compute threads (default: ESPALIER_THREADS, else one per processor)',
      ).argParser(integer(1, 1024)),
    )
    .addOption(
      group('--seed <n>', 'seed of every random choice')
        .argParser(integer(0, Number.MAX_SAFE_INTEGER))
        .default(0),
    )
    .addOption(group('--json', 'print one JSON document at the end').conflicts('jsonStream'))
    .addOption(group('--json-stream', 'print one JSON event per line'))
    .addOption(group('--quiet', 'print nothing but the result and errors').conflicts('verbose'))
    .addOption(group('--verbose', 'say more, and show where an error comes from'));
}
