import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNvidiaLibraries } from '../../scripts/nvidia-libraries.mjs';
import { assert, test } from '../harness.js';

/** Makes a folder of Python packages with these files of NVIDIA's, and hands it to `action`. */
function withWheels(files: string[], action: (site: string) => void): void {
  const site = mkdtempSync(join(tmpdir(), 'espalier-wheels-'));
  try {
    for (const file of files) {
      mkdirSync(join(site, 'nvidia', file, '..'), { recursive: true });
      writeFileSync(join(site, 'nvidia', file), '');
    }
    action(site);
  } finally {
    rmSync(site, { recursive: true });
  }
}

test('the libraries of PyTorch for CUDA 13 are found beside those for CUDA 12', () => {
  const old = ['cublas/lib/libcublasLt.so.12', 'cudnn/lib/libcudnn.so.9'];
  withWheels([...old, 'cu13/lib/libcublasLt.so.13'], (site) => {
    assert.is(findNvidiaLibraries([site]).folder, join(site, 'nvidia/cu13/lib'));
  });
});

test('libraries for CUDA 12 are named and not used', () => {
  withWheels(['cublas/lib/libcublasLt.so.12'], (site) => {
    const { folder, line } = findNvidiaLibraries([site]);
    assert.is(folder, undefined);
    assert.match(line, `cuBLASLt 12 in ${join(site, 'nvidia/cublas/lib')}; version 13 is needed`);
  });
});

test('without any the line says that our own kernels multiply', () => {
  const { folder, line } = findNvidiaLibraries([join(tmpdir(), 'espalier-nowhere')]);
  assert.is(folder, undefined);
  assert.match(line, /none in Python packages.* our own kernels multiply/);
});
