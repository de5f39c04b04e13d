// Tests on this machine's GPU: the op tests on both backends, with and without NVIDIA's libraries, the
// tests in test/cuda (models, memory, threads, a whole pipeline), and the op tests under
// compute-sanitizer. Ends with the totals; a summary in JSON and every part's output lie in --output.
//
// --only a,b        parts to run; `sanitizer` is memcheck, racecheck and synccheck
// --emulated        on the GPU that the host emulates; proves that everything needed is there
// --minutes N       for everything (8); the sanitizer leaves out what it has no time for, and says so
// --jobs N          native test processes at once (half of the processors, 8 at most)
// --output DIR      build/test-gpu
// Other arguments go to the native test program (`-tc=*attention*`).
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { allParts, sanitizerTools } from './gpu-tests.mjs';
import { fail, say } from './process.mjs';
import { execute, totals } from './test-process.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
const started = performance.now();

const { values, tokens } = parseArgs({
  options: {
    only: { type: 'string' },
    emulated: { type: 'boolean' },
    minutes: { type: 'string', default: '8' },
    jobs: { type: 'string' },
    output: { type: 'string', default: join('build', 'test-gpu') },
  },
  strict: false,
  tokens: true,
});
const known = ['only', 'emulated', 'minutes', 'jobs', 'output'];
const filters = tokens
  .filter(({ kind, name }) => kind === 'option' && !known.includes(name))
  .map(({ index }) => process.argv[index + 2]);
const parallel = Number(values.jobs ?? Math.min(8, Math.ceil(availableParallelism() / 2)));
const deadline = started + Number(values.minutes) * 60_000;

const { parts, environment } = await allParts({ emulated: values.emulated === true, filters });
const sanitizer = sanitizerTools.filter((tool) => tool in parts && tool !== 'initcheck');
const wanted =
  values.only === undefined
    ? Object.keys(parts).filter((name) => name !== 'initcheck')
    : values.only.split(',').flatMap((name) => (name === 'sanitizer' ? sanitizer : [name]));
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) {
  fail('GPU tests', `no part ${unknown.join(', ')}`, `there are ${Object.keys(parts).join(', ')}`);
}
mkdirSync(values.output, { recursive: true });

/** What espalier doctor says about the GPU; ends the run when it cannot be used. */
async function describeGpu() {
  const doctor = [...['--import', 'tsx'], join('ts', 'cli', 'espalier.ts'), 'doctor', '--json'];
  const { output } = await execute(process.execPath, doctor, { timeLimitMs: 60_000, environment });
  const { cuda } = JSON.parse(output);
  for (const line of [cuda.gpu?.name, ...cuda.reasons, ...cuda.libraries].filter(Boolean))
    say(line);
  if (!cuda.available)
    fail('GPU tests', 'there is no GPU that can be used', 'read the lines above');
  return cuda;
}

const gpu = await describeGpu();

/** Seconds that each native file took without a tool: the sanitizer begins with the fastest. */
const durations = new Map();

/** Runs one part's jobs, some at once; a job without time left is not started. */
async function runPart(name, { jobs, budgeted = false }, until) {
  const result = { name, passed: 0, failed: 0, skipped: 0, leftOut: [] };
  const begun = performance.now();
  const log = [];
  const queue = [...jobs];
  if (budgeted) queue.sort((a, b) => (durations.get(a.name) ?? 0) - (durations.get(b.name) ?? 0));
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const timeLimitMs = until - performance.now();
      if (timeLimitMs < 1000) {
        result.leftOut.push(job.name);
        continue;
      }
      const { program, args, environment } = job;
      const { output, ended, late, seconds } = await execute(program, args, {
        timeLimitMs,
        environment,
        group: true,
      });
      log.push(`=== ${job.name}: ended with ${ended} after ${seconds.toFixed(1)} s\n${output}`);
      if (late && budgeted) {
        result.leftOut.push(job.name);
        continue;
      }
      if (!budgeted) durations.set(job.name, seconds);
      const got = totals(output, ended, job.labels);
      for (const key of ['passed', 'failed', 'skipped']) result[key] += got[key];
      if (got.failed > 0) {
        say(`✗ ${job.name}: ${got.failed} failed, ended with ${ended}`);
        say(output.trimEnd().split('\n').slice(-60).join('\n'));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, jobs.length) }, worker));
  result.seconds = (performance.now() - begun) / 1000;
  writeFileSync(join(values.output, `${name}.log`), log.join('\n'));
  return result;
}

const results = [];
for (const [index, name] of wanted.entries()) {
  const part = parts[name];
  say(`=== ${name}: ${part.title}`);
  if (part.missing !== undefined) {
    say(`not run: ${part.missing}`);
    results.push({ name, passed: 0, failed: 0, skipped: 0, leftOut: [part.missing], seconds: 0 });
    continue;
  }
  // What has a budget shares the time that is left with the parts behind it.
  const now = performance.now();
  const share = part.budgeted ? (deadline - now) / (wanted.length - index) : deadline - now;
  const result = await runPart(name, part, now + Math.max(0, share));
  results.push(result);
  const { passed, failed, skipped, leftOut, seconds } = result;
  const more = [
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(leftOut.length > 0 ? [`no time left for ${leftOut.join(' ')}`] : []),
  ];
  say(
    `${failed > 0 ? '✗' : '✓'} ${name}: ${[`${passed} passed, ${failed} failed`, ...more].join(', ')} (${seconds.toFixed(1)} s)`,
  );
}

const sum = (key) => results.reduce((total, result) => total + result[key], 0);
const late = results.filter(
  ({ leftOut, name }) => leftOut.length > 0 && !sanitizerTools.includes(name),
);
const failed = sum('failed') + late.reduce((total, { leftOut }) => total + leftOut.length, 0);
const summary = {
  gpu,
  emulated: values.emulated === true,
  seconds: (performance.now() - started) / 1000,
  passed: sum('passed'),
  failed,
  parts: results,
};
writeFileSync(join(values.output, 'summary.json'), `${JSON.stringify(summary, undefined, 1)}\n`);
say(`summary: ${join(values.output, 'summary.json')}`);
console.log(
  `${summary.passed} passed, ${failed} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`,
);
process.exitCode = failed > 0 || summary.passed === 0 ? 1 : 0;
