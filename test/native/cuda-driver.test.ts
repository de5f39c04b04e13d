import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { backendAbi } from '../../scripts/backend-abi.mjs';
import { type NativeCudaProbe, native } from '../../ts/native/addon.js';
import { addonPath } from '../../ts/native/load-addon.js';
import { assert, fails, test } from '../harness.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-driver-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const abi = `0x${backendAbi('.')}U`;

/** Compiles sources into a shared library. */
function compile(compiler: string, target: string, parameters: readonly string[]): string {
  execFileSync(compiler, ['-shared', '-fPIC', '-o', target, ...parameters], { stdio: 'pipe' });
  return target;
}

/** The library that nvcc made from these sources, otherwise its probe alone, by the host's compiler. */
function probeLibrary(): string {
  const built = resolve('build/cuda/libespalier_cuda.so');
  if (existsSync(built)) {
    try {
      native().probeCuda(built);
      return built;
    } catch {
      // It was built from other headers: not what is to be tested.
    }
  }
  return compile(process.env.CXX ?? 'c++', join(folder, 'libprobe.so'), [
    ...['-std=c++20', '-I.', '-Itest/cuda/shim', `-DESPALIER_BACKEND_ABI=${abi}`],
    ...['-xc++', 'cuda/probe.cu', 'test/cuda/probe_library.cc'],
  ]);
}

const library = probeLibrary();

/** A folder with a libcuda.so.1 that is compiled from test/cuda/fake_driver.c. */
function fakeDriver(name: string, ...flags: string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  const parameters = [...flags, 'test/cuda/fake_driver.c'];
  compile(process.env.CC ?? 'cc', join(path, 'libcuda.so.1'), parameters);
  return path;
}

const driver = fakeDriver('driver');

/** What the library finds out in a process whose driver stands in `where`. */
function probe(variables: Record<string, string> = {}, where = driver): NativeCudaProbe {
  const { CUDA_VISIBLE_DEVICES: _, ...environment } = process.env;
  const program =
    'console.log(JSON.stringify(require(process.argv[1]).probeCuda(process.argv[2])))';
  const output = execFileSync(process.execPath, ['-e', program, addonPath(), library], {
    encoding: 'utf8',
    env: { ...environment, LD_LIBRARY_PATH: where, ...variables },
  });
  return JSON.parse(output);
}

test('a good card is described', () => {
  const found = probe();
  assert.is(found.usable, true);
  assert.is(found.reason, 'Fake GPU, compute capability 8.9');
  assert.is(found.name, 'Fake GPU');
  assert.is(found.devices, 1);
  assert.is(found.driver, 13000);
  assert.is(found.computeCapability, 89);
  assert.is(found.memory, 24 * 2 ** 30);
});

test('a driver that cannot be opened is no driver', () => {
  const where = join(folder, 'none');
  mkdirSync(where);
  // Found before the machine's own, if there is one.
  writeFileSync(join(where, 'libcuda.so.1'), 'not a library');
  const found = probe({}, where);
  assert.is(found.usable, false);
  assert.match(found.reason, 'no NVIDIA driver');
});

test('a driver without one of the functions is too old, and the function is named', () => {
  const found = probe({}, fakeDriver('lacking', '-DWITHOUT_MEMORY'));
  assert.is(found.usable, false);
  assert.match(found.reason, 'libcuda.so.1 lacks cuDeviceTotalMem_v2');
});

test('what makes a driver or a card unusable is named', () => {
  const cases: [Record<string, string>, string][] = [
    [{ ESPALIER_FAKE_VERSION: '12040' }, 'supports CUDA 12.4, and CUDA 13.0 or newer is needed'],
    [{ ESPALIER_FAKE_INIT: '999' }, 'could not start: cuInit gave 999'],
    [{ ESPALIER_FAKE_INIT: '100' }, 'sees no GPU'],
    [{ ESPALIER_FAKE_DEVICES: '0' }, 'sees no GPU'],
    [{ CUDA_VISIBLE_DEVICES: '' }, 'CUDA_VISIBLE_DEVICES may hide it'],
    [{ ESPALIER_FAKE_DESCRIBE: '3' }, 'did not describe its first GPU'],
    [
      { ESPALIER_FAKE_CAPABILITY: '70' },
      'Fake GPU has compute capability 7.0, and 7.5 or newer is needed',
    ],
  ];
  for (const [variables, reason] of cases) {
    const found = probe(variables);
    assert.is(found.usable, false, reason);
    assert.match(found.reason, reason);
  }
});

test('a newer driver of the same major version, and the oldest card, will do', () => {
  assert.ok(probe({ ESPALIER_FAKE_VERSION: '13020' }).usable);
  assert.ok(probe({ ESPALIER_FAKE_VERSION: '14000' }).usable);
  assert.ok(probe({ ESPALIER_FAKE_CAPABILITY: '75' }).usable);
  assert.ok(probe({ ESPALIER_FAKE_CAPABILITY: '120' }).usable);
});

/** A backend library from a few lines of C. */
function backendOf(name: string, code: string): string {
  const source = join(folder, `${name}.c`);
  writeFileSync(source, `#include <string.h>\n${code}\n`);
  return compile(process.env.CC ?? 'cc', join(folder, `lib${name}.so`), [source]);
}

const noBackend = `void *espalier_backend_create(void *request) { return 0; }
   void espalier_backend_describe(char *text, size_t bytes) { strcpy(text, "a library\\nanother"); }`;
const probeWith = (number: string, score: number) =>
  `void espalier_backend_probe(int *probe) { probe[0] = (int)${number}; probe[1] = ${score};
   strcpy((char *)(probe + 2), "what the library says"); }`;

test('what is no backend library is refused with its path', async () => {
  const text = join(folder, 'text.so');
  writeFileSync(text, 'not a library');
  const foreign = backendOf('foreign', 'int unrelated;');
  const half = backendOf('half', probeWith(abi, 1));
  const silent = noBackend.slice(0, noBackend.indexOf('\n'));
  const mute = backendOf('mute', `${probeWith(abi, 1)}\n${silent}`);
  const refused: [string, string][] = [
    [join(folder, 'absent.so'), 'No such file'],
    [text, 'text.so'],
    [foreign, 'lacks espalier_backend_probe'],
    [half, 'lacks espalier_backend_create'],
    [mute, 'lacks espalier_backend_describe'],
  ];
  for (const [path, reason] of refused) {
    const error = await fails(() => native().probeCuda(path), 'DEVICE_UNAVAILABLE');
    assert.match(error.message, path);
    assert.match(error.message, reason);
  }
});

test('a library of another version is refused before it makes anything', async () => {
  const other = backendOf('other', `${probeWith(`(${abi} + 1)`, 1)}\n${noBackend}`);
  for (const ask of [() => native().probeCuda(other), () => native().openCuda(other, 0)]) {
    const error = await fails(ask, 'DEVICE_UNAVAILABLE');
    assert.match(error.message, 'another version of espalier');
  }
});

test('a library says what it found beside itself', () => {
  const open = backendOf('open', `${probeWith(abi, 1)}\n${noBackend}`);
  assert.is(native().describeCuda(open), 'a library\nanother');
});

test('a device that cannot be had is refused with what the library says', async () => {
  const idle = backendOf('idle', `${probeWith(abi, 0)}\n${noBackend}`);
  const error = await fails(() => native().openCuda(idle, 0), 'DEVICE_UNAVAILABLE');
  assert.match(error.message, 'what the library says');
});
