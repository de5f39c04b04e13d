// Runs the tests: every test/**/*.test.ts in a process of its own, then the native test program.
// Ends with the exact totals, and fails when anything failed.
//
// Arguments are parts of file names (`npm test -- safetensors`); `native` runs the native tests only.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildNativeTests } from './native-tests.mjs';

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

const timeLimitMs = 15 * 60_000;

/** Runs one program to its end and collects what it printed. */
function execute(program: string, args: string[]): Promise<{ output: string; ended: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    const timer = setTimeout(() => {
      output += `\nstopped after ${timeLimitMs / 60_000} minutes\n`;
      child.kill('SIGKILL');
    }, timeLimitMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ output: output + error.message, ended: 'not started' });
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ output, ended: signal ?? String(code) });
    });
  });
}

/** The number after `label` in `output`, summed over its occurrences. */
function figure(output: string, label: RegExp): number {
  let sum = 0;
  for (const match of output.matchAll(label)) sum += Number(match[1]);
  return sum;
}

/** What a run reported; a program that ended badly without naming a failure counts as one. */
function totals(
  output: string,
  ended: string,
  labels: { total: RegExp; passed: RegExp; skipped: RegExp },
): Totals {
  const passed = figure(output, labels.passed);
  const skipped = figure(output, labels.skipped);
  const failed = Math.max(0, figure(output, labels.total) - passed - skipped);
  const silent = passed + failed + skipped === 0;
  return { passed, skipped, failed: failed === 0 && (ended !== '0' || silent) ? 1 : failed };
}

const uvuLabels = {
  total: /^ {2}Total: +(\d+)/gm,
  passed: /^ {2}Passed: +(\d+)/gm,
  skipped: /^ {2}Skipped: +(\d+)/gm,
};

const doctestLabels = {
  total: /test cases: +(\d+)/g,
  passed: /test cases: .*?(\d+) passed/g,
  skipped: /(?!)/g,
};

const sum: Totals = { passed: 0, failed: 0, skipped: 0 };

/** Prints one line for a finished file, and everything it said when something failed. */
function report(
  name: string,
  result: Totals,
  started: number,
  output: string,
  ended: string,
): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const parts = [`${result.passed} passed`];
  if (result.failed > 0) parts.push(`${result.failed} FAILED`);
  if (result.skipped > 0) parts.push(`${result.skipped} skipped`);
  console.log(`${result.failed > 0 ? '✗' : '✓'} ${name}  ${parts.join(', ')}  (${seconds} s)`);
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

for (const file of files) {
  const started = performance.now();
  const { output, ended } = await execute(process.execPath, ['--import', 'tsx', file]);
  report(file, totals(output, ended, uvuLabels), started, output, ended);
}

if (wanted.length === 0 || wanted.includes('native')) {
  const program = buildNativeTests();
  const started = performance.now();
  const { output, ended } = await execute(program, ['--no-colors=true']);
  report('native tests', totals(output, ended, doctestLabels), started, output, ended);
}

console.log(
  `${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`,
);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
