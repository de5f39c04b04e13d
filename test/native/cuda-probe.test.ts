import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { probeCuda } from '../../ts/native/cuda-probe.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { assert, fails, test } from '../harness.js';

/** A machine on which espalier's CUDA library does not stand. */
const NO_LIBRARY = { ESPALIER_CUDA_LIB: '/nowhere/cuda.so' };

const VERSION =
  'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n' +
  'GCC version:  gcc version 12.2.0\n';

test('a machine without a driver is told so', () => {
  const root = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    const probe = probeCuda({ root, variables: NO_LIBRARY });
    assert.is(probe.available, false);
    assert.match(probe.reasons[0]!, 'no CUDA library here: looked for /nowhere/cuda.so');
    assert.is(probe.driver, undefined);
    assert.match(probe.reasons.join('\n'), 'no NVIDIA kernel driver');
    assert.match(probe.reasons.join('\n'), 'libcuda.so.1 was not found');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('driver, library and hidden devices are named', () => {
  const root = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    mkdirSync(join(root, 'proc/driver/nvidia'), { recursive: true });
    mkdirSync(join(root, 'usr/lib64'), { recursive: true });
    writeFileSync(join(root, 'proc/driver/nvidia/version'), VERSION);
    writeFileSync(join(root, 'usr/lib64/libcuda.so.1'), '');
    const probe = probeCuda({ root, variables: { ...NO_LIBRARY, CUDA_VISIBLE_DEVICES: '' } });
    assert.is(probe.driver, '550.54.15');
    assert.is(probe.library, '/usr/lib64/libcuda.so.1');
    assert.match(probe.reasons.join('\n'), 'hides every GPU');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('the version of the open kernel module is read too', () => {
  const root = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    mkdirSync(join(root, 'proc/driver/nvidia'), { recursive: true });
    writeFileSync(
      join(root, 'proc/driver/nvidia/version'),
      'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86  Release Build  (root)\n',
    );
    assert.is(probeCuda({ root, variables: NO_LIBRARY }).driver, '570.86');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('without a CUDA library auto and cpu are the CPU, and cuda says why it cannot be', async () => {
  const before = process.env.ESPALIER_CUDA_LIB;
  process.env.ESPALIER_CUDA_LIB = NO_LIBRARY.ESPALIER_CUDA_LIB;
  try {
    assert.is(resolveDevice().device, 'cpu');
    assert.ok(resolveDevice('auto').reasons.length > 0);
    assert.is(resolveDevice('cpu').device, 'cpu');
    const error = await fails(() => resolveDevice('cuda'), 'DEVICE_UNAVAILABLE');
    assert.match(error.message, 'no CUDA library');
    await fails(() => resolveDevice('cuda:0'), 'DEVICE_UNAVAILABLE');
    for (const wrong of ['tpu', 'cuda:', 'cuda:-1', 'cuda:x']) {
      await fails(() => resolveDevice(wrong), 'CONFIG');
    }
  } finally {
    if (before === undefined) delete process.env.ESPALIER_CUDA_LIB;
    else process.env.ESPALIER_CUDA_LIB = before;
  }
});

test('a file that is no CUDA library is named, and nothing crashes', () => {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    const file = join(directory, 'cuda.so');
    writeFileSync(file, 'not a library');
    const probe = probeCuda({ root: directory, variables: { ESPALIER_CUDA_LIB: file } });
    assert.is(probe.available, false);
    assert.is(probe.backend, file);
    assert.match(probe.reasons[0]!, file);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
