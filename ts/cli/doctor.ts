import type { Command } from 'commander';
import { type DoctorReport, doctor } from '../native/doctor.js';
import { addCommonFlags, type CommonFlags } from './common-flags.js';
import { EXIT } from './exit-code.js';
import { bytes } from './figures.js';
import type { RunVerb } from './run-verb.js';
import type { Style } from './style.js';
import { pairs } from './table.js';

/** Adds `espalier doctor`. */
export function addDoctor(program: Command, run: RunVerb): void {
  const command = program
    .command('doctor')
    .summary('say what this machine offers and what is missing')
    .description(
      'Describes Node, the addon, processor, libraries, threads, memory and CUDA, with the reason ' +
        'and the remedy for whatever does not work. Exits with 3 when espalier cannot compute here.',
    )
    .addHelpText('after', '\nExamples:\n  espalier doctor\n  espalier doctor --json | jq .addon\n')
    .action((flags: CommonFlags) =>
      run(flags, {
        work: () => doctor(),
        text: doctorText,
        exitCode: ({ healthy }) => (healthy ? EXIT.done : EXIT.environment),
      }),
    );
  addCommonFlags(command);
}

/** The report as lines for people. */
export function doctorText(report: DoctorReport, style: Style): string {
  const { node, platform, addon, cpu, threads, memory, cuda } = report;
  const good = (fine: boolean, text: string) =>
    `${fine ? style.green('✓') : style.red('✗')} ${text}`;
  const lines: [string, string][] = [
    ['espalier', report.version],
    ['Node', good(node.supported, node.version)],
    [
      'platform',
      [platform.os, platform.architecture, platform.kernel, platform.libc]
        .filter(Boolean)
        .join(', '),
    ],
    [
      'addon',
      good(addon.loaded, addon.path === undefined ? 'not found' : `${addon.path} (${addon.kind})`),
    ],
    ['processor', `${cpu.model}, ${cpu.processors} logical`],
    ['features', cpu.features.join(' ') || 'unknown'],
    ['kernels use', cpu.simd ?? 'nothing: the addon is not loaded'],
    ...Object.entries(report.libraries),
    ['threads', `${threads.default} by default (${threads.source})`],
    ['memory', `${bytes(memory.available)} free of ${bytes(memory.total)}`],
    ...[...cuda.reasons, ...cuda.libraries].map((reason, index): [string, string] => [
      index === 0 ? 'CUDA' : '',
      reason,
    ]),
    ['', `→ ${cuda.remedy}`],
  ];
  const problems = report.problems.map(
    ({ cause, remedy }) =>
      `\n${style.red('problem:')} ${cause}\n  ${style.dim('try:')} ${remedy}\n`,
  );
  return pairs(lines, style) + problems.join('');
}
