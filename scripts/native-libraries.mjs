// oneDNN, OpenBLAS and Highway for the build: what CMake finds, else what apt installs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fail, run, say, succeeds } from './process.mjs';

/** Debian's names of the libraries that the addon links. */
export const packages = ['libdnnl-dev', 'libopenblas-openmp-dev', 'libhwy-dev'];

/** What CMake misses, as the lines that it printed, or nothing. */
function missingLibraries(root) {
  const build = mkdtempSync(join(tmpdir(), 'espalier-probe-'));
  const probe = spawnSync('cmake', ['-S', join(root, 'cmake', 'probe'), '-B', build], {
    encoding: 'utf8',
  });
  rmSync(build, { recursive: true, force: true });
  if (probe.error) {
    fail('native libraries', 'CMake is not installed', 'install CMake 3.20 or newer');
  }
  if (probe.status === 0) return undefined;
  const named = /missing native library: (.*?)\. /s.exec(probe.stderr.replace(/\s+/g, ' '));
  if (!named) {
    say(probe.stderr.trim());
    fail('native libraries', 'CMake could not configure', 'install a C++20 compiler and make');
  }
  return named[1];
}

/** Makes sure that CMake finds the native libraries; installs them with apt where it may. */
export function ensureNativeLibraries(root) {
  const missing = missingLibraries(root);
  if (missing === undefined) return;
  const command = `apt-get install -y ${packages.join(' ')}`;
  const isRoot = process.getuid?.() === 0;
  const canApt = succeeds('apt-get', ['--version']);
  if (!canApt || !(isRoot || succeeds('sudo', ['-n', 'true']))) {
    fail('native libraries', `not found: ${missing}`, `as root: ${command}`);
  }
  say(`setup: native libraries: installing ${packages.join(' ')}`);
  const apt = (...args) =>
    run('native libraries', isRoot ? 'apt-get' : 'sudo', isRoot ? args : ['-n', 'apt-get', ...args], {
      remedy: `as root: ${command}`,
      environment: { DEBIAN_FRONTEND: 'noninteractive' },
    });
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...packages);
  const still = missingLibraries(root);
  if (still !== undefined) {
    fail('native libraries', `still not found after apt: ${still}`, `as root: ${command}`);
  }
}
