import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gpuSuites } from './gpu-plan.js';
import type { Machine } from './machine.js';
import { formatFigure, type Target } from './report.js';

interface Stored {
  machine: Machine;
  targets: Target[];
}

/** What a suite left in `directory`, or undefined before it has run. */
function stored(directory: string, name: string): Stored | undefined {
  const path = join(directory, `${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Stored) : undefined;
}

/** The page over the results of a folder: every claim, and what was measured or that nothing was. */
export function gpuPage(directory: string): string {
  const lines = [
    '# On a GPU',
    'Written by `npm run bench:gpu`: PyTorch and PEFT run on the same card in the same run, results are ' +
      'checked before they are timed, times are taken by events on both sides.',
  ];
  for (const { name, claims } of gpuSuites) {
    const found = stored(directory, name);
    lines.push(`## ${found === undefined ? name : `[${name}](${name}.md)`}`);
    if (found === undefined) {
      lines.push(claims.map((claim) => `- ${claim}: not yet run`).join('\n'));
      continue;
    }
    const { machine, targets } = found;
    lines.push(`${machine.gpu ?? machine.cpu}; ${machine.date}`);
    lines.push(claims.map((claim) => `- ${claim}`).join('\n'));
    const rows = targets.map(({ what, value, limit, kind, met }) => {
      const bound = `${kind === 'at most' ? '≤' : '≥'} ${formatFigure(limit)}`;
      return `| ${what} | ${formatFigure(value)} | ${bound} | ${met ? 'met' : 'missed'} |`;
    });
    const head = ['| what | measured | target | |', '|---|---|---|---|'];
    if (rows.length > 0) lines.push([...head, ...rows].join('\n'));
  }
  return `${lines.join('\n\n')}\n`;
}

/** Writes the page into the folder. */
export function writeGpuPage(directory: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'README.md'), gpuPage(directory));
}
