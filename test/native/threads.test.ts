import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cpuFeatures } from '../../ts/native/cpu-features.js';
import { defaultThreads } from '../../ts/native/default-threads.js';
import { setThreads } from '../../ts/native/threads.js';
import { assert, fails, test } from '../harness.js';

// What a user may have set for the libraries stays out of these tests.
const { OMP_WAIT_POLICY: _, GOMP_SPINCOUNT: __, OPENBLAS_CORETYPE: ___, ...plain } = process.env;

/** Runs a program of modules in a process of its own. */
function runProgram(program: string, variables: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
    env: { ...plain, ...variables },
  });
}

test('the default is at least one thread and at most one per processor', () => {
  const { threads } = defaultThreads({});
  assert.ok(threads >= 1 && threads <= availableParallelism());
});

test('ESPALIER_THREADS comes before OMP_NUM_THREADS', () => {
  const variables = { ESPALIER_THREADS: '3', OMP_NUM_THREADS: '5' };
  assert.equal(defaultThreads(variables), { threads: 3, source: 'ESPALIER_THREADS' });
  assert.is(defaultThreads({ OMP_NUM_THREADS: '5,2' }).threads, 5);
});

test('a number that makes no sense is refused, wherever it stands', async () => {
  for (const text of ['0', '1.5', 'many', '2000']) {
    await fails(() => defaultThreads({ ESPALIER_THREADS: text }), 'CONFIG');
  }
  for (const threads of [0, -1, 1.5, Number.NaN, 1025]) {
    await fails(() => setThreads(threads), 'CONFIG');
  }
  assert.is(setThreads(1), 1);
});

test('idle compute threads sleep', () => {
  const program = `
    import { rmsNorm } from './ts/ops/rms-norm.ts';
    import { setThreads } from './ts/native/threads.ts';
    import { Tensor } from './ts/tensor/tensor.ts';
    setThreads(2);
    const x = Tensor.zeros([4096, 1024]);
    const weight = Tensor.from(new Float32Array(1024));
    for (let i = 0; i < 20; i++) await rmsNorm(x, weight, 1e-6).read();
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { user, system } = process.cpuUsage(before);
    console.log(user + system);`;
  const { stdout, stderr } = runProgram(program);
  const microseconds = Number(stdout);
  assert.ok(stdout !== '' && microseconds < 100_000, `used ${stdout} µs while idle ${stderr}`);
});

test("the libraries' own variables are set for them, and not for children of the process", () => {
  const program = `
    import { setThreads } from './ts/native/threads.ts';
    setThreads(2);
    const { OMP_WAIT_POLICY, GOMP_SPINCOUNT, OPENBLAS_CORETYPE } = process.env;
    console.log(JSON.stringify([OMP_WAIT_POLICY, GOMP_SPINCOUNT, OPENBLAS_CORETYPE]));`;
  const load = (variables: Record<string, string>) => {
    const { stdout, stderr } = runProgram(program, { OMP_DISPLAY_ENV: 'verbose', ...variables });
    // What libgomp says when it is loaded.
    const told = (name: string) => new RegExp(`${name} = '(.*)'`).exec(stderr)?.[1];
    return {
      seen: JSON.parse(stdout) as unknown,
      policy: told('OMP_WAIT_POLICY'),
      spins: told('GOMP_SPINCOUNT'),
    };
  };
  const passive = { policy: 'PASSIVE', spins: '1000' };
  assert.equal(load({}), { seen: [null, null, null], ...passive });
  assert.equal(load({ GOMP_SPINCOUNT: '7' }), { seen: [null, '7', null], ...passive, spins: '7' });
  const active = load({ OMP_WAIT_POLICY: 'active' });
  assert.equal(active.seen, ['active', null, null]);
  assert.is(active.policy, 'ACTIVE');
  assert.equal(load({ OPENBLAS_CORETYPE: 'Nehalem' }).seen, [null, null, 'Nehalem']);
});

test("OpenBLAS takes the kernels of the processor's vector extension, or those asked for", () => {
  const program = `
    import { native } from './ts/native/addon.ts';
    console.log(native().capabilities().libraries.OpenBLAS);`;
  const told = (variables?: Record<string, string>) => runProgram(program, variables).stdout;
  const features = cpuFeatures();
  assert.match(told(), /OpenBLAS/);
  // A build for one processor has no choice.
  if (!features.includes('avx2') || !told().includes('DYNAMIC_ARCH')) return;
  assert.match(told(), features.includes('avx512bw') ? /SkylakeX/i : /Haswell/i);
  assert.match(told({ OPENBLAS_CORETYPE: 'Nehalem' }), /Nehalem/i);
});
