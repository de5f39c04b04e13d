import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defaultThreads } from '../../ts/native/default-threads.js';
import { setThreads } from '../../ts/native/threads.js';
import { assert, fails, test } from '../harness.js';

/** Runs a program of modules in a process of its own. */
function runProgram(program: string, env: NodeJS.ProcessEnv = process.env) {
  return spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
    env,
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

test('the runtime learns how its threads wait, and children of the process do not', () => {
  const program = `
    import { setThreads } from './ts/native/threads.ts';
    setThreads(2);
    console.log(JSON.stringify([process.env.OMP_WAIT_POLICY, process.env.GOMP_SPINCOUNT]));`;
  const load = (variables: Record<string, string>) => {
    const { OMP_WAIT_POLICY: _, GOMP_SPINCOUNT: __, ...inherited } = process.env;
    const environment = { ...inherited, OMP_DISPLAY_ENV: 'verbose', ...variables };
    const { stdout, stderr } = runProgram(program, environment);
    // What libgomp says when it is loaded.
    const told = (name: string) => new RegExp(`${name} = '(.*)'`).exec(stderr)?.[1];
    return {
      seen: JSON.parse(stdout) as unknown,
      policy: told('OMP_WAIT_POLICY'),
      spins: told('GOMP_SPINCOUNT'),
    };
  };
  assert.equal(load({}), { seen: [null, null], policy: 'PASSIVE', spins: '1000' });
  assert.equal(load({ GOMP_SPINCOUNT: '7' }), { seen: [null, '7'], policy: 'PASSIVE', spins: '7' });
  const active = load({ OMP_WAIT_POLICY: 'active' });
  assert.equal(active.seen, ['active', null]);
  assert.is(active.policy, 'ACTIVE');
});
