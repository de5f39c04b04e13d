// Running a test program and counting what it reports.
import { spawn } from 'node:child_process';

/** Where the totals of uvu stand in its output. */
export const uvuLabels = {
  total: /^ {2}Total: +(\d+)/gm,
  passed: /^ {2}Passed: +(\d+)/gm,
  skipped: /^ {2}Skipped: +(\d+)/gm,
};

/** Where the totals of doctest stand in its output. */
export const doctestLabels = {
  total: /test cases: +(\d+)/g,
  passed: /test cases: .*?(\d+) passed/g,
  skipped: /(?!)/g,
};

/**
 * Runs a program to its end and collects what it printed.
 *
 * @param options `timeLimitMs` after which it is killed, `environment` to add variables, `group`: with
 * what it started
 * @returns `output`, `ended` (exit code, signal or `not started`), `seconds`, `late` when it was killed
 */
export function execute(program, args, { timeLimitMs, environment = {}, group = false }) {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: group,
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1', ...environment },
    });
    let output = '';
    let late = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const timer = setTimeout(() => {
      late = true;
      output += `\nstopped after ${(timeLimitMs / 1000).toFixed(0)} s\n`;
      if (group) process.kill(-child.pid, 'SIGKILL');
      else child.kill('SIGKILL');
    }, timeLimitMs);
    const end = (ended) => {
      clearTimeout(timer);
      resolve({ output, ended, late, seconds: (performance.now() - started) / 1000 });
    };
    child.on('error', (error) => {
      output += error.message;
      end('not started');
    });
    child.on('close', (code, signal) => end(signal ?? String(code)));
  });
}

/** The number after `label` in `output`, summed over its occurrences. */
function figure(output, label) {
  let sum = 0;
  for (const match of output.matchAll(label)) sum += Number(match[1]);
  return sum;
}

/** What a run reported; a program that ended badly without naming a failure counts as one. */
export function totals(output, ended, labels) {
  const passed = figure(output, labels.passed);
  const skipped = figure(output, labels.skipped);
  const failed = Math.max(0, figure(output, labels.total) - passed - skipped);
  const silent = passed + failed + skipped === 0;
  return { passed, skipped, failed: failed === 0 && (ended !== '0' || silent) ? 1 : failed };
}
