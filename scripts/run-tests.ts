// Runs the tests: every test/**/*.test.ts in a process of its own, then the native test program.
// Ends with the exact totals, and fails when anything failed.
//
// Arguments are parts of file names (`npm test -- safetensors`); `native` runs the native tests only.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildNativeTests } from './native-tests.mjs';
import {
  doctestLabels,
  execute,
  type Labels,
  type Totals,
  totals,
  uvuLabels,
} from './test-process.mjs';

const timeLimitMs = 15 * 60_000;
const sum: Totals = { passed: 0, failed: 0, skipped: 0 };

/** Runs one program and prints a line for it, and everything it said when something failed. */
async function run(name: string, program: string, args: string[], labels: Labels): Promise<void> {
  const { output, ended, seconds } = await execute(program, args, { timeLimitMs });
  const result = totals(output, ended, labels);
  const parts = [`${result.passed} passed`];
  if (result.failed > 0) parts.push(`${result.failed} FAILED`);
  if (result.skipped > 0) parts.push(`${result.skipped} skipped`);
  const mark = result.failed > 0 ? '✗' : '✓';
  console.log(`${mark} ${name}  ${parts.join(', ')}  (${seconds.toFixed(1)} s)`);
  if (result.failed > 0) console.log(`${output.trimEnd()}\n  [${name} ended with ${ended}]`);
  sum.passed += result.passed;
  sum.failed += result.failed;
  sum.skipped += result.skipped;
}

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test', name))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();

for (const file of files) await run(file, process.execPath, ['--import', 'tsx', file], uvuLabels);

if (wanted.length === 0 || wanted.includes('native')) {
  await run('native tests', buildNativeTests(), ['--no-colors=true'], doctestLabels);
}

console.log(
  `${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`,
);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
