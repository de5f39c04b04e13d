import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, test } from '../harness.js';
import { cli, finish, start } from './spawn-cli.js';

test('doctor describes a healthy machine and exits with 0', async () => {
  const { code, stdout, stderr } = await cli(['doctor']);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  for (const name of ['Node', 'addon', 'kernels use', 'oneDNN', 'OpenBLAS', 'threads', 'CUDA']) {
    assert.match(stdout, name);
  }
});

test('doctor --json is one document', async () => {
  const { stdout } = await cli(['doctor', '--json']);
  const report = JSON.parse(stdout);
  assert.is(report.healthy, true);
  assert.is(report.node.version, process.version);
  assert.equal(report.problems, []);
});

test('doctor --json-stream is one event per line', async () => {
  const { stdout } = await cli(['doctor', '--json-stream']);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.is(events.at(-1).event, 'result');
  assert.is(events.at(-1).result.healthy, true);
});

test('without an addon doctor still describes the rest, names the remedy and exits with 3', async () => {
  const { code, stdout } = await cli(['doctor'], { ESPALIER_PREBUILD: tmpdir() });
  assert.is(code, 3);
  assert.match(stdout, 'not found');
  assert.match(stdout, 'processor');
  assert.match(stdout, 'CUDA');
  assert.match(stdout, /problem: no native addon for/);
  assert.match(stdout, /try: .*npm run setup/);
});

test('without an addon, or with a senseless number of threads, options do not hide the report', async () => {
  const args = ['doctor', '--threads', '2'];
  assert.match((await cli(args, { ESPALIER_PREBUILD: tmpdir() })).stdout, 'processor');
  const { code, stdout } = await cli(['doctor'], { ESPALIER_THREADS: 'many' });
  assert.is(code, 3);
  assert.match(stdout, /problem: ESPALIER_THREADS must be .* got many/);
});

test('an addon that is no library is a problem with its cause', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    mkdirSync(join(directory, 'build', 'Release'), { recursive: true });
    writeFileSync(join(directory, 'build', 'Release', 'espalier.node'), 'not a library');
    const { code, stdout } = await cli(['doctor', '--json'], { ESPALIER_PREBUILD: directory });
    assert.is(code, 3);
    const report = JSON.parse(stdout);
    assert.is(report.addon.loaded, false);
    assert.is(report.addon.kind, 'local build');
    assert.is(report.problems.length, 1);
    assert.match(report.problems[0].cause, 'could not be loaded');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a reader that closes stdout at once is no failure', async () => {
  const child = start(['doctor']);
  child.stdout?.destroy();
  const { code, stderr } = await finish(child);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
});

test('NO_COLOR and pipes keep escape sequences out', async () => {
  const { stdout } = await cli(['doctor']);
  assert.not.match(stdout, '\x1b');
});
