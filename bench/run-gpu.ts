// npm run bench:gpu: the suites that have claims about a GPU, the most important first, each in a
// process of its own, until the time is used up. Then one page over all results.
//
// --minutes N     for everything (12); what has no time left is named and not run
// --only a,b      suites to run, in this order
// --output DIR    bench/results/gpu
// --page          writes the page from what is in the folder, and runs nothing
// Other options go to the suites: --quick, --device cpu, --peer-device cpu, --no-peer.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findNvidiaLibraries } from '../scripts/nvidia-libraries.mjs';
import { gpuSuites } from './gpu-plan.js';
import { gpuPage, writeGpuPage } from './gpu-page.js';

const here = dirname(fileURLToPath(import.meta.url));
const say = (line: string) => process.stderr.write(`${line}\n`);
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '12' },
    only: { type: 'string' },
    output: { type: 'string', default: join(here, 'results', 'gpu') },
    page: { type: 'boolean', default: false },
    device: { type: 'string', default: 'cuda' },
    'peer-device': { type: 'string' },
    quick: { type: 'boolean' },
    'no-peer': { type: 'boolean' },
    threads: { type: 'string' },
  },
});
const { output } = values;
const wanted = values.only?.split(',') ?? gpuSuites.map(({ name }) => name);
const unknown = wanted.filter((name) => !gpuSuites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  say(`error: ${unknown.join(', ')} is none of ${gpuSuites.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const passedOn = (['device', 'peer-device', 'threads'] as const).flatMap((name) =>
  values[name] === undefined ? [] : [`--${name}`, values[name]],
);
for (const name of ['quick', 'no-peer'] as const) if (values[name]) passedOn.push(`--${name}`);

const nvidia = findNvidiaLibraries();
const environment = {
  ...process.env,
  ...(nvidia.folder === undefined ? {} : { ESPALIER_CUDA_LIBRARY_PATH: nvidia.folder }),
};

/** Runs one suite; ends it gently when its time is over, so that it writes what it has. */
function run(name: string, seconds: number): Promise<string> {
  const options = gpuSuites.find((suite) => suite.name === name)?.options ?? [];
  const own = values.quick ? [] : options;
  const args = [...['--import', 'tsx'], join(here, 'run.ts'), name, '--output', output];
  const child = spawn(process.execPath, [...args, ...own, ...passedOn], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: environment,
  });
  const timers = [
    setTimeout(() => child.kill('SIGTERM'), seconds * 1000),
    setTimeout(() => child.kill('SIGKILL'), seconds * 1000 + 10_000),
  ];
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      const ends: Record<string, string> = { 0: 'done', 143: 'stopped for lack of time' };
      resolve(ends[String(code)] ?? `ended with ${code ?? signal}`);
    });
  });
}

const outcomes: string[] = [];
if (!values.page) {
  say(nvidia.line);
  const deadline = performance.now() + Number(values.minutes) * 60_000;
  for (const name of wanted) {
    const begun = performance.now();
    const left = (deadline - begun) / 1000;
    const outcome = left < 15 ? 'not run: no time left' : await run(name, left);
    const took = ((performance.now() - begun) / 1000).toFixed(0);
    outcomes.push(`${name}: ${outcome} (${took} s)`);
    say(`=== ${outcomes.at(-1)}`);
    writeGpuPage(output);
  }
}
writeGpuPage(output);
process.stdout.write(gpuPage(output));
for (const outcome of outcomes) say(outcome);
process.exitCode = outcomes.every((outcome) => /: (done|stopped)/.test(outcome)) ? 0 : 1;
