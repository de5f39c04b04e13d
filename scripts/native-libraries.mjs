// What the build needs from the machine: what CMake finds, else what apt installs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, run, say, succeeds } from './process.mjs';

/** Debian's names of the libraries that the addon links. */
export const libraryPackages = ['libdnnl-dev', 'libopenblas-openmp-dev', 'libhwy-dev'];

/** Debian's names of the build tools that are not on this machine. */
function missingTools() {
  const missing = [];
  if (!succeeds('cmake', ['--version'])) missing.push('cmake');
  const compiler = process.env.CXX ?? 'c++';
  if (!succeeds(compiler, ['--version'])) {
    if (process.env.CXX) {
      fail('compiler', `CXX names ${compiler}, which does not run`, 'unset CXX, or correct it');
    }
    missing.push('g++');
  }
  if (!succeeds('ninja', ['--version']) && !succeeds('make', ['--version'])) {
    missing.push('ninja-build');
  }
  return missing;
}

/** The libraries that CMake misses, as it names them, or undefined. */
function missingLibraries(root) {
  const build = mkdtempSync(join(tmpdir(), 'espalier-probe-'));
  const generator = succeeds('ninja', ['--version']) ? ['-G', 'Ninja'] : [];
  const probe = spawnSync(
    'cmake',
    ['-S', join(root, 'cmake', 'probe'), '-B', build, ...generator],
    {
      encoding: 'utf8',
    },
  );
  rmSync(build, { recursive: true, force: true });
  if (probe.status === 0) return undefined;
  const named = /missing native library: (.*?)\. /s.exec(probe.stderr.replace(/\s+/g, ' '));
  if (!named) {
    say(probe.stderr.trim());
    fail(
      'compiler',
      'CMake cannot compile C++ on this machine',
      'install a C++20 compiler such as g++ 12 (apt-get install g++), or set CXX to a working one',
    );
  }
  return named[1];
}

/** Installs Debian packages where that is allowed; otherwise ends with the command to type. */
export function installPackages(packages, what) {
  const command = `apt-get install -y ${packages.join(' ')}`;
  const isRoot = process.getuid?.() === 0;
  if (!succeeds('apt-get', ['--version'])) {
    fail(
      'native libraries',
      `not found: ${what}`,
      `install what Debian calls ${packages.join(' ')}`,
    );
  }
  if (!isRoot && !succeeds('sudo', ['-n', 'true'])) {
    fail('native libraries', `not found: ${what}`, `sudo ${command}`);
  }
  say(`setup: native libraries: installing ${packages.join(' ')}`);
  const apt = (...args) =>
    run(
      'native libraries',
      isRoot ? 'apt-get' : 'sudo',
      [...(isRoot ? [] : ['-n', 'apt-get']), ...args],
      {
        remedy: `as root: ${command}`,
        environment: { DEBIAN_FRONTEND: 'noninteractive' },
      },
    );
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...packages);
}

/** Makes sure that the build tools and the native libraries are there. */
export function ensureNativeLibraries(root) {
  const tools = missingTools();
  // Without a compiler CMake cannot say what else is missing, so one call of apt fetches it all.
  if (tools.length > 0) installPackages([...tools, ...libraryPackages], tools.join(', '));
  const missing = missingLibraries(root);
  if (missing === undefined) return;
  installPackages(libraryPackages, missing);
  const still = missingLibraries(root);
  if (still !== undefined) {
    fail(
      'native libraries',
      `still not found after apt: ${still}`,
      `check the output of: apt-get install ${libraryPackages.join(' ')}`,
    );
  }
}
